"""Batch transform jobs: the adapter on moto, and what it asks of SageMaker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.stub import Stubber

from driftloop.aws.transforms import SageMakerTransforms
from driftloop.ports import Instances, NotFoundError, QuotaError, RetryableError, TransformPlan, Transforms
from driftloop.simulation.fakes import FakeTransforms
from tests.contract.conftest import BOTH
from tests.fakes import examples as ex

KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
JOB = f"{ex.BASE}-20260303000000"
PLAN = TransformPlan(
    JOB, f"{ex.BASE}-v3", "s3://live/batch/late_train/jobs/j/manifest.json", "s3://live/batch/late_train/jobs/j/out",
    Instances("ml.m5.large", 2), KEY,
)  # fmt: skip


@pytest.fixture
def transforms(kind: str, aws: Callable[[str], Any]) -> Transforms:
    return FakeTransforms() if kind == "fake" else SageMakerTransforms(aws("sagemaker"))


@BOTH
def test_a_job_is_started_and_found(transforms: Transforms) -> None:
    assert transforms.running(ex.BASE) == ""
    transforms.start(PLAN)
    assert transforms.state(JOB).status in ("InProgress", "Completed")
    with pytest.raises(NotFoundError, match=f"transform job {ex.BASE}-1 does not exist"):
        transforms.state(f"{ex.BASE}-1")


def test_only_jobs_of_the_model_that_have_not_ended_run(aws: Callable[[str], Any]) -> None:
    sagemaker = aws("sagemaker")
    others = [f"{ex.BASE}-two-20260303000000", f"x-{JOB}"]
    with Stubber(sagemaker) as stub:
        for status, names in (("InProgress", others), ("Stopping", [*others, JOB])):
            found = [
                {
                    "TransformJobName": name, "TransformJobArn": f"arn:aws:sagemaker:eu-central-1:1:transform-job/{name}",
                    "CreationTime": 1, "TransformJobStatus": status,
                }
                for name in names
            ]  # fmt: skip
            stub.add_response(
                "list_transform_jobs",
                {"TransformJobSummaries": found},
                {"NameContains": ex.BASE, "StatusEquals": status},
            )
        assert SageMakerTransforms(sagemaker).running(ex.BASE) == JOB
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ResourceInUse", None), ("ResourceLimitExceeded", QuotaError), ("ValidationException", RetryableError)],
)
def test_why_a_job_is_not_started(aws: Callable[[str], Any], code: str, expected: type[Exception] | None) -> None:
    sagemaker = aws("sagemaker")
    with Stubber(sagemaker) as stub:
        stub.add_client_error("create_transform_job", code, "Could not find model")
        if expected is None:
            SageMakerTransforms(sagemaker).start(PLAN)
        else:
            with pytest.raises(expected, match=r"create_transform_job: .*Could not find model"):
                SageMakerTransforms(sagemaker).start(PLAN)


def test_what_failed_is_told(aws: Callable[[str], Any]) -> None:
    sagemaker = aws("sagemaker")
    with Stubber(sagemaker) as stub:
        found = {
            "TransformJobName": JOB, "TransformJobArn": f"arn:aws:sagemaker:eu-central-1:1:transform-job/{JOB}",
            "TransformJobStatus": "Failed", "FailureReason": "ClientError: see the log", "ModelName": "m",
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/"}}},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1}, "CreationTime": 1,
        }  # fmt: skip
        stub.add_response("describe_transform_job", found, {"TransformJobName": JOB})
        state = SageMakerTransforms(sagemaker).state(JOB)
    assert (state.status, state.failure, state.is_over) == ("Failed", "ClientError: see the log", True)
