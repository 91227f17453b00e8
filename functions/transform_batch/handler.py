"""Files of rows are answered by batch transform jobs: on schedule one is started, at its end its answers are brought in."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import batch, wiring
from driftloop.aws.events import BatchDue, parse_batch_news
from driftloop.loop.transform_batch import Batches

logger = Logger(service="transform_batch")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one batch of messages."""
    settings = wiring.settings()
    batches = Batches(
        wiring.models(), wiring.ledger(), wiring.objects(), wiring.transforms(), wiring.notifier(), wiring.CLOCK,
        settings.live_bucket, settings.kms_key_arn,
    )  # fmt: skip

    def handle(record: batch.Record) -> str:
        news = parse_batch_news(record)
        if isinstance(news, BatchDue):
            return batches.due(news.model, news.time)
        return batches.ended(news.detail.transform_job_name)

    return batch.process(logger, event, handle)
