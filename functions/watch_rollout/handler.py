"""An endpoint has begun to change: look every minute at what the version that comes answers, until its rollout is over."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import batch, wiring
from driftloop.aws.emf import emit
from driftloop.aws.events import EndpointChange, parse_body
from driftloop.loop.watch_rollout import RolloutWatch
from driftloop.names import Metric, model_of_endpoint
from driftloop.ports import RetryableError, TerminalError

logger = Logger(service="watch_rollout")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one endpoint event, which comes back as long as there is something to look at."""
    watch = RolloutWatch(
        wiring.models(),
        wiring.ledger(),
        wiring.hosting(),
        wiring.objects(),
        wiring.CLOCK,
        wiring.settings().live_bucket,
        wiring.pool().map,
    )

    def handle(record: batch.Record) -> str:
        endpoint = parse_body(EndpointChange, record).detail.endpoint_name
        try:
            look = watch.look(endpoint)
        except TerminalError as error:
            # It does not heal, and people hear of it from whatever else needs the same.
            return f"{endpoint} is not watched: {error}"
        if look is None:
            return f"no version is on its way to {endpoint}"
        if look.score is not None:
            emit(model_of_endpoint(endpoint), {Metric.PREDICTION_SHIFT: look.score})
        raise RetryableError(f"{look.reason}; looked at again in a minute")

    return batch.process(logger, event, handle)
