"""Application Auto Scaling: the adapter on moto, whose records the twin keeps, too (tests/contract/twin)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from driftloop.aws.scaling import EndpointScaling
from driftloop.ports import Scaler, Scaling
from driftloop.simulation.fakes import FakeScaler
from tests.contract.conftest import BOTH
from tests.fakes import examples as ex

RESOURCE = f"endpoint/{ex.BASE}/variant/AllTraffic"


@pytest.fixture
def scaler(kind: str, aws: Callable[[str], Any]) -> Scaler:
    return FakeScaler() if kind == "fake" else EndpointScaling(aws("application-autoscaling"))


@BOTH
def test_every_call_can_be_repeated(scaler: Scaler) -> None:
    scaler.stop(ex.BASE)
    for most in (4, 4, 6):
        scaler.follow(ex.BASE, Scaling(2, most, 600))
    for _ in range(2):
        scaler.stop(ex.BASE)


def test_what_is_asked_of_aws(aws: Callable[[str], Any]) -> None:
    client = aws("application-autoscaling")
    EndpointScaling(client).follow(ex.BASE, Scaling(2, 6, 900))
    [target] = client.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[RESOURCE])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 6)
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    [policy] = client.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=RESOURCE)["ScalingPolicies"]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 900
    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert metric == "SageMakerVariantInvocationsPerInstance"
    EndpointScaling(client).stop(ex.BASE)
    assert client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
