"""On schedule: repair what lost events, crashes and refusals left behind."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import wiring
from driftloop.loop.confirm_deployment import Confirmer
from driftloop.loop.reconcile import Reconciler
from driftloop.loop.start_retraining import Starter
from driftloop.loop.track_episode import Tracker

logger = Logger(service="reconcile")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Look after all models; the answer names those for which something was done."""
    models, ledger, pipelines = wiring.models(), wiring.ledger(), wiring.pipelines()
    notifier, clock = wiring.notifier(), wiring.CLOCK
    done = Reconciler(
        Starter(models, ledger, pipelines, notifier, clock),
        Tracker(ledger, pipelines, notifier, clock),
        wiring.decisions(),
        Confirmer(ledger, wiring.hosting(), notifier, clock),
        wiring.alarms(),
    ).reconcile()
    for model, outcome in done.items():
        logger.info("model looked after", model=model, outcome=outcome)
    return done
