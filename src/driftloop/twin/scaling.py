"""Application Auto Scaling for endpoints: what is asked is checked and recorded. How many processes serve does not follow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from driftloop.twin.errors import ApiError, unsupported
from driftloop.twin.requests import check_request, only

Request = Mapping[str, Any]
SERVICE = "application-autoscaling"
_VARIANT = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
_METRIC = "SageMakerVariantInvocationsPerInstance"
_TARGET = {"ServiceNamespace", "ResourceId", "ScalableDimension"}
_HONOURED = {
    "RegisterScalableTarget": {*_TARGET, "MinCapacity", "MaxCapacity"},
    "DeregisterScalableTarget": _TARGET,
    "PutScalingPolicy": {*_TARGET, "PolicyName", "PolicyType", "TargetTrackingScalingPolicyConfiguration"},
    "DescribeScalableTargets": {"ServiceNamespace", "ResourceIds"},
    "DescribeScalingPolicies": {"ServiceNamespace", "ResourceId"},
}


class ScalingPlane:
    """Answers the API."""

    def __init__(
        self, records: Callable[[str, Request], dict[str, Any]], describe: Callable[[str, Request], dict[str, Any]]
    ) -> None:
        """``records`` keeps targets and policies; ``describe`` asks SageMaker. Both raise ApiError."""
        self._records, self._describe = records, describe

    def call(self, operation: str, request: Request) -> dict[str, Any]:
        """Perform one operation. Raises ApiError."""
        check_request(SERVICE, operation, request)
        if operation not in _HONOURED:
            raise unsupported(f"{SERVICE}:{operation}")
        only(operation, request, _HONOURED[operation])
        if request["ServiceNamespace"] != "sagemaker":
            raise unsupported(f"scaling of {request['ServiceNamespace']}")
        if operation == "RegisterScalableTarget":
            self._check_target(request)
        if operation == "PutScalingPolicy":
            _check_policy(request)
        return self._records(operation, request)

    def _check_target(self, request: Request) -> None:
        found = _VARIANT.fullmatch(request["ResourceId"])
        if not found:
            raise _invalid(f"Unsupported resource: {request['ResourceId']}")
        try:
            endpoint = self._describe("DescribeEndpoint", {"EndpointName": found[1]})
            config = self._describe("DescribeEndpointConfig", {"EndpointConfigName": endpoint["EndpointConfigName"]})
        except ApiError as error:
            raise _invalid(f"SageMaker endpoint {found[1]} does not exist: {error}") from None
        variants = {variant["VariantName"]: variant for variant in config["ProductionVariants"]}
        if endpoint["EndpointStatus"] != "InService" or "InstanceType" not in variants.get(found[2], {}):
            raise _invalid(f"{request['ResourceId']} is no variant on instances that is in service")


def _check_policy(request: Request) -> None:
    policy = request.get("TargetTrackingScalingPolicyConfiguration", {})
    metric = policy.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    if request.get("PolicyType") != "TargetTrackingScaling" or metric != _METRIC:
        raise unsupported(f"a scaling policy that does not track {_METRIC}")


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)
