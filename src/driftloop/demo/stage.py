"""The stage of the demo: a twin with the kit deployed into it by the real CDK CLI."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from driftloop.aws.ledger import DynamoLedger
from driftloop.names import LEDGER_TABLE, PLATFORM_STACK, ModelNames, bucket
from driftloop.twin import deployment, lifecycle
from driftloop.twin.lifecycle import Twin

T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """A twin and the kit in it, seen from outside with an administrator's credentials."""

    twin: Twin
    model: str
    folder: Path

    def deploy(self) -> None:
        """Deploy the stacks. Raises ToolkitError."""
        deployment.deploy(self.twin, self.folder / deployment.ASSEMBLY, self.folder / deployment.LOG)

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return deployment.client(self.twin, service)

    def bucket(self, kind: str) -> str:
        """Name of the ``live``, ``curated`` or ``artifacts`` bucket."""
        return bucket(kind, self.twin.account, self.twin.region)

    @cached_property
    def ledger(self) -> DynamoLedger:
        """The ledger."""
        return DynamoLedger(self.client("dynamodb"), LEDGER_TABLE)

    def stacks(self) -> list[dict[str, Any]]:
        """Name, number of resources and status of the kit's stacks."""
        formation = self.client("cloudformation")
        return [self._stack(formation, name) for name in (PLATFORM_STACK, ModelNames(self.model).base)]

    @staticmethod
    def _stack(formation: Any, name: str) -> dict[str, Any]:
        pages = formation.get_paginator("list_stack_resources").paginate(StackName=name)
        resources = sum(len(page["StackResourceSummaries"]) for page in pages)
        status = formation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return {"name": name, "resources": resources, "status": status}


class Timer:
    """Seconds of real time by name."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def measure(self, name: str, work: Callable[[], T]) -> T:
        """Run something and note how long it took."""
        begun = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds[name] = round(time.perf_counter() - begun, 2)

    def total(self) -> float:
        """Seconds since the start."""
        return round(time.perf_counter() - self._begun, 2)


def set_stage(folder: Path, model: str, begin: datetime, timer: Timer) -> Stage:
    """Boot and bootstrap a twin, and synthesise what is to be deployed into it. Raises TwinError or ToolkitError.

    The twin ends when this process ends, however that happens.
    """
    log, assembly = folder / deployment.LOG, folder / deployment.ASSEMBLY
    with ThreadPoolExecutor(1) as pool:
        # Nothing in the templates depends on where they go, so both can be made at once.
        synthesis: Future[None] = pool.submit(timer.measure, "synth", lambda: deployment.synthesise(assembly, log))
        twin = timer.measure("boot", lambda: lifecycle.start(folder / "twin", begin=begin, attached=True))
        deployment.bootstrap(twin, log)
        synthesis.result()
    return Stage(twin, model, folder)
