"""The endpoint has changed: did the rollout succeed, or was it silently rolled back?"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import batch, wiring
from driftloop.aws.events import EndpointChange, parse_body
from driftloop.loop.confirm_deployment import Confirmer

logger = Logger(service="confirm_deployment")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one batch of endpoint events."""
    confirmer = Confirmer(wiring.ledger(), wiring.hosting(), wiring.scaler(), wiring.announcer(), wiring.CLOCK)

    def handle(record: batch.Record) -> str:
        return confirmer.changed(parse_body(EndpointChange, record).detail.endpoint_name)

    return batch.process(logger, event, handle)
