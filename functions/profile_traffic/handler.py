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
from driftloop.loop.watch_rollout import RolloutWatch
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
    _watch(traffic)
    return response


def _watch(traffic: TrafficBatch) -> None:
    """Tell the alarm that guards rollouts. What was counted is counted, whatever becomes of this."""
    watch = RolloutWatch(
        wiring.models(), wiring.ledger(), wiring.objects(), wiring.CLOCK, wiring.settings().live_bucket
    )
    for model in traffic.counted:
        try:
            score = watch.score(model, traffic.profile(model))
        except Exception:
            logger.exception("the predictions cannot be compared with those before the rollout", model=model)
        else:
            if score is not None:
                emit(model, {Metric.PREDICTION_SHIFT: score})
