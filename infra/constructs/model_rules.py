"""The rules of one model: an alarm asks for a retraining, a decision about a version for its deployment or end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from constructs import Construct

from driftloop.names import ModelNames, rollout_signals
from driftloop.spec import ModelSpec
from infra.constructs.model_alarms import SIGNALS
from infra.constructs.queue_rule import QueueRule
from infra.references import arn, sub


class ModelRules(Construct):
    """Only the signals that the model file retrains on are listened to; the other alarms still tell people."""

    def __init__(self, scope: Construct, id: str, spec: ModelSpec) -> None:  # noqa: A002
        super().__init__(scope, id)
        names = ModelNames(spec.name)
        signals = [signal for signal in SIGNALS if signal in spec.retraining.on]
        if signals:
            QueueRule(
                self,
                "Alarm",
                name=f"{names.base}-retrain",
                description=f"An alarm of {spec.name} asks for a retraining",
                pattern=_alarm_pattern(names, signals),
                work="retraining",
            )
        if spec.serving.mode == "serverless":
            # SageMaker does not take these versions back by itself.
            watched = rollout_signals(spec.serving.max_latency is not None)
            QueueRule(
                self,
                "Misbehaves",
                name=f"{names.base}-misbehaves",
                description=f"An alarm rings for the version of {spec.name} that serves",
                pattern=_alarm_pattern(names, watched),
                work="deployment",
            )
        QueueRule(
            self,
            "Approval",
            name=f"{names.base}-decided",
            description=f"A version of {spec.name} was approved or rejected",
            pattern={
                "source": ["aws.sagemaker"],
                "detail-type": ["SageMaker Model Package State Change"],
                "detail": {"ModelPackageGroupName": [names.base], "ModelApprovalStatus": ["Approved", "Rejected"]},
            },
            work="deployment",
        )


def _alarm_pattern(names: ModelNames, signals: Sequence[str]) -> dict[str, Any]:
    return {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "resources": [sub(arn("cloudwatch", f"alarm:{names.alarm(signal)}")) for signal in signals],
        "detail": {"state": {"value": ["ALARM"]}},
    }
