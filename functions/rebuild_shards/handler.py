"""Hours of a backfill (through SQS): profile shards and decoded rows of past traffic are written again."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import batch, wiring
from driftloop.aws.backfill import HourMessage
from driftloop.aws.captures import S3Captures
from driftloop.aws.clients import client
from driftloop.aws.events import parse_body
from driftloop.loop.backfill import Rebuilder

logger = Logger(service="rebuild_shards")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one batch of hours. No metric is published: these rows were counted when they arrived."""
    bucket = wiring.settings().live_bucket
    rebuilder = Rebuilder(wiring.models(), wiring.objects(), S3Captures(client("s3")), bucket)

    def handle(record: batch.Record) -> str:
        task = parse_body(HourMessage, record).task()
        logger.append_keys(model=task.model, hour=task.hour.isoformat(), run=task.run)
        done = rebuilder.rebuild(task)
        return f"{done.objects} objects, {done.rows} rows, {done.quarantined} quarantined"

    return batch.process(logger, event, handle)
