"""SageMaker's control plane: what the twin does itself, and what moto remembers for it. The rest is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from driftloop.twin import async_inference, shadows
from driftloop.twin.activity import WHOLE
from driftloop.twin.cards import check_card
from driftloop.twin.endpoints import Endpoint
from driftloop.twin.errors import ApiError, unsupported
from driftloop.twin.fleets import Version
from driftloop.twin.hosting import Hosting
from driftloop.twin.jobs import Job, Jobs, Platform
from driftloop.twin.pipelines import Announce, Execution, Pipelines, parse_definition
from driftloop.twin.requests import check_request, only
from driftloop.twin.transforms import Transforms, describe, summary

Request = Mapping[str, Any]
Answer = dict[str, Any]

RECORDS = frozenset(
    {
        "CreateModelPackageGroup", "DescribeModelPackageGroup", "DeleteModelPackageGroup", "ListModelPackageGroups",
        "CreateModelPackage", "DescribeModelPackage", "UpdateModelPackage", "DeleteModelPackage", "ListModelPackages",
        "CreateModel", "DescribeModel", "DeleteModel", "ListModels",
        "CreateEndpointConfig", "DescribeEndpointConfig", "DeleteEndpointConfig", "ListEndpointConfigs",
        "CreatePipeline", "DescribePipeline", "UpdatePipeline", "DeletePipeline", "ListPipelines",
        "AddTags", "ListTags", "DeleteTags",
    }
)  # fmt: skip
"""Operations whose records moto keeps."""

_HONOURED = {
    "StartPipelineExecution": {"PipelineName", "PipelineParameters", "ClientRequestToken"},
    "ListPipelineExecutions": {"PipelineName"},
    "ListPipelineExecutionSteps": {"PipelineExecutionArn"},
    "ListEndpoints": {"NameContains"},
    "ListTransformJobs": {
        "NameContains",
        "StatusEquals",
        "CreationTimeAfter",
        "CreationTimeBefore",
        "SortBy",
        "SortOrder",
        "MaxResults",
        "NextToken",
    },
    "CreateModel": {"ModelName", "PrimaryContainer", "ExecutionRoleArn", "Tags"},
    "CreateEndpointConfig": {
        "EndpointConfigName",
        "ProductionVariants",
        "ShadowProductionVariants",
        "DataCaptureConfig",
        "KmsKeyId",
        "Tags",
        "AsyncInferenceConfig",
    },
}
"""Fields of operations that would be done otherwise than asked if the rest were ignored."""

_PASSES_ROLE = {"CreateModel": "ExecutionRoleArn", "CreatePipeline": "RoleArn", "UpdatePipeline": "RoleArn",
                "CreateProcessingJob": "RoleArn", "CreateTrainingJob": "RoleArn"}  # fmt: skip


class Records(Protocol):
    """Keeps what is only remembered."""

    def call(self, operation: str, request: Request) -> Answer:
        """Perform one of RECORDS. Raises ApiError."""
        ...

    def sign(self, arn: str, who: str, created: bool) -> None:
        """Note who registered a version, or changed it last."""
        ...


class ControlPlane:
    """Answers SageMaker requests."""

    def __init__(
        self,
        platform: Platform,
        records: Records,
        jobs: Jobs,
        transforms: Transforms,
        pipelines: Pipelines,
        hosting: Hosting,
        announce: Announce,
        may_pass: Callable[[str, str], str],
        who: Callable[[str], str],
    ) -> None:
        """``who`` is the ARN of whoever signs with a key."""
        self._who = who
        self._platform, self._records, self._announce, self._may_pass = platform, records, announce, may_pass
        self._jobs, self._transforms, self._pipelines, self._hosting = jobs, transforms, pipelines, hosting
        self._own: dict[str, Callable[[Request], Answer]] = {
            "StartPipelineExecution": self._start_execution,
            "StopPipelineExecution": self._stop_execution,
            "DescribePipelineExecution": self._describe_execution,
            "ListPipelineExecutions": self._list_executions,
            "ListPipelineExecutionSteps": self._list_steps,
            "CreateEndpoint": lambda r: {"EndpointArn": hosting.create(r).arn},
            "UpdateEndpoint": lambda r: {"EndpointArn": hosting.update(r).arn},
            "DeleteEndpoint": self._delete_endpoint,
            "DescribeEndpoint": lambda r: _endpoint(hosting.get(r["EndpointName"])),
            "ListEndpoints": lambda r: {"Endpoints": [_listed(e) for e in hosting.all() if r.get("NameContains", "") in e.name]},
            "CreateTransformJob": lambda r: {"TransformJobArn": transforms.start(r).arn},
            "DescribeTransformJob": lambda r: describe(transforms.get(r["TransformJobName"])),
            "StopTransformJob": self._stop_transform,
            "ListTransformJobs": self._list_transforms,
            **{f"{verb}{kind}Job": self._job_operation(verb, kind) for kind in ("Processing", "Training")
               for verb in ("Create", "Describe", "Stop")},
        }  # fmt: skip

    def call(self, operation: str, request: Request, access_key: str) -> Answer:
        """Perform one operation. Raises ApiError."""
        check_request("sagemaker", operation, request)
        if operation in _HONOURED:
            only(operation, request, _HONOURED[operation])
        role = request.get(_PASSES_ROLE.get(operation, ""))
        if role and (refusal := self._may_pass(access_key, role)):
            raise ApiError("AccessDeniedException", refusal, 403)
        if operation in self._own:
            return self._own[operation](request)
        if operation not in RECORDS:
            raise unsupported(f"sagemaker:{operation}")
        if operation in ("CreatePipeline", "UpdatePipeline") and "PipelineDefinition" in request:
            parse_definition(request["PipelineDefinition"])
        if operation == "CreateEndpointConfig":
            async_inference.check_config(request)
            shadows.check_config(request)
        check_card(request.get("ModelCard", {}))
        return self._record(operation, request, access_key)

    def _record(self, operation: str, request: Request, access_key: str) -> Answer:
        with WHOLE:
            answer = self._records.call(operation, request)
            if operation in ("CreateModelPackage", "UpdateModelPackage"):
                self._records.sign(answer["ModelPackageArn"], self._who(access_key), operation == "CreateModelPackage")
                self._tell_package(answer["ModelPackageArn"])
        return answer

    def _tell_package(self, arn: str) -> None:
        package = self._records.call("DescribeModelPackage", {"ModelPackageName": arn})
        detail = {
            "ModelPackageName": f"{package['ModelPackageGroupName']}/{package['ModelPackageVersion']}",
            "ModelPackageGroupName": package["ModelPackageGroupName"],
            "ModelPackageVersion": package["ModelPackageVersion"],
            "ModelPackageArn": arn,
            "CreationTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "ModelPackageStatus": package["ModelPackageStatus"],
            "ModelApprovalStatus": package["ModelApprovalStatus"],
            "CustomerMetadataProperties": package.get("CustomerMetadataProperties", {}),
        }
        self._announce("aws.sagemaker", "SageMaker Model Package State Change", detail, [arn])

    def _start_execution(self, request: Request) -> Answer:
        name = request["PipelineName"].rpartition("/")[2]
        pipeline = self._records.call("DescribePipeline", {"PipelineName": name})
        execution = self._pipelines.start(name, pipeline["RoleArn"], pipeline["PipelineDefinition"], request)
        return {"PipelineExecutionArn": execution.arn}

    def _stop_execution(self, request: Request) -> Answer:
        execution = self._pipelines.get(request["PipelineExecutionArn"])
        self._pipelines.stop(execution)
        return {"PipelineExecutionArn": execution.arn}

    def _describe_execution(self, request: Request) -> Answer:
        execution = self._pipelines.get(request["PipelineExecutionArn"])
        failure = {"FailureReason": execution.failure} if execution.failure else {}
        return {
            "PipelineArn": execution.pipeline_arn, "PipelineExecutionArn": execution.arn,
            "PipelineExecutionStatus": execution.status, "CreationTime": execution.started,
            "LastModifiedTime": execution.modified, **failure,
        }  # fmt: skip

    def _list_executions(self, request: Request) -> Answer:
        return {"PipelineExecutionSummaries": [_summary(e) for e in self._pipelines.of(request["PipelineName"])]}

    def _list_steps(self, request: Request) -> Answer:
        return {"PipelineExecutionSteps": self._pipelines.get(request["PipelineExecutionArn"]).steps[::-1]}

    def _delete_endpoint(self, request: Request) -> Answer:
        self._hosting.delete(request["EndpointName"])
        return {}

    def _stop_transform(self, request: Request) -> Answer:
        self._transforms.stop(self._transforms.get(request["TransformJobName"]))
        return {}

    def _list_transforms(self, request: Request) -> Answer:
        jobs, token = self._transforms.page(request)
        return {"TransformJobSummaries": [summary(job) for job in jobs], **({"NextToken": token} if token else {})}

    def _job_operation(self, verb: str, kind: str) -> Callable[[Request], Answer]:
        def perform(request: Request) -> Answer:
            if verb == "Create":
                return {f"{kind}JobArn": self._jobs.start(kind.lower(), request).arn}
            job = self._jobs.get(kind.lower(), request[f"{kind}JobName"])
            if verb == "Stop":
                self._jobs.stop(job)
                return {}
            return _job(kind, job)

        return perform


def _job(kind: str, job: Job) -> Answer:
    answer: Answer = {
        **job.request, f"{kind}JobArn": job.arn, f"{kind}JobStatus": job.status, "CreationTime": job.created, **job.outcome,
    }  # fmt: skip
    if kind == "Training":
        answer["SecondaryStatus"] = {"InProgress": "Training"}.get(job.status, job.status)
        answer.setdefault("ModelArtifacts", {"S3ModelArtifacts": ""})
    if job.failure:
        answer["FailureReason"] = job.failure
    return answer


def _summary(execution: Execution) -> Answer:
    return {
        "PipelineExecutionArn": execution.arn, "StartTime": execution.started,
        "PipelineExecutionStatus": execution.status,
    }  # fmt: skip


def _endpoint(endpoint: Endpoint) -> Answer:
    more: Answer = {"FailureReason": endpoint.failure} if endpoint.failure else {}
    # What it runs on is known from its fleet: its configuration may have been deleted.
    fleet = endpoint.fleet
    if fleet:
        more["ProductionVariants"] = [_variant(fleet.version)]
        if fleet.version.asynchronous:
            more["AsyncInferenceConfig"] = fleet.version.asynchronous
    if isinstance(fleet, shadows.ShadowedFleet):
        more["ShadowProductionVariants"] = [_variant(fleet.shadow.version)]
    return {
        "EndpointName": endpoint.name, "EndpointArn": endpoint.arn, "EndpointConfigName": endpoint.config,
        "EndpointStatus": endpoint.status, "CreationTime": endpoint.created, "LastModifiedTime": endpoint.modified, **more,
    }  # fmt: skip


def _variant(version: Version) -> Answer:
    weights = {"CurrentWeight": version.weight, "DesiredWeight": version.weight}
    if version.serverless:
        return {"VariantName": version.variant, **weights, "CurrentServerlessConfig": version.serverless}
    counts = {"CurrentInstanceCount": version.instances, "DesiredInstanceCount": version.instances}
    return {"VariantName": version.variant, **weights, **counts}


def _listed(endpoint: Endpoint) -> Answer:
    return {
        "EndpointName": endpoint.name, "EndpointArn": endpoint.arn, "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created, "LastModifiedTime": endpoint.modified,
    }  # fmt: skip
