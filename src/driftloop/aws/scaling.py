"""Application Auto Scaling as the Scaler port."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from driftloop.names import VARIANT
from driftloop.ports import Scaling

_POLICY = "driftloop"


class EndpointScaling:
    """The instances of an endpoint's only variant."""

    def __init__(self, autoscaling: Any) -> None:
        self._autoscaling = autoscaling

    def follow(self, endpoint: str, scaling: Scaling) -> None:
        """From now on the number of instances follows the requests."""
        target = _target(endpoint)
        self._autoscaling.register_scalable_target(**target, MinCapacity=scaling.least, MaxCapacity=scaling.most)
        self._autoscaling.put_scaling_policy(
            **target,
            PolicyName=_POLICY,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": scaling.requests,
                "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            },
        )

    def stop(self, endpoint: str) -> None:
        """The number of instances stays as it is; the policy and its alarms go with the target."""
        try:
            self._autoscaling.deregister_scalable_target(**_target(endpoint))
        except ClientError as error:
            if not error.response["Error"]["Message"].startswith("No scalable target found"):
                raise


def _target(endpoint: str) -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
