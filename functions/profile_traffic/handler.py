"""Captured traffic (S3 through SQS) becomes profile shards and decoded rows."""

from __future__ import annotations

from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import batch, wiring
from driftloop.aws.emf import emit
from driftloop.aws.events import parse_sources
from driftloop.loop.baselines import baseline_in_force
from driftloop.loop.profile_traffic import TrafficBatch
from driftloop.names import Metric

logger = Logger(service="profile_traffic")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one batch of notifications; if the results cannot be written the whole batch comes back."""
    ledger, objects = wiring.ledger(), wiring.objects()
    traffic = TrafficBatch(wiring.models(), objects, partial(baseline_in_force, ledger, objects))

    def handle(record: batch.Record) -> str:
        sources = parse_sources(record)
        for source in sources:
            traffic.add(source)
        return f"{len(sources)} capture objects"

    response = batch.process(logger, event, handle)
    traffic.flush()
    for model in traffic.counted:
        emit(model, {Metric.ROWS_COUNTED: traffic.counted[model], Metric.ROWS_QUARANTINED: traffic.quarantined[model]})
    return response
