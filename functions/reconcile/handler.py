"""On schedule: repair what lost events, crashes and refusals left behind."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import wiring
from driftloop.aws.emf import emit_function
from driftloop.loop.confirm_deployment import Confirmer
from driftloop.loop.reconcile import Reconciler
from driftloop.loop.start_retraining import Starter
from driftloop.names import Metric

logger = Logger(service="reconcile")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, dict[str, str]]:
    """Look after all models; the answer names those for which something was done, or could not be."""
    models, ledger, pipelines = wiring.models(), wiring.ledger(), wiring.pipelines()
    announcer, clock = wiring.announcer(), wiring.CLOCK
    found = Reconciler(
        Starter(models, ledger, pipelines, announcer, clock),
        wiring.tracker(logger),
        wiring.decisions(),
        Confirmer(ledger, wiring.hosting(), wiring.scaler(), announcer, clock),
        wiring.alarms(),
        wiring.pool().map,
    ).reconcile()
    for model, outcome in found.done.items():
        logger.info("model looked after", model=model, outcome=outcome)
    for model, reason in found.failed.items():
        logger.error("model not looked after", model=model, reason=reason)
    emit_function(
        "reconcile",
        {Metric.MODELS_RECONCILED: found.models - len(found.failed), Metric.MODELS_FAILED: len(found.failed)},
    )
    return {"done": found.done, "failed": found.failed}
