"""SageMaker batch transform jobs as the Transforms port."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from driftloop.aws.hosting import is_missing, is_over_quota
from driftloop.ports import NotFoundError, QuotaError, RetryableError, TransformPlan, TransformState

_CSV = "text/csv"
_UNDER_WAY = ("InProgress", "Stopping")


class SageMakerTransforms:
    """Every call can be repeated."""

    def __init__(self, sagemaker: Any) -> None:
        self._sagemaker = sagemaker

    def start(self, plan: TransformPlan) -> None:
        """Start a job unless there is one of this name. Raises RetryableError, QuotaError if there is no room for it."""
        try:
            self._sagemaker.create_transform_job(**_request(plan))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceInUse":
                kind = QuotaError if is_over_quota(error) else RetryableError
                raise kind(f"create_transform_job: {error}") from error

    def state(self, name: str) -> TransformState:
        """What a job does. Raises NotFoundError."""
        try:
            found = self._sagemaker.describe_transform_job(TransformJobName=name)
        except ClientError as error:
            if is_missing(error):
                raise NotFoundError(f"transform job {name} does not exist") from error
            raise
        return TransformState(found["TransformJobStatus"], found.get("FailureReason", ""))

    def running(self, base: str) -> str:
        """Name of a job ``<base>-<anything without a hyphen>`` that has not ended; empty if there is none."""
        for status in _UNDER_WAY:
            pages = self._sagemaker.get_paginator("list_transform_jobs").paginate(
                NameContains=base, StatusEquals=status
            )
            for job in (job for page in pages for job in page["TransformJobSummaries"]):
                if job["TransformJobName"].rpartition("-")[0] == base:
                    return str(job["TransformJobName"])
        return ""


def _request(plan: TransformPlan) -> dict[str, Any]:
    return {
        "TransformJobName": plan.name,
        "ModelName": plan.sagemaker_model,
        "BatchStrategy": "MultiRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": plan.manifest_uri}},
            "ContentType": _CSV,
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": plan.output_uri,
            "Accept": _CSV,
            "AssembleWith": "Line",
            "KmsKeyId": plan.kms_key_arn,
        },
        # Each line out is the row's id and its probability.
        "DataProcessing": {"JoinSource": "Input", "OutputFilter": "$[0,-1]"},
        "TransformResources": {
            "InstanceType": plan.on.type,
            "InstanceCount": plan.on.count,
            "VolumeKmsKeyId": plan.kms_key_arn,
        },
    }
