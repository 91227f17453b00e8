"""The schedules of one model: judge each window, and retrain at fixed times if the model file says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from driftloop.names import ModelNames
from driftloop.spec import ModelSpec
from infra import references as ref
from infra.errors import LimitError
from infra.references import arn, role_arn

SETTLING_MINUTES = 30
"""Time between the end of a window and its judgement: capture is written and counted within a few minutes."""


class ModelSchedules(Construct):
    """EventBridge Scheduler, one entry per purpose."""

    def __init__(self, scope: Construct, id: str, spec: ModelSpec) -> None:  # noqa: A002
        super().__init__(scope, id)
        self._base = ModelNames(spec.name).base
        self._schedule(
            "detect",
            window_cron(spec.monitoring.window),
            arn("lambda", f"function:{ref.function('detect_drift')}"),
            {"model": spec.name},
            dead_letters="detection",
        )
        if spec.retraining.every is not None:
            self._schedule(
                "retrain",
                rate(spec.retraining.every),
                arn("sqs", ref.queue("retraining")),
                {"model": spec.name, "trigger": "schedule"},
                dead_letters="retraining",
            )

    def _schedule(
        self, purpose: str, expression: str, target: str, message: Mapping[str, str], dead_letters: str
    ) -> None:
        queue = ref.sub(arn("sqs", ref.dead_letter_queue(dead_letters)))
        scheduler.CfnSchedule(
            self,
            purpose.title(),
            name=f"{self._base}-{purpose}",
            schedule_expression=expression,
            schedule_expression_timezone="UTC",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=ref.sub(target),
                role_arn=ref.sub(role_arn(ref.SCHEDULER_ROLE)),
                input=json.dumps(message),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=queue),
            ),
        )


def window_cron(window: timedelta) -> str:
    """When each window of a day is judged. ``window`` is whole hours and divides a day, as the model file ensures."""
    hours = int(window.total_seconds()) // 3600
    return f"cron({SETTLING_MINUTES} {','.join(str(hour) for hour in range(0, 24, hours))} * * ? *)"


def rate(every: timedelta) -> str:
    """A schedule expression. Raises LimitError for a period that is not whole minutes."""
    seconds = int(every.total_seconds())
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds and seconds % length == 0:
            number = seconds // length
            return f"rate({number} {unit}{'s' if number > 1 else ''})"
    raise LimitError(
        f"retraining.every: {seconds} s is not a whole number of minutes, which is all that schedules know"
    )
