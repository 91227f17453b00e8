"""On schedule: judge the last complete window of one model and publish its scores."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import wiring
from driftloop.aws.emf import emit
from driftloop.loop.detect_drift import Detector
from driftloop.names import Metric

logger = Logger(service="detect_drift")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Judge one window. What cannot be said is not published: an alarm must not see a made-up number."""
    bucket = wiring.settings().live_bucket
    detector = Detector(wiring.models(), wiring.ledger(), wiring.objects(), wiring.notifier(), bucket)
    report = detector.detect(event["model"], wiring.CLOCK.now())
    if report is None:
        logger.info("no version serves yet", model=event["model"])
        return {"verdict": None}
    scores = {
        Metric.INPUT_DRIFT: report.input_drift,
        Metric.PREDICTION_DRIFT: report.prediction_drift,
        Metric.ESTIMATED_LOSS: report.estimated_loss,
        Metric.QUALITY_LOSS: report.quality_loss,
    }
    said = {name: score for name, score in scores.items() if score is not None and not report.superseded}
    emit(report.model, said, MetricUnit.NoUnit)
    logger.info("window judged", model=report.model, verdict=report.verdict, reasons=report.reasons, rows=report.rows)
    return {"verdict": report.verdict, "reasons": report.reasons}
