"""A version was approved or rejected, in Studio, the console, by API or by the pipeline: the event decides. Or an alarm
rings for one that has just been rolled out."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import batch, wiring
from driftloop.aws.events import AlarmStateChange, parse_news
from driftloop.loop.deploy_model import Deployer

logger = Logger(service="deploy_model")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one batch of decisions and alarms."""
    settings = wiring.settings()
    deployer = Deployer(
        wiring.models(),
        wiring.ledger(),
        wiring.hosting(),
        wiring.scaler(),
        wiring.announcer(),
        wiring.CLOCK,
        settings.live_bucket,
        settings.kms_key_arn,
        settings.answers_topic_arn,
    )

    def handle(record: batch.Record) -> str:
        event = parse_news(record)
        if isinstance(event, AlarmStateChange):
            return deployer.rang(event.raised())
        return deployer.decided(event.detail.model_package_arn)

    return batch.process(logger, event, handle)
