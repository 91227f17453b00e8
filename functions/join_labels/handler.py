"""Labels (S3 through SQS) meet the predictions they belong to."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import batch, wiring
from driftloop.aws.emf import emit
from driftloop.aws.events import parse_sources
from driftloop.loop.join_labels import LabelBatch
from driftloop.names import Metric

logger = Logger(service="join_labels")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one batch of notifications; labels whose prediction is not there yet wait in the queue."""
    labels = LabelBatch(wiring.models(), wiring.objects(), wiring.CLOCK)

    def handle(record: batch.Record) -> str:
        sources = parse_sources(record)
        for source in sources:
            labels.add(source, int(record["attributes"]["ApproximateReceiveCount"]))
        return f"{len(sources)} label objects"

    response = batch.process(logger, event, handle)
    labels.flush()
    for model in labels.joined:
        emit(model, {Metric.LABELS_JOINED: labels.joined[model], Metric.LABELS_QUARANTINED: labels.quarantined[model]})
    return response
