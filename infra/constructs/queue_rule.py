"""An EventBridge rule that puts matching events into a work queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_events as events
from constructs import Construct

from infra import references as ref
from infra.references import arn


class QueueRule(Construct):
    """Events that the queue cannot take go to its dead-letter queue."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        name: str,
        description: str,
        pattern: Mapping[str, Any],
        work: str,
    ) -> None:
        super().__init__(scope, id)
        dead_letters = ref.sub(arn("sqs", ref.dead_letter_queue(work)))
        self.resource = events.CfnRule(
            self,
            "Resource",
            name=name,
            description=description,
            event_pattern=pattern,
            state="ENABLED",
            targets=[
                events.CfnRule.TargetProperty(
                    id=work,
                    arn=ref.sub(arn("sqs", ref.queue(work))),
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=dead_letters),
                )
            ],
        )
