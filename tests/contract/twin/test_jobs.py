"""Processing and training jobs: real processes with their role's credentials."""

from __future__ import annotations

import io
import json
import tarfile
import time
from typing import Any

import pytest

from .cloud import IMAGE, Cloud, code_of, message_of, until
from .work import processing, put_code, run_job, s3_input, s3_output, s3_role, training

PROGRAM = """
import json, os, pathlib, sys, time
mode, *paths = sys.argv[1:]
def copy(source, target):
    pathlib.Path(target, "copy.txt").write_text(pathlib.Path(source, "in.txt").read_text().upper())
if mode == "copy":
    for target in paths[1:]:
        copy(paths[0], target)
elif mode == "fail":
    print("some output"); print("the last line", file=sys.stderr); sys.exit(3)
elif mode == "message":
    pathlib.Path(paths[0]).write_text("the data are too few"); sys.exit(1)
elif mode == "sleep":
    print("sleeping", flush=True); time.sleep(60)
elif mode == "who":
    import boto3
    try:
        told = boto3.client("sts", region_name="us-east-1").get_caller_identity()["Arn"]
    except Exception as error:
        told = type(error).__name__
    told = {"who": told, "aws": sorted(k for k in os.environ if k.startswith("AWS")), "colour": os.environ.get("COLOUR")}
    pathlib.Path(paths[0], "told.json").write_text(json.dumps(told))
elif mode == "write":
    import boto3
    boto3.client("s3").put_object(Bucket=paths[0], Key="direct", Body=b"1")
elif mode == "config":
    source = "/".join(["", "opt", "ml"])
    assert paths[0] != source
    pathlib.Path(paths[1], "config.json").write_text(pathlib.Path(paths[0], "config/processingjobconfig.json").read_text())
"""
OUT = "/opt/ml/processing/output"


@pytest.fixture(scope="module")
def bucket(cloud: Cloud) -> str:
    name = cloud.bucket()
    cloud.client("s3").put_object(Bucket=name, Key="data/in.txt", Body=b"words")
    return name


@pytest.fixture(scope="module")
def code(cloud: Cloud, bucket: str) -> str:
    return put_code(cloud, bucket, PROGRAM)


@pytest.fixture(scope="module")
def role(cloud: Cloud, bucket: str) -> str:
    return s3_role(cloud, bucket)


