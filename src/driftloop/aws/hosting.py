"""SageMaker packages and endpoints as the Hosting port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from driftloop.names import SHADOW, VARIANT
from driftloop.ports import (
    Asynchronous,
    EndpointState,
    NotFoundError,
    Package,
    QuotaError,
    RetryableError,
    RolloutPlan,
    Serverless,
    ServingPlan,
    TerminalError,
)

_CSV = ["text/csv"]
_MISSING = ("could not find", "does not exist", "not found")
"""SageMaker has no error code of its own for most things that are not there."""


def is_missing(error: ClientError) -> bool:
    """True if SageMaker says that the named thing does not exist."""
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"].lower()
    return code in ("ResourceNotFound", "ResourceNotFoundException") or (
        # The runtime calls it ValidationError.
        code in ("ValidationException", "ValidationError") and any(words in message for words in _MISSING)
    )


def _person(context: Mapping[str, Any] | None) -> str:
    """ARN in a UserContext: of an identity of IAM, or of a profile in Studio."""
    context = context or {}
    return str(context.get("IamIdentity", {}).get("Arn") or context.get("UserProfileArn") or "")


def is_over_quota(error: ClientError) -> bool:
    """True if the account may not have as much of what was asked for."""
    return bool(error.response["Error"]["Code"] == "ResourceLimitExceeded")


def _exists_already(error: ClientError) -> bool:
    message = error.response["Error"]["Message"].lower()
    return "already exist" in message


class SageMakerHosting:
    """Every call can be repeated."""

    def __init__(self, sagemaker: Any) -> None:
        self._sagemaker = sagemaker

    def package(self, arn: str) -> Package:
        """One package version. Raises NotFoundError."""
        try:
            found = self._sagemaker.describe_model_package(ModelPackageName=arn)
        except ClientError as error:
            if is_missing(error):
                raise NotFoundError(f"{arn} does not exist") from error
            raise
        # A version that somebody registered by hand may have no container; it is refused when it is to serve.
        container = (found.get("InferenceSpecification", {}).get("Containers") or [{}])[0]
        return Package(
            arn=found["ModelPackageArn"],
            group=found["ModelPackageGroupName"],
            version=found["ModelPackageVersion"],
            approval=found["ModelApprovalStatus"],
            image=container.get("Image", ""),
            model_data_url=container.get("ModelDataUrl", ""),
            environment=container.get("Environment", {}),
            properties=found.get("CustomerMetadataProperties", {}),
            approval_reason=found.get("ApprovalDescription", ""),
            registered_by=_person(found.get("CreatedBy")),
            decided_by=_person(found.get("LastModifiedBy")),
            card=found.get("ModelCard", {}).get("ModelCardContent", ""),
        )

    def of_episode(self, group: str, episode_id: str) -> Package | None:
        """The version that an episode registered, if it is among the latest hundred of the group."""
        pages = self._sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending",
            PaginationConfig={"MaxItems": 100, "PageSize": 20},
        )  # fmt: skip
        found = (summary["ModelPackageArn"] for page in pages for summary in page["ModelPackageSummaryList"])
        packages = (self.package(arn) for arn in found)
        return next((package for package in packages if package.properties.get("episode_id") == episode_id), None)

    def endpoint(self, name: str) -> EndpointState | None:
        """State of an endpoint; None if there is none."""
        try:
            found = self._sagemaker.describe_endpoint(EndpointName=name)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        return EndpointState(
            found["EndpointStatus"],
            found["EndpointConfigName"],
            found.get("FailureReason", ""),
            found["LastModifiedTime"],
            _mode(found),
        )

    def prepare(self, package: Package, plan: ServingPlan) -> None:
        """Create the SageMaker model and the endpoint configuration unless they exist. Raises QuotaError."""
        if not (package.image and package.model_data_url):
            raise TerminalError(f"{package.arn} has no image or no model: register it with an inference specification")
        container = {
            "Image": package.image,
            "ModelDataUrl": package.model_data_url,
            "Environment": dict(package.environment),
        }
        self._unless_exists(
            self._sagemaker.create_model,
            ModelName=plan.name,
            ExecutionRoleArn=plan.role_arn,
            PrimaryContainer=container,
        )
        self._unless_exists(self._sagemaker.create_endpoint_config, **_endpoint_config(plan))

    def create(self, endpoint: str, config: str) -> None:
        """Create an endpoint. Raises RetryableError, QuotaError if there is no room for it."""
        self._change(self._sagemaker.create_endpoint, EndpointName=endpoint, EndpointConfigName=config)

    def update(self, endpoint: str, config: str, plan: RolloutPlan) -> None:
        """Start a blue/green update. Raises RetryableError while another one runs, QuotaError if there is no room for it."""
        self._change(
            self._sagemaker.update_endpoint,
            EndpointName=endpoint,
            EndpointConfigName=config,
            **({"RetainAllVariantProperties": True} if plan.keep_count else {}),
            **({"DeploymentConfig": _deployment_config(plan)} if plan.guarded else {}),
        )

    def remove(self, endpoint: str) -> None:
        """Delete an endpoint if it exists. Raises RetryableError."""
        try:
            self._sagemaker.delete_endpoint(EndpointName=endpoint)
        except ClientError as error:
            if not is_missing(error):
                raise RetryableError(f"delete_endpoint: {error}") from error

    def reject(self, package_arn: str, reason: str) -> None:
        """Take the approval of a version back; there is none to take from a version that is gone."""
        self._decide(package_arn, "Rejected", reason)

    def hold(self, package_arn: str, reason: str) -> None:
        """Have a version wait for its approval again."""
        self._decide(package_arn, "PendingManualApproval", reason)

    def attach_card(self, package_arn: str, content: str) -> None:
        """Put a model card into a version; whoever does that has changed it last. Raises NotFoundError."""
        card = {"ModelCardContent": content, "ModelCardStatus": "Draft"}
        try:
            self._sagemaker.update_model_package(ModelPackageArn=package_arn, ModelCard=card)
        except ClientError as error:
            if is_missing(error):
                raise NotFoundError(f"{package_arn} does not exist") from error
            raise

    def _decide(self, package_arn: str, approval: str, reason: str) -> None:
        try:
            self._sagemaker.update_model_package(
                ModelPackageArn=package_arn, ModelApprovalStatus=approval, ApprovalDescription=reason[:1024]
            )
        except ClientError as error:
            if not is_missing(error):
                raise

    def retire(self, name: str, *, keep_model: bool = False) -> None:
        """Delete an endpoint configuration and the SageMaker model of the same name, if they exist."""
        calls = [(self._sagemaker.delete_endpoint_config, "EndpointConfigName")]
        if not keep_model:
            calls.append((self._sagemaker.delete_model, "ModelName"))
        for call, key in calls:
            try:
                call(**{key: name})
            except ClientError as error:
                if not is_missing(error):
                    raise

    def _unless_exists(self, call: Any, **arguments: Any) -> None:
        try:
            call(**arguments)
        except ClientError as error:
            if not _exists_already(error):
                kind = QuotaError if is_over_quota(error) else TerminalError
                raise kind(f"{call.__name__}: {error}") from error

    def _change(self, call: Any, **arguments: Any) -> None:
        try:
            call(**arguments)
        except ClientError as error:
            if _exists_already(error):
                return
            kind = QuotaError if is_over_quota(error) else RetryableError
            raise kind(f"{call.__name__}: {error}") from error


def _mode(endpoint: Mapping[str, Any]) -> str:
    if "AsyncInferenceConfig" in endpoint:
        return "asynchronous"
    variants = endpoint.get("ProductionVariants", ())
    return "serverless" if any("CurrentServerlessConfig" in variant for variant in variants) else "realtime"


def _endpoint_config(plan: ServingPlan) -> dict[str, Any]:
    variant = {"VariantName": VARIANT, "ModelName": plan.shadow_of or plan.name}
    if isinstance(plan.on, Serverless):
        # It has no volume that a key could be for, and SageMaker captures nothing of it.
        size = {"MemorySizeInMB": plan.on.memory_mb, "MaxConcurrency": plan.on.concurrency}
        return {"EndpointConfigName": plan.name, "ProductionVariants": [{**variant, "ServerlessConfig": size}]}
    fleet = {"InstanceType": plan.on.type, "InitialInstanceCount": plan.on.count, "InitialVariantWeight": 1.0}
    # Of equal weight: the shadow is asked everything.
    shadow = {"VariantName": SHADOW, "ModelName": plan.name, **fleet}
    config = {
        "EndpointConfigName": plan.config,
        "KmsKeyId": plan.kms_key_arn,
        "ProductionVariants": [{**variant, **fleet}],
        **({"ShadowProductionVariants": [shadow]} if plan.shadow_of else {}),
    }
    if plan.asynchronous:
        # SageMaker captures nothing of it, and refuses to be asked.
        return {**config, "AsyncInferenceConfig": {"OutputConfig": _output(plan.asynchronous, plan.kms_key_arn)}}
    return {
        **config,
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": plan.capture_percent,
            "DestinationS3Uri": plan.capture_uri,
            "KmsKeyId": plan.kms_key_arn,
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": _CSV},
        },
    }


def _output(asynchronous: Asynchronous, kms_key_arn: str) -> dict[str, Any]:
    return {
        "S3OutputPath": asynchronous.answer_uri,
        "S3FailurePath": asynchronous.failure_uri,
        "KmsKeyId": kms_key_arn,
        # Of failures an alarm tells.
        "NotificationConfig": {"SuccessTopic": asynchronous.topic_arn},
    }


def _deployment_config(plan: RolloutPlan) -> dict[str, Any]:
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": plan.bake_seconds}
    if plan.canary_percent < 100:
        kind, sized = ("LINEAR", "LinearStepSize") if plan.linear else ("CANARY", "CanarySize")
        size = {"Type": "CAPACITY_PERCENT", "Value": plan.canary_percent}
        routing = {"Type": kind, sized: size, "WaitIntervalInSeconds": plan.bake_seconds}
    steps = -(-100 // plan.canary_percent) if plan.linear else 2
    policy = {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": plan.bake_seconds,
        "MaximumExecutionTimeoutInSeconds": max(3600, (steps + 2) * plan.bake_seconds),
    }
    alarms = [{"AlarmName": name} for name in plan.alarms]
    return {"BlueGreenUpdatePolicy": policy} | ({"AutoRollbackConfiguration": {"Alarms": alarms}} if alarms else {})
