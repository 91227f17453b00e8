"""A schedule that calls a function or fills a queue."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra import references as ref
from infra.references import arn, role_arn


def timed_message(
    scope: Construct,
    id: str,  # noqa: A002
    *,
    name: str,
    expression: str,
    target: str,
    message: Mapping[str, str],
    dead_letters: str,
) -> None:
    """One entry of EventBridge Scheduler. What cannot be delivered goes to the dead letters of that work."""
    scheduler.CfnSchedule(
        scope,
        id,
        name=name,
        schedule_expression=expression,
        schedule_expression_timezone="UTC",
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=scheduler.CfnSchedule.TargetProperty(
            arn=ref.sub(target),
            role_arn=ref.sub(role_arn(ref.SCHEDULER_ROLE)),
            input=json.dumps(message),
            dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                arn=ref.sub(arn("sqs", ref.dead_letter_queue(dead_letters)))
            ),
        ),
    )
