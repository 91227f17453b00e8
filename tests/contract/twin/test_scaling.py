"""Application Auto Scaling: what can be asked for an endpoint, who may, and what is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from driftloop.aws.scaling import EndpointScaling
from driftloop.ports import Scaling

from .cloud import Cloud, allow, code_of, message_of
from .test_endpoints import Endpoint

DIMENSION = "sagemaker:variant:DesiredInstanceCount"


@pytest.fixture(scope="module")
def endpoint(cloud: Cloud) -> Endpoint:
    return Endpoint(cloud)


def _register(client: Any, resource: str, **more: Any) -> Any:
    request = {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION} | more
    return client.register_scalable_target(MinCapacity=1, MaxCapacity=2, **request)


def test_only_what_is_in_service_on_instances_is_scaled(cloud: Cloud, endpoint: Endpoint) -> None:
    client = cloud.client("application-autoscaling")
    _register(client, f"endpoint/{endpoint.name}/variant/v")
    for resource in ("endpoint/none/variant/v", f"endpoint/{endpoint.name}/variant/w", "somewhere"):
        assert code_of(partial(_register, client, resource)) == "ValidationException"


def test_what_the_twin_would_not_do_is_refused(cloud: Cloud, endpoint: Endpoint) -> None:
    client = cloud.client("application-autoscaling")
    resource = f"endpoint/{endpoint.name}/variant/v"
    assert "twin" in message_of(partial(_register, client, resource, RoleARN="arn:aws:iam::123456789012:role/x"))
    target = {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION}
    step = partial(client.put_scaling_policy, **target, PolicyName="p", PolicyType="StepScaling")
    assert code_of(step) == "TwinNotSupported"
    assert code_of(partial(client.describe_scaling_activities, ServiceNamespace="sagemaker")) == "TwinNotSupported"


def test_a_caller_needs_the_permission_for_sagemakers_instances(cloud: Cloud, endpoint: Endpoint) -> None:
    resource, actions = f"endpoint/{endpoint.name}/variant/v", "application-autoscaling:RegisterScalableTarget"
    arn = cloud.arn("application-autoscaling", "scalable-target/*")

    def caller(namespace: str) -> Any:
        condition = {"StringEquals": {"application-autoscaling:service-namespace": namespace}}
        return cloud.caller("application-autoscaling", allow(actions, arn, Condition=condition))

    _register(caller("sagemaker"), resource)
    assert code_of(partial(_register, caller("ecs"), resource)) == "AccessDeniedException"


def test_the_kits_own_calls(cloud: Cloud, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftloop.aws.scaling.VARIANT", "v")
    client = cloud.client("application-autoscaling")
    scaler = EndpointScaling(client)
    for _ in range(2):
        scaler.follow(endpoint.name, Scaling(1, 3, 600))
    ids = [f"endpoint/{endpoint.name}/variant/v"]
    [target] = client.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=ids)["ScalableTargets"]
    assert target["MaxCapacity"] == 3
    for _ in range(2):
        scaler.stop(endpoint.name)
    target = {"ServiceNamespace": "sagemaker", "ResourceId": ids[0], "ScalableDimension": DIMENSION}
    assert code_of(partial(client.deregister_scalable_target, **target)) == "ObjectNotFoundException"