def read(cloud: Cloud, bucket: str, key: str) -> str:
    return str(cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def test_inputs_come_in_and_every_output_goes_out(cloud: Cloud, bucket: str, code: str, role: str) -> None:
    request = processing(
        role, code, ["copy", "/opt/ml/processing/input/data", f"{OUT}/a", f"{OUT}/b"],
        [s3_input("data", f"s3://{bucket}/data/", "/opt/ml/processing/input/data")],
        [s3_output("a", f"s3://{bucket}/out/a", f"{OUT}/a"), s3_output("b", f"s3://{bucket}/out/b/", f"{OUT}/b")],
    )  # fmt: skip
    found = run_job(cloud, "processing", request)
    assert found["ProcessingJobStatus"] == "Completed", found.get("FailureReason")
    assert "FailureReason" not in found
    assert read(cloud, bucket, "out/a/copy.txt") == read(cloud, bucket, "out/b/copy.txt") == "WORDS"
    assert found["ProcessingJobArn"] == cloud.arn("sagemaker", f"processing-job/{found['ProcessingJobName']}")


@pytest.mark.parametrize(
    ("kind", "place"), [("processing", "/opt/ml/output/message"), ("training", "/opt/ml/output/failure")]
)
def test_the_reason_of_a_failure_is_what_the_program_wrote(
    cloud: Cloud, bucket: str, code: str, role: str, kind: str, place: str
) -> None:
    arguments = ["message", place]
    if kind == "processing":
        found = run_job(cloud, kind, processing(role, code, arguments))
    else:
        found = run_job(cloud, kind, training(role, code, f"s3://{bucket}/m", arguments))
    assert found[f"{kind.title()}JobStatus"] == "Failed"
    assert found["FailureReason"] == "AlgorithmError: the data are too few, exit code: 1"


def test_without_a_message_it_is_the_end_of_the_output(cloud: Cloud, code: str, role: str) -> None:
    found = run_job(cloud, "processing", processing(role, code, ["fail"]))
    assert "the last line" in found["FailureReason"]
    assert found["FailureReason"].endswith("exit code: 3")


def test_a_missing_input_fails_the_job(cloud: Cloud, bucket: str, code: str, role: str) -> None:
    absent = s3_input("data", f"s3://{bucket}/absent/", "/opt/ml/processing/input/data")
    found = run_job(cloud, "processing", processing(role, code, ["copy"], [absent]))
    assert found["ProcessingJobStatus"] == "Failed"
    assert f"No S3 objects found under S3 URL 's3://{bucket}/absent/'" in found["FailureReason"]


def told(cloud: Cloud, bucket: str, code: str, role: str, **more: Any) -> dict[str, Any]:
    output = s3_output("o", f"s3://{bucket}/told", OUT)
    found = run_job(cloud, "processing", processing(role, code, ["who", OUT], (), [output], **more))
    assert found["ProcessingJobStatus"] == "Completed", found.get("FailureReason")
    content: dict[str, Any] = json.loads(read(cloud, bucket, "told/told.json"))
    return content


def test_it_works_with_its_roles_permissions(cloud: Cloud, bucket: str, code: str, role: str) -> None:
    found = told(cloud, bucket, code, role, Environment={"COLOUR": "green"})
    name = role.rpartition("/")[2]
    assert found["who"] == f"arn:aws:sts::{cloud.twin.account}:assumed-role/{name}/SageMaker"
    assert found["colour"] == "green"
    other = cloud.bucket()
    denied = run_job(cloud, "processing", processing(role, code, ["write", other]))
    assert "AccessDenied" in denied["FailureReason"]


def test_one_in_isolation_has_no_credentials(cloud: Cloud, bucket: str, code: str, role: str) -> None:
    found = told(cloud, bucket, code, role, NetworkConfig={"EnableNetworkIsolation": True})
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"} & set(found["aws"])
    assert "arn:" not in found["who"]


def test_inputs_and_outputs_need_the_roles_permission_too(cloud: Cloud, bucket: str, code: str) -> None:
    reader = s3_role(cloud, bucket, actions=["s3:GetObject", "s3:ListBucket"])
    output = s3_output("o", f"s3://{bucket}/denied", OUT)
    found = run_job(cloud, "processing", processing(reader, code, ["who", OUT], (), [output]))
    assert "AccessDenied" in found["FailureReason"]
    nobody = cloud.role()
    assert "AccessDenied" in run_job(cloud, "processing", processing(nobody, code, ["who", OUT]))["FailureReason"]


def test_a_job_can_be_stopped(cloud: Cloud, code: str, role: str) -> None:
    client, name = cloud.client("sagemaker"), cloud.name("processing")
    client.create_processing_job(ProcessingJobName=name, **processing(role, code, ["sleep"]))
    time.sleep(0.3)
    client.stop_processing_job(ProcessingJobName=name)

    def status() -> str:
        return str(client.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"])

    until(lambda: status() != "InProgress")
    assert status() == "Stopped"
    client.stop_processing_job(ProcessingJobName=name)
    assert status() == "Stopped"


def test_a_job_that_is_stopped_at_once_does_not_run_on(cloud: Cloud, code: str, role: str) -> None:
    client, name = cloud.client("sagemaker"), cloud.name("processing")
    client.create_processing_job(ProcessingJobName=name, **processing(role, code, ["sleep"]))
    client.stop_processing_job(ProcessingJobName=name)
    found = until(
        lambda: client.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"] == "Stopped", 8
    )  # fmt: skip
    assert found


def test_a_job_that_takes_too_long_is_ended(cloud: Cloud, code: str, role: str) -> None:
    request = processing(role, code, ["sleep"]) | {"StoppingCondition": {"MaxRuntimeInSeconds": 1}}
    found = run_job(cloud, "processing", request)
    assert found["ProcessingJobStatus"] in ("Failed", "Stopped")
    assert "exit code: -9" in found["FailureReason"]


def test_training_makes_an_archive_of_the_model(cloud: Cloud, bucket: str, code: str, role: str) -> None:
    request = training(
        role, code, f"s3://{bucket}/models", ["copy", "/opt/ml/input/data/training", "/opt/ml/model"],
        {"training": f"s3://{bucket}/data/"}, EnableNetworkIsolation=True,
    )  # fmt: skip
    found = run_job(cloud, "training", request)
    assert found["TrainingJobStatus"] == found["SecondaryStatus"] == "Completed", found.get("FailureReason")
    uri = found["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{bucket}/models/{found['TrainingJobName']}/output/model.tar.gz"
    content = cloud.client("s3").get_object(Bucket=bucket, Key=uri.split("/", 3)[3])["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["copy.txt"]


def test_the_image_of_xgboost_has_its_library(cloud: Cloud, bucket: str, role: str) -> None:
    program = "import pathlib, sys, xgboost\npathlib.Path(sys.argv[1], 'version').write_text(xgboost.__version__)\n"
    cloud.client("s3").put_object(Bucket=bucket, Key="boosting/main.py", Body=program.encode())
    request = training(role, f"s3://{bucket}/boosting/", f"s3://{bucket}/models", ["/opt/ml/model"])
    request["AlgorithmSpecification"]["TrainingImage"] = IMAGE.partition("/")[0] + "/sagemaker-xgboost:3.2-0"
    found = run_job(cloud, "training", request)
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")


def test_a_name_is_used_once(cloud: Cloud, code: str, role: str) -> None:
    client, name = cloud.client("sagemaker"), cloud.name("processing")
    client.create_processing_job(ProcessingJobName=name, **processing(role, code, ["fail"]))
    again = processing(role, code, ["fail"])
    assert code_of(lambda: client.create_processing_job(ProcessingJobName=name, **again)) == "ResourceInUse"


def test_what_a_job_cannot_be_is_refused_when_it_is_created(cloud: Cloud, bucket: str, code: str, role: str) -> None:
    client = cloud.client("sagemaker")
    request = processing(role, code) | {"ProcessingJobName": "refused"}
    app = {**request["AppSpecification"], "ImageUri": "python:3.11"}
    assert "the image" in message_of(lambda: client.create_processing_job(**request | {"AppSpecification": app}))
    outside = [s3_input("code", code, "/srv")]
    assert "/srv" in message_of(lambda: client.create_processing_job(**request | {"ProcessingInputs": outside}))
    trained = training(role, code, f"s3://{bucket}/m", HyperParameters={"a": "1"})
    assert "HyperParameters" in message_of(lambda: client.create_training_job(TrainingJobName="refused", **trained))


def test_jobs_leave_no_folders(cloud: Cloud, code: str, role: str) -> None:
    run_job(cloud, "processing", processing(role, code, ["fail"]))
    cloud.settle()
    assert [path.name for path in (cloud.twin.folder / "jobs").iterdir() if path.is_dir()] == []
