"""On schedule: compare one model's shadow, if it has one, with the version that serves."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import wiring
from driftloop.loop.compare_shadow import Comparer

logger = Logger(service="compare_shadow")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Write the comparison anew, and decide when the shadow's time is over."""
    comparer = Comparer(
        wiring.models(),
        wiring.ledger(),
        wiring.hosting(),
        wiring.objects(),
        wiring.usages(),
        wiring.decisions(),
        wiring.CLOCK,
        wiring.settings().live_bucket,
    )
    done = comparer.compare(event["model"])
    logger.info(done, model=event["model"])
    return {"done": done}
