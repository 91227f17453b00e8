"""Model cards from within a function whose work is another: what cannot be written is said and counted, and that is all."""

from __future__ import annotations

from dataclasses import dataclass

from aws_lambda_powertools import Logger

from driftloop.aws.emf import emit
from driftloop.loop.write_card import CardWriter
from driftloop.names import Metric, model_of_execution


@dataclass(frozen=True)
class Cards:
    """Never fails, and does nothing twice."""

    writer: CardWriter
    logger: Logger

    def __call__(self, execution_arn: str) -> None:
        """Write the card of the version that an execution registered."""
        try:
            outcome = self.writer.write(execution_arn)
        except Exception as error:  # whatever it is, neither version nor episode may suffer from it
            reason = f"{type(error).__name__}: {error}"
            self.logger.warning("model card not written", execution=execution_arn, reason=reason)
            emit(model_of_execution(execution_arn), {Metric.CARDS_NOT_WRITTEN: 1})
        else:
            self.logger.info("model card", execution=execution_arn, outcome=outcome)
