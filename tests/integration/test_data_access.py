"""Training can never read live data: tried with the training role's own credentials, from inside a job."""

from __future__ import annotations

import json

import pytest

from driftloop.names import ModelNames

from .examples import TRAIN
from .kit import Kit

_SCRIPT = "import boto3, sys\nboto3.client('s3').get_object(Bucket=sys.argv[1], Key=sys.argv[2])\n"
_FOLDER = f"datasets/{TRAIN}/probe"


@pytest.fixture(scope="module")
def objects(kit: Kit) -> dict[str, str]:
    """One object of each bucket that matters."""
    keys = {"live": f"labelled/{TRAIN}/2020-01-01/probe.csv", "curated": f"{_FOLDER}/rows.csv"}
    for kind, key in keys.items():
        kit.put(key, b"probe", kind)
    kit.put(f"{_FOLDER}/read.py", _SCRIPT.encode(), "curated")
    return keys


def run_job(kit: Kit, purpose: str, kind: str, key: str) -> tuple[str, str]:
    """Status and failure of a job that reads one object with the role of a purpose."""
    parameter = kit.client("ssm").get_parameter(Name=ModelNames(TRAIN).parameter)["Parameter"]["Value"]
    role = ModelNames(TRAIN).role(purpose, kit.twin.region)
    name = f"read-{kind}-as-{purpose}"
    kit.client("sagemaker").create_processing_job(
        ProcessingJobName=name,
        RoleArn=f"arn:aws:iam::{kit.twin.account}:role/{role}",
        AppSpecification={
            "ImageUri": json.loads(parameter)["resources"]["serving_image"],
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/read.py"],
            "ContainerArguments": [kit.bucket(kind), key],
        },
        ProcessingInputs=[
            {
                "InputName": "code",
                "S3Input": {
                    "S3Uri": f"s3://{kit.bucket('curated')}/{_FOLDER}/read.py",
                    "LocalPath": "/opt/ml/processing/input/code",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    kit.settle()
    job = kit.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    return job["ProcessingJobStatus"], job.get("FailureReason", "")


def test_training_role_is_denied_the_live_bucket(kit: Kit, objects: dict[str, str]) -> None:
    status, reason = run_job(kit, "training", "live", objects["live"])
    assert status == "Failed"
    assert "AccessDenied" in reason


@pytest.mark.parametrize(("purpose", "kind"), [("training", "curated"), ("promotion", "live")])
def test_reading_works_where_it_should(kit: Kit, objects: dict[str, str], purpose: str, kind: str) -> None:
    assert run_job(kit, purpose, kind, objects[kind]) == ("Completed", "")
