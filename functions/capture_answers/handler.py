"""Answers of asynchronous endpoints (SNS through SQS) become captures."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import batch, wiring
from driftloop.aws.events import parse_answered
from driftloop.loop.capture_answers import AnswerCapture

logger = Logger(service="capture_answers")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one batch of notifications."""
    capture = AnswerCapture(wiring.models(), wiring.objects(), wiring.settings().live_bucket)

    def handle(record: batch.Record) -> str:
        answered = parse_answered(record)
        return capture.capture(answered) if answered else "SageMaker tries the topic"

    return batch.process(logger, event, handle)
