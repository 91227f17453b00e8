"""Invocations that nobody waits for: repeated twice when they fail, as Lambda does, then sent to the dead letters."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ministack.services import eventbridge, lambda_svc

from driftloop.twin.activity import WHOLE, Activity
from driftloop.twin.timeline import Timeline

WAIT_SECONDS = (60.0, 120.0)
"""How long Lambda waits before it repeats an invocation, the first and the second time."""


@dataclass
class Invocation:
    """One that has not succeeded yet."""

    arn: str
    event: Any
    failures: int = 0
    due: float = 0.0
    """When it is repeated; 0 while it runs."""


class Asynchronous:
    """Runs them, each in a thread of its own."""

    def __init__(self, activity: Activity, timeline: Timeline) -> None:
        self._activity, self._timeline = activity, timeline
        self._open: dict[int, Invocation] = {}
        self._numbers = itertools.count()

    def install(self) -> None:
        """Make ministack hand its asynchronous invocations over."""
        eventbridge._dispatch_to_lambda = self._of_rule
        lambda_svc.invoke_async_with_retry = lambda function, event: self._accept(
            (function.get("config") or function)["FunctionArn"], event
        )

    def save(self) -> list[Invocation]:
        """Those that have not come to an end."""
        return list(self._open.values())

    def resume(self, invocations: list[Invocation]) -> None:
        """Run those again that were under way, and the others when they are due."""
        for invocation in invocations:
            number = self._add(invocation)
            if invocation.due:
                self._later(number, invocation)
            else:
                self._run(number, invocation)

    def _of_rule(self, arn: str, payload: str) -> None:
        function, _, name = lambda_svc._get_func_record_for_ref(arn)
        if not function:
            raise LookupError(f"an event target names the function {name}, which does not exist")
        self._accept(arn, json.loads(payload))

    def _accept(self, arn: str, event: Any) -> None:
        invocation = Invocation(arn, event)
        self._run(self._add(invocation), invocation)

    def _add(self, invocation: Invocation) -> int:
        number = next(self._numbers)
        self._open[number] = invocation
        return number

    def _run(self, number: int, invocation: Invocation) -> None:
        self._activity.spawn(f"event-{number}", lambda: self._try(number, invocation))

    def _try(self, number: int, invocation: Invocation) -> None:
        function, config, _ = lambda_svc._get_func_record_for_ref(invocation.arn)
        if not function or not config:
            del self._open[number]  # deleted meanwhile
            return
        record = lambda_svc._execution_record_for_config(function, config)
        result = lambda_svc._execute_function_with_config_scope(record, invocation.event)
        with WHOLE:
            if not result.get("error"):
                del self._open[number]
            elif invocation.failures < _repeats(function):
                invocation.due = time.time() + WAIT_SECONDS[min(invocation.failures, len(WAIT_SECONDS) - 1)]
                invocation.failures += 1
                self._later(number, invocation)
            else:
                del self._open[number]
                _give_up(config, invocation.event, result)

    def _later(self, number: int, invocation: Invocation) -> None:
        def again() -> None:
            invocation.due = 0.0
            self._run(number, invocation)

        self._timeline.after(max(0.0, invocation.due - time.time()), again, settles=False)


def _repeats(function: Mapping[str, Any]) -> int:
    settings = function.get("event_invoke_config") or (function.get("event_invoke_configs") or {}).get("$LATEST") or {}
    repeats = settings.get("MaximumRetryAttempts")
    return len(WAIT_SECONDS) if repeats is None else int(repeats)


def _give_up(config: Mapping[str, Any], event: Any, result: Mapping[str, Any]) -> None:
    target = (config.get("DeadLetterConfig") or {}).get("TargetArn")
    if target:
        lambda_svc._run_with_function_config_scope(
            config, lambda_svc._route_async_failure, target, config["FunctionName"], event, result
        )
