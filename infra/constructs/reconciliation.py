"""The schedule that looks after all models, so that no lost event stays lost."""

from __future__ import annotations

from datetime import timedelta

from constructs import Construct

from driftloop.names import PREFIX
from infra import references as ref
from infra.constructs.model_schedules import rate
from infra.constructs.timed_message import timed_message
from infra.references import arn

PERIOD = timedelta(hours=1)
"""What events bring about within minutes is repaired within the next of these."""


class Reconciliation(Construct):
    """One schedule for all models."""

    def __init__(self, scope: Construct, id: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        timed_message(
            self,
            "Schedule",
            name=f"{PREFIX}-reconcile",
            expression=rate(PERIOD),
            target=arn("lambda", f"function:{ref.function('reconcile')}"),
            message={},
            dead_letters="reconciliation",
        )
