"""Requests for a retraining (alarm rule, schedule or by hand, through SQS): decide, and start each episode once."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import batch, wiring
from driftloop.aws.events import parse_request
from driftloop.loop.start_retraining import Starter

logger = Logger(service="start_retraining")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one batch of requests."""
    starter = Starter(wiring.models(), wiring.ledger(), wiring.pipelines(), wiring.announcer(), wiring.CLOCK)

    def handle(record: batch.Record) -> str:
        request = parse_request(record)
        if request is None:
            return "asks for nothing"
        episode = starter.handle(request)
        return f"episode {episode.id} of {episode.model}: {episode.status} by rule {episode.rule}: {episode.outcome}"

    return batch.process(logger, event, handle)
