"""What jobs refuse before they start, because the twin would do it otherwise than AWS."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from driftloop.twin.activity import Activity
from driftloop.twin.errors import ApiError
from driftloop.twin.jobs import Jobs, Platform

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/r"
PROCESSING: dict[str, Any] = {
    "ProcessingJobName": "p",
    "RoleArn": ROLE,
    "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "-V"]},
    "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    "ProcessingInputs": [
        {"InputName": "code", "S3Input": {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/processing/input/code",
                                          "S3DataType": "S3Prefix", "S3InputMode": "File"}},
    ],
    "ProcessingOutputConfig": {"Outputs": [
        {"OutputName": "out", "S3Output": {"S3Uri": "s3://b/o", "LocalPath": "/opt/ml/processing/output",
                                           "S3UploadMode": "EndOfJob"}},
    ]},
}  # fmt: skip
TRAINING: dict[str, Any] = {
    "TrainingJobName": "t",
    "RoleArn": ROLE,
    "AlgorithmSpecification": {
        "TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": ["python3", "-V"],
    },
    "InputDataConfig": [{
        "ChannelName": "training", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/t"}},
    }],
    "OutputDataConfig": {"S3OutputPath": "s3://b/models"},
    "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}  # fmt: skip
P, T = ("processing", PROCESSING), ("training", TRAINING)


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    def session(role: str, name: str) -> dict[str, str]:
        raise AssertionError(f"a refused job must not take {role}'s credentials for {name}")

    return Jobs(Platform("http://127.0.0.1:9", "us-east-1", "123456789012", tmp_path, session), Activity())


def changed(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The request with one place changed; None takes the place away."""
    copy: Any = deepcopy(request)
    target, (*way, last) = copy, [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        target = target[part]
    if value is None:
        del target[last]
    else:
        target[last] = value
    result: dict[str, Any] = copy
    return result


@pytest.mark.parametrize(
    ("job", "path", "value", "said"),
    [
        (P, "ExperimentConfig", {"ExperimentName": "e"}, "ExperimentConfig in CreateProcessingJob"),
        (P, "AppSpecification.ImageUri", "python:3.11", "the image python:3.11"),
        (P, "AppSpecification.ContainerEntrypoint", None, "without ContainerEntrypoint"),
        (P, "StoppingCondition", None, "without StoppingCondition.MaxRuntimeInSeconds"),
        (P, "ProcessingInputs.0.S3Input.S3InputMode", "Pipe", "input code: only S3Prefix data in File mode"),
        (P, "ProcessingInputs.0.S3Input.S3DataType", "ManifestFile", "input code: only S3Prefix"),
        (P, "ProcessingInputs.0.S3Input.S3CompressionType", "Gzip", "S3CompressionType Gzip of input code"),
        (P, "ProcessingInputs.0.S3Input.LocalPath", "/srv/data", "the container path '/srv/data'"),
        (P, "ProcessingInputs.0.S3Input.LocalPath", "/opt/ml/../../etc", "the container path '/opt/ml/../../etc'"),
        (P, "ProcessingInputs.0.S3Input.LocalPath", None, "the container path ''"),
        (P, "ProcessingInputs.0.S3Input", None, "input code: only S3Prefix"),
        (P, "ProcessingInputs.0.AppManaged", True, "AppManaged in input code"),
        (P, "ProcessingOutputConfig.Outputs.0.S3Output.S3UploadMode", "Continuous", "output out: only S3Output"),
        (P, "ProcessingOutputConfig.Outputs.0.S3Output.LocalPath", "/tmp/o", "the container path '/tmp/o'"),  # noqa: S108
        (P, "ProcessingResources.ClusterConfig.InstanceCount", 2, "several instances"),
        (T, "HyperParameters", {"a": "1"}, "HyperParameters in CreateTrainingJob"),
        (T, "EnableManagedSpotTraining", True, "EnableManagedSpotTraining"),
        (T, "AlgorithmSpecification.AlgorithmName", "a", "AlgorithmName in AlgorithmSpecification"),
        (T, "AlgorithmSpecification.ContainerEntrypoint", None, "without ContainerEntrypoint"),
        (T, "AlgorithmSpecification.TrainingInputMode", "Pipe", "channel training: only S3Prefix data in File mode"),
        (T, "StoppingCondition", {}, "without StoppingCondition.MaxRuntimeInSeconds"),
        (T, "InputDataConfig.0.InputMode", "FastFile", "channel training: only S3Prefix data in File mode"),
        (T, "InputDataConfig.0.CompressionType", "Gzip", "CompressionType in channel training"),
        (T, "InputDataConfig.0.DataSource", {}, "channel training: only S3Prefix"),
        (T, "ResourceConfig.InstanceCount", 3, "several instances"),
        (T, "OutputDataConfig.CompressionType", "NONE", "uncompressed"),
    ],
)  # fmt: skip
def test_refusals_name_what_is_not_supported(
    jobs: Jobs, job: tuple[str, dict[str, Any]], path: str, value: Any, said: str
) -> None:
    kind, request = job
    with pytest.raises(ApiError, match="does not support") as refusal:
        jobs.start(kind, changed(request, path, value))
    assert said in str(refusal.value)
    with pytest.raises(ApiError, match="Could not find"):
        jobs.get(kind, request[f"{kind.title()}JobName"])
