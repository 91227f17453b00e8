"""SageMaker pipelines as the Pipelines port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from driftloop.aws.hosting import is_missing
from driftloop.ports import NotFoundError, RetryableError, TerminalError

_RETRYABLE = frozenset(
    {"ThrottlingException", "ConflictException", "ServiceUnavailable", "InternalFailure", "ResourceLimitExceeded"}
)


class SageMakerPipelines:
    """Starts executions and says why they failed."""

    def __init__(self, sagemaker: Any) -> None:
        self._sagemaker = sagemaker

    def start(self, pipeline: str, parameters: Mapping[str, str], token: str) -> str:
        """Start an execution and return its ARN; the same token starts it once."""
        try:
            answer = self._sagemaker.start_pipeline_execution(
                PipelineName=pipeline,
                PipelineParameters=[{"Name": name, "Value": value} for name, value in sorted(parameters.items())],
                ClientRequestToken=token,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _RETRYABLE or _status(error) >= 500:
                raise RetryableError(f"{pipeline} could not be started now: {error}") from error
            raise TerminalError(f"{pipeline} cannot be started: {error}") from error
        arn: str = answer["PipelineExecutionArn"]
        return arn

    def status(self, execution_arn: str) -> str:
        """``Executing``, ``Stopping``, ``Stopped``, ``Failed`` or ``Succeeded``. Raises NotFoundError."""
        try:
            answer = self._sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution_arn)
        except ClientError as error:
            if is_missing(error):
                raise NotFoundError(f"{execution_arn} does not exist") from error
            raise
        return str(answer["PipelineExecutionStatus"])

    def failure(self, execution_arn: str) -> tuple[str, str]:
        """Name of the failed step and its reason; empty if none failed."""
        for step in self._steps(execution_arn):
            if step["StepStatus"] == "Failed":
                return step["StepName"], step.get("FailureReason", "no reason given")
        return "", ""

    def registered(self, execution_arn: str) -> str:
        """ARN of the version that an execution registered; empty if it registered none."""
        arns = (step.get("Metadata", {}).get("RegisterModel", {}).get("Arn") for step in self._steps(execution_arn))
        return next((arn for arn in arns if arn), "")

    def _steps(self, execution_arn: str) -> Iterator[Mapping[str, Any]]:
        pages = self._sagemaker.get_paginator("list_pipeline_execution_steps")
        for page in pages.paginate(PipelineExecutionArn=execution_arn):
            yield from page["PipelineExecutionSteps"]


def _status(error: ClientError) -> int:
    status: int = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
    return status
