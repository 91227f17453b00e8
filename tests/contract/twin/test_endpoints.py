"""Endpoints: serving, data capture, canaries, rollbacks, and what SageMaker says while it happens."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .cloud import IMAGE, Cloud, allow, code_of, message_of, until
from .test_events import rule
from .work import archive

INFERENCE = """
import os
import time
from pathlib import Path
print("imported")
def model_fn(model_dir):
    print("loading")
    word = Path(model_dir, "word.txt").read_text()
    if word == "broken":
        raise LookupError("the model cannot be loaded")
    return word
def input_fn(body, content_type):
    return body if isinstance(body, str) else bytes(body).decode()
def predict_fn(text, model):
    if text == "poison":
        raise ValueError("poison")
    if text == "slow":
        time.sleep(1)
    if text == "die":
        os._exit(1)
    if text == "chatter":
        print("x" * 200_000)
        os.write(1, b"x" * 200_000)
    if text == "who":
        import boto3
        return boto3.client("sts").get_caller_identity()["Arn"]
    if text == "environment":
        return ",".join(sorted(os.environ))
    return model + ":" + text
def output_fn(answer, accept):
    return answer
"""


class Endpoint:
    """An endpoint and the versions that it has served."""

    def __init__(
        self, cloud: Cloud, word: str = "one", percent: int = 100, serverless: dict[str, int] | None = None
    ) -> None:
        self._serverless = serverless
        self.cloud, self.name, self.bucket, self._percent = cloud, cloud.name("endpoint"), cloud.bucket(), percent
        self.client = cloud.client("sagemaker")
        resources = [f"arn:aws:s3:::{self.bucket}", f"arn:aws:s3:::{self.bucket}/*"]
        self.role = cloud.role(allow(["s3:GetObject", "s3:PutObject"], resources))
        self.client.create_endpoint(EndpointName=self.name, EndpointConfigName=self.config(word))
        self.wait()

    def model(self, word: str) -> str:
        """Name of a new model that begins its answers with this word."""
        name = self.cloud.name("version")
        data = archive(INFERENCE, **{"word.txt": word})
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=f"{name}.tar.gz", Body=data)
        container = {
            "Image": IMAGE, "ModelDataUrl": f"s3://{self.bucket}/{name}.tar.gz",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
        }  # fmt: skip
        self.client.create_model(ModelName=name, ExecutionRoleArn=self.role, PrimaryContainer=container)
        return name

    def config(self, word: str, more: dict[str, Any] | None = None) -> str:
        name = self.model(word)
        variant = {"VariantName": "v", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        if self._serverless:
            rest = {**(more or {})}
            capture = rest.pop("capture", False)
            variant = {"VariantName": "v", "ModelName": name, "ServerlessConfig": self._serverless, **rest}
            if not capture:
                self.client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
                return name
        self.configure(name, ProductionVariants=[variant])
        return name

    def configure(self, name: str, **variants: Any) -> None:
        """Create a configuration that captures."""
        self.client.create_endpoint_config(
            EndpointConfigName=name,
            DataCaptureConfig={
                "EnableCapture": self._percent > 0, "InitialSamplingPercentage": self._percent,
                "DestinationS3Uri": f"s3://{self.bucket}/capture",
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
            },
            **variants,
        )  # fmt: skip

    def update(
        self, config: str, percent: int = 100, wait: int = 600, alarms: Sequence[str] = (), kind: str = "CANARY"
    ) -> None:
        routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": wait}
        if percent < 100:
            size = {"Type": "CAPACITY_PERCENT", "Value": percent}
            sized = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}[kind]
            routing = {"Type": kind, sized: size, "WaitIntervalInSeconds": wait}
        policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 120}
        deployment: dict[str, Any] = {"BlueGreenUpdatePolicy": policy}
        if alarms:
            deployment["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in alarms]}
        self.client.update_endpoint(EndpointName=self.name, EndpointConfigName=config, DeploymentConfig=deployment)
        self.cloud.settle()

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_endpoint(EndpointName=self.name)
        return found

    def wait(self) -> str:
        return str(until(lambda: (s := self.describe()["EndpointStatus"]) not in ("Creating", "Updating") and s, 30))

    def ask(self, text: str = "1,2", **more: Any) -> str:
        answer = self.cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.name, Body=text.encode(), ContentType="text/csv", Accept="text/csv", **more
        )
        assert answer["InvokedProductionVariant"] == "v"
        return str(answer["Body"].read().decode())

    def shares(self, requests: int = 100) -> dict[str, int]:
        return dict(Counter(self.ask("x").partition(":")[0] for _ in range(requests)))

    def captured(self) -> dict[str, list[dict[str, Any]]]:
        """Records by key of their object."""
        self.cloud.settle()
        s3 = self.cloud.client("s3")
        keys = [o["Key"] for o in s3.list_objects_v2(Bucket=self.bucket, Prefix="capture/").get("Contents", ())]
        bodies = {key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode() for key in keys}
        return {key: [json.loads(line) for line in body.splitlines()] for key, body in bodies.items()}


@pytest.fixture(scope="module")
def endpoint(cloud: Cloud) -> Endpoint:
    """One that serves the version ``one``."""
    return Endpoint(cloud)


def test_it_answers(endpoint: Endpoint) -> None:
    found = endpoint.describe()
    assert (found["EndpointStatus"], "FailureReason" in found) == ("InService", False)
    assert endpoint.ask("3,4") == "one:3,4"


def test_what_the_model_prints_does_not_matter(endpoint: Endpoint) -> None:
    assert endpoint.ask("chatter") == "one:chatter"
    assert endpoint.ask("3,4") == "one:3,4"


def test_its_process_has_its_roles_credentials_and_nothing_of_the_developer(endpoint: Endpoint, cloud: Cloud) -> None:
    role = endpoint.role.rpartition("/")[2]
    assert endpoint.ask("who") == f"arn:aws:sts::{cloud.twin.account}:assumed-role/{role}/SageMaker"
    assert not {"HOME", "VIRTUAL_ENV", "PYTHONPATH", "PYTEST_CURRENT_TEST"} & set(
        endpoint.ask("environment").split(",")
    )


def test_an_error_of_the_model_is_a_model_error_and_counted(endpoint: Endpoint, cloud: Cloud) -> None:
    assert code_of(lambda: endpoint.ask("poison")) == "ModelError"
    assert endpoint.ask("ok") == "one:ok"
    now = cloud.now()
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker", MetricName="Invocation5XXErrors", Period=86400, Statistics=["Sum"],
        Dimensions=[{"Name": "EndpointName", "Value": endpoint.name}, {"Name": "VariantName", "Value": "v"}],
        StartTime=now.replace(hour=0, minute=0), EndTime=now.replace(hour=23, minute=59),
    )["Datapoints"]  # fmt: skip
    assert sum(point["Sum"] for point in found) == 1


def test_captured_records_are_as_sagemaker_writes_them(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud)
    cloud.twin.move_clock(cloud.now().replace(minute=10, second=0))
    hour = cloud.now()
    endpoint.ask("1,2", InferenceId="id-1")
    endpoint.ask("3,4")
    ((key, records),) = endpoint.captured().items()
    assert re.fullmatch(rf"capture/{endpoint.name}/v/{hour:%Y/%m/%d/%H}/\d\d-\d\d-\d{{3}}-[0-9a-f-]{{36}}\.jsonl", key)
    first, second = records
    assert first["captureData"] == {
        "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": "1,2", "encoding": "CSV"},
        "endpointOutput": {"observedContentType": "text/csv", "mode": "OUTPUT", "data": "one:1,2", "encoding": "CSV"},
    }
    assert first["eventMetadata"]["inferenceId"] == "id-1"
    assert first["eventMetadata"]["inferenceTime"].startswith(f"{hour:%Y-%m-%dT%H:}")
    assert "inferenceId" not in second["eventMetadata"]
    assert first["eventVersion"] == "0"


def test_records_are_written_after_a_while_and_by_the_hour(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud)
    s3 = cloud.client("s3")
    cloud.twin.move_clock(cloud.now().replace(minute=58, second=30))
    endpoint.ask("before")
    cloud.move(minutes=3)
    endpoint.ask("after")
    assert s3.list_objects_v2(Bucket=endpoint.bucket, Prefix="capture/")["KeyCount"] == 0
    cloud.move(minutes=3)
    until(lambda: s3.list_objects_v2(Bucket=endpoint.bucket, Prefix="capture/")["KeyCount"] == 2)
    inputs = [records[0]["captureData"]["endpointInput"]["data"] for _, records in sorted(endpoint.captured().items())]
    assert inputs == ["before", "after"]


def test_a_sample_is_captured(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud, percent=25)
    endpoint.shares(100)
    assert sum(len(records) for records in endpoint.captured().values()) == 25


def test_nothing_is_captured_when_it_is_off(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud, percent=0)
    endpoint.shares(10)
    assert endpoint.captured() == {}


def test_a_canary_takes_its_share_and_then_all(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud, "one")
    url = rule(cloud, {"source": ["aws.sagemaker"], "detail": {"EndpointName": [endpoint.name]}})
    old, new = endpoint.describe()["EndpointConfigName"], endpoint.config("two")
    endpoint.update(new, percent=10)
    assert (endpoint.describe()["EndpointStatus"], endpoint.describe()["EndpointConfigName"]) == ("Updating", old)
    assert endpoint.shares() == {"one": 90, "two": 10}
    assert code_of(lambda: endpoint.update(old)) == "ValidationException", "one update at a time"
    assert code_of(lambda: endpoint.client.delete_endpoint(EndpointName=endpoint.name)) == "ValidationException"
    cloud.move(minutes=9)
    assert endpoint.shares() == {"one": 90, "two": 10}
    cloud.move(minutes=2)
    assert endpoint.shares() == {"two": 100}
    assert endpoint.describe()["EndpointStatus"] == "Updating"
    cloud.move(minutes=13)
    found = endpoint.describe()
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", new)
    assert endpoint.shares(20) == {"two": 20}
    cloud.settle()
    events = [json.loads(body) for body in cloud.take(url)]
    assert [e["detail"]["EndpointStatus"] for e in events] == ["UPDATING", "IN_SERVICE"]
    assert [e["detail"]["EndpointConfigName"] for e in events] == [old, new]
    assert {e["detail-type"] for e in events} == {"SageMaker Endpoint State Change"}


def test_a_linear_rollout_takes_equal_steps(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud, "one")
    endpoint.update(endpoint.config("two"), percent=40, kind="LINEAR")
    for share in (40, 80):
        assert endpoint.shares() == {"one": 100 - share, "two": share}
        cloud.move(minutes=10, seconds=1)
    assert endpoint.shares() == {"two": 100}
    assert endpoint.describe()["EndpointStatus"] == "Updating"
    cloud.move(minutes=13)
    assert endpoint.describe()["EndpointStatus"] == "InService"


def alarm(cloud: Cloud) -> str:
    name = cloud.name("alarm")
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=name, Namespace="tests", MetricName=name, Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1.0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    return name


def raise_alarm(cloud: Cloud, name: str) -> None:
    cloud.client("cloudwatch").put_metric_data(Namespace="tests", MetricData=[{"MetricName": name, "Value": 5.0}])


def test_an_alarm_rolls_back_and_it_says_in_service_all_the_same(cloud: Cloud) -> None:
    endpoint, name = Endpoint(cloud, "one"), alarm(cloud)
    old = endpoint.describe()["EndpointConfigName"]
    endpoint.update(endpoint.config("two"), percent=10, alarms=[name])
    assert endpoint.shares() == {"one": 90, "two": 10}
    cloud.move(minutes=5)
    raise_alarm(cloud, name)
    assert endpoint.wait() == "InService"
    assert endpoint.describe()["EndpointConfigName"] == old
    assert endpoint.shares(50) == {"one": 50}
    cloud.move(hours=2)
    assert endpoint.describe()["EndpointConfigName"] == old, "the rest of the plan is off"
    assert endpoint.shares(20) == {"one": 20}
    endpoint.update(endpoint.config("three"))
    cloud.move(minutes=20)
    assert endpoint.shares(20) == {"three": 20}, "another update works"


def test_an_alarm_that_is_raised_already_stops_the_update(cloud: Cloud) -> None:
    endpoint, name = Endpoint(cloud, "one"), alarm(cloud)
    raise_alarm(cloud, name)
    endpoint.update(endpoint.config("two"), percent=10, alarms=[name])
    assert endpoint.wait() == "InService"
    assert name in endpoint.describe()["FailureReason"]
    assert endpoint.shares(20) == {"one": 20}


def test_a_container_that_cannot_start_is_rolled_back(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud, "one")
    old = endpoint.describe()["EndpointConfigName"]
    endpoint.update(endpoint.config("broken"), percent=10)
    assert endpoint.wait() == "InService"
    found = endpoint.describe()
    assert found["EndpointConfigName"] == old
    assert "did not pass the ping health check" in found["FailureReason"]
    assert "the model cannot be loaded" in found["FailureReason"]
    assert endpoint.shares(10) == {"one": 10}


def test_a_first_container_that_cannot_start_fails_the_endpoint(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud, "broken")
    found = endpoint.describe()
    assert found["EndpointStatus"] == "Failed"
    assert "the model cannot be loaded" in found["FailureReason"]
    assert code_of(endpoint.ask) == "ValidationException"
    endpoint.client.delete_endpoint(EndpointName=endpoint.name)


def test_a_missing_archive_and_a_missing_permission_fail_the_endpoint(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud, "one")
    config = endpoint.config("two")
    cloud.client("s3").delete_object(Bucket=endpoint.bucket, Key=f"{config}.tar.gz")
    endpoint.update(config)
    assert endpoint.wait() == "InService"
    assert f"s3://{endpoint.bucket}/{config}.tar.gz" in endpoint.describe()["FailureReason"]
    config = endpoint.config("four")
    cloud.client("s3").put_object(Bucket=endpoint.bucket, Key=f"{config}.tar.gz", Body=b"no archive")
    endpoint.update(config)
    assert endpoint.wait() == "InService"
    assert f"{config}.tar.gz is not an archive" in endpoint.describe()["FailureReason"]
    cloud.client("iam").delete_role_policy(RoleName=endpoint.role.rpartition("/")[2], PolicyName="p")
    endpoint.update(endpoint.config("three"))
    assert endpoint.wait() == "InService"
    assert "AccessDenied" in endpoint.describe()["FailureReason"]
    leftover = {path.name for path in (cloud.twin.folder / "endpoints").iterdir() if not (path / "model").is_dir()}
    assert leftover == set(), "what could not be started leaves no folder"


def test_a_process_that_dies_is_an_error(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud, "one")
    assert code_of(lambda: endpoint.ask("die")) == "ModelError"


def test_a_deleted_endpoint_is_gone_and_its_last_records_are_written(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud, "one")
    endpoint.ask("last")
    endpoint.client.delete_endpoint(EndpointName=endpoint.name)
    assert "Could not find" in message_of(endpoint.describe)
    assert code_of(endpoint.ask) == "ValidationException"
    assert sum(len(records) for records in endpoint.captured().values()) == 1
    endpoint.client.create_endpoint(EndpointName=endpoint.name, EndpointConfigName=endpoint.config("again"))
    assert endpoint.wait() == "InService"
    assert endpoint.ask("x") == "again:x"


def test_names_are_unique(endpoint: Endpoint) -> None:
    config = endpoint.describe()["EndpointConfigName"]
    assert "already existing" in message_of(
        lambda: endpoint.client.create_endpoint(EndpointName=endpoint.name, EndpointConfigName=config)
    )
    assert "Could not find" in message_of(
        lambda: endpoint.client.create_endpoint(EndpointName="e", EndpointConfigName="absent")
    )


@pytest.fixture(scope="module")
def serverless(cloud: Cloud) -> Endpoint:
    """An endpoint without instances that answers two requests at a time."""
    return Endpoint(cloud, serverless={"MemorySizeInMB": 1024, "MaxConcurrency": 2})


def test_without_instances_nothing_is_captured(serverless: Endpoint) -> None:
    assert serverless.ask() == "one:1,2"
    serverless.cloud.settle()
    assert serverless.captured() == {}


def test_more_requests_at_a_time_than_it_takes_are_throttled(serverless: Endpoint) -> None:
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(serverless.ask, "slow") for _ in range(6)]
    refused = [request.exception() for request in asked if request.exception()]
    assert 1 <= len(refused) <= 4
    assert {error.response["Error"]["Code"] for error in refused if isinstance(error, ClientError)} == {
        "ThrottlingException"
    }
    assert serverless.ask() == "one:1,2", "and answered again"


def test_serverless_endpoints_are_updated_at_once_and_without_guardrails(serverless: Endpoint) -> None:
    config = serverless.config("two")
    assert code_of(lambda: serverless.update(config)) == "ValidationException"
    serverless.client.update_endpoint(EndpointName=serverless.name, EndpointConfigName=config)
    serverless.wait()
    assert serverless.ask() == "two:1,2"


@pytest.mark.parametrize("more", [{"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}, {"capture": True}])
def test_what_serverless_endpoints_cannot_have_is_refused(serverless: Endpoint, more: dict[str, Any]) -> None:
    name = serverless.config("three", more)
    create = partial(serverless.client.create_endpoint, EndpointName="refused", EndpointConfigName=name)
    assert "no instances and no data capture" in message_of(create)


def test_an_endpoint_outlives_its_configuration(serverless: Endpoint) -> None:
    serverless.client.delete_endpoint_config(EndpointConfigName=serverless.describe()["EndpointConfigName"])
    [variant] = serverless.describe()["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
    assert serverless.ask() == "two:1,2"
