"""The schedules of one model: judge each window; look at a shadow, retrain and answer files of rows, at fixed times if the model file says so."""

from __future__ import annotations

from datetime import timedelta

from constructs import Construct

from driftloop.names import ModelNames
from driftloop.spec import ModelSpec
from infra import references as ref
from infra.constructs.timed_message import timed_message
from infra.errors import LimitError
from infra.references import arn

SETTLING_MINUTES = 30
"""Time between the end of a window and its judgement: capture is written and counted within a few minutes."""


class ModelSchedules(Construct):
    """EventBridge Scheduler, one entry per purpose."""

    def __init__(self, scope: Construct, id: str, spec: ModelSpec) -> None:  # noqa: A002
        super().__init__(scope, id)
        base = ModelNames(spec.name).base
        timed_message(
            self,
            "Detect",
            name=f"{base}-detect",
            expression=window_cron(spec.monitoring.window),
            target=arn("lambda", f"function:{ref.function('detect_drift')}"),
            message={"model": spec.name},
            dead_letters="detection",
        )
        if spec.serving.rollout.shadow is not None:
            timed_message(
                self,
                "Compare",
                name=f"{base}-compare",
                expression=rate(timedelta(hours=1)),
                target=arn("lambda", f"function:{ref.function('compare_shadow')}"),
                message={"model": spec.name},
                dead_letters="comparison",
            )
        if spec.retraining.every is not None:
            timed_message(
                self,
                "Retrain",
                name=f"{base}-retrain",
                expression=rate(spec.retraining.every),
                target=arn("sqs", ref.queue("retraining")),
                # The scheduler writes the time in: a message that comes twice asks for one retraining.
                message={"model": spec.name, "trigger": "schedule", "time": "<aws.scheduler.scheduled-time>"},
                dead_letters="retraining",
            )
        if spec.serving.batch.every is not None:
            timed_message(
                self,
                "Batch",
                name=f"{base}-batch",
                expression=rate(spec.serving.batch.every),
                target=arn("sqs", ref.queue("batch")),
                # The time names the job: a message that comes twice starts one.
                message={"model": spec.name, "time": "<aws.scheduler.scheduled-time>"},
                dead_letters="batch",
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
    raise LimitError(f"{seconds} s is not a whole number of minutes, which is all that schedules know")
