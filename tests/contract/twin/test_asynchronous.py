"""Asynchronous endpoints: requests and results in S3, topics that are told, queues that outlive their twin."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from driftloop.twin.lifecycle import Twin

from .cloud import IMAGE, Cloud, allow, code_of, message_of, policy, until
from .test_endpoints import Endpoint, alarm, raise_alarm
from .test_kills import MODEL, killed, processes
from .work import archive

INFERENCE = """
import os
import time
from pathlib import Path
from sagemaker_inference.errors import GenericInferenceToolkitError
def model_fn(model_dir):
    return Path(model_dir, "word.txt").read_text()
def input_fn(body, content_type):
    return body if isinstance(body, str) else bytes(body).decode()
def predict_fn(text, model):
    if text == "bad":
        raise GenericInferenceToolkitError(400, "row 1: not a row")
    if text == "poison":
        raise ValueError("poison")
    if text.startswith("slow"):
        time.sleep(float(text.removeprefix("slow")))
    if text == "die":
        os._exit(1)
    return model + ":" + text
def output_fn(answer, accept):
    return answer, accept
"""


class Asynchronous:
    """An asynchronous endpoint, and queues that hear what its topics are told."""

    def __init__(self, cloud: Cloud, *, topics: bool = True, failures: bool = True, **output: Any) -> None:
        self.cloud, self.name, self.bucket = cloud, cloud.name("endpoint"), cloud.bucket()
        self.client, self.topics, self.urls = cloud.client("sagemaker"), {}, {}
        for kind in ("SuccessTopic", "ErrorTopic") if topics else ():
            self.topics[kind], self.urls[kind] = self._topic()
        resources = [f"arn:aws:s3:::{self.bucket}", f"arn:aws:s3:::{self.bucket}/*"]
        self.statements = [allow(["s3:GetObject", "s3:PutObject"], resources)]
        if topics:
            self.statements.append(allow("sns:Publish", list(self.topics.values())))
        self.role = cloud.role(*self.statements)
        self.output: dict[str, Any] = {"S3OutputPath": f"s3://{self.bucket}/out/"} | output
        if failures:
            self.output["S3FailurePath"] = f"s3://{self.bucket}/failed"
        if topics:
            self.output["NotificationConfig"] = self.topics
        self.client.create_endpoint(EndpointName=self.name, EndpointConfigName=self.config("one"))
        self.wait()

    def _topic(self) -> tuple[str, str]:
        sns, (url, queue) = self.cloud.client("sns"), self.cloud.queue()
        topic: str = sns.create_topic(Name=self.cloud.name("topic"))["TopicArn"]
        send = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue}  # fmt: skip
        self.cloud.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(send)})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
        return topic, url

    def config(self, word: str, **more: Any) -> str:
        name = self.cloud.name("version")
        self.put(f"{name}.tar.gz", archive(INFERENCE, **{"word.txt": word}))
        container = {
            "Image": IMAGE, "ModelDataUrl": f"s3://{self.bucket}/{name}.tar.gz",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
        }  # fmt: skip
        self.client.create_model(ModelName=name, ExecutionRoleArn=self.role, PrimaryContainer=container)
        variant = {"VariantName": "v", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        client = {"MaxConcurrentInvocationsPerInstance": 4}
        config = {"OutputConfig": self.output, "ClientConfig": client}
        request = {"ProductionVariants": [variant], "AsyncInferenceConfig": config} | more
        self.client.create_endpoint_config(EndpointConfigName=name, **request)
        return name

    def put(self, key: str, content: str | bytes) -> str:
        body = content.encode() if isinstance(content, str) else content
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def read(self, uri: str) -> str:
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return str(self.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())

    def ask(self, text: str, **more: Any) -> dict[str, Any]:
        """Put a request and ask; what SageMaker says at once."""
        uri = more.pop("InputLocation", None) or self.put(f"in/{self.cloud.name('request')}", text)
        request = {"InputLocation": uri, "ContentType": "text/csv", "Accept": "text/csv"} | more
        answer: dict[str, Any] = self.cloud.client("sagemaker-runtime").invoke_endpoint_async(
            EndpointName=self.name, **request
        )
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
        return answer

    def told(self, kind: str = "SuccessTopic") -> list[dict[str, Any]]:
        """What a topic was told since the last time."""
        self.cloud.settle()
        return [json.loads(body) for body in self.cloud.take(self.urls[kind])]

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_endpoint(EndpointName=self.name)
        return found

    def wait(self) -> str:
        return str(until(lambda: (s := self.describe()["EndpointStatus"]) not in ("Creating", "Updating") and s, 30))

    def metrics(self) -> dict[str, float]:
        """Sum of each metric that was published."""
        client, now = self.cloud.client("cloudwatch"), self.cloud.now()
        found = {}
        for metric in client.list_metrics(Namespace="AWS/SageMaker")["Metrics"]:
            names = {d["Name"]: d["Value"] for d in metric["Dimensions"]}
            if names.get("EndpointName") != self.name:
                continue
            variant = {} if metric["MetricName"].startswith("Approximate") else {"VariantName": "v"}
            assert names == {"EndpointName": self.name, **variant}
            points = client.get_metric_statistics(
                Namespace="AWS/SageMaker", MetricName=metric["MetricName"], Dimensions=metric["Dimensions"],
                Period=86400, Statistics=["Sum"], StartTime=now - timedelta(days=2), EndTime=now + timedelta(days=2),
            )["Datapoints"]  # fmt: skip
            found[metric["MetricName"]] = float(sum(point["Sum"] for point in points))
        return found

    def update(self, config: str, percent: int = 100, alarms: tuple[str, ...] = ()) -> None:
        size = {"CanarySize": {"Type": "CAPACITY_PERCENT", "Value": percent}} if percent < 100 else {}
        routing = {"Type": "CANARY" if size else "ALL_AT_ONCE", "WaitIntervalInSeconds": 600, **size}
        deployment: dict[str, Any] = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
        if alarms:
            deployment["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in alarms]}
        self.client.update_endpoint(EndpointName=self.name, EndpointConfigName=config, DeploymentConfig=deployment)
        self.cloud.settle()

    def shares(self, requests: int = 20) -> dict[str, int]:
        asked = [self.ask("x")["OutputLocation"] for _ in range(requests)]
        self.cloud.settle()
        return dict(Counter(self.read(uri).partition(":")[0] for uri in asked))


@pytest.fixture(scope="module")
def endpoint(cloud: Cloud) -> Asynchronous:
    return Asynchronous(cloud)


@pytest.fixture(scope="module")
def quiet(cloud: Cloud) -> Asynchronous:
    """One that tells nobody and says nowhere what went wrong."""
    return Asynchronous(cloud, topics=False, failures=False)


def test_topics_are_told_when_it_begins(endpoint: Asynchronous) -> None:
    for kind in endpoint.topics:
        assert endpoint.told(kind) == [
            {"eventVersion": "1.0", "eventSource": "aws:sagemaker", "eventName": "TestNotification"}
        ]


def test_a_result_is_written_and_told(endpoint: Asynchronous) -> None:
    answer = endpoint.ask("3,4", InferenceId="id-1")
    name = r"[0-9a-f]{8}-[0-9a-f-]{27}"
    assert answer["InferenceId"] == "id-1"
    assert re.fullmatch(rf"s3://{endpoint.bucket}/out/{name}\.out", answer["OutputLocation"])
    assert re.fullmatch(rf"s3://{endpoint.bucket}/failed/{name}-error\.out", answer["FailureLocation"])
    [told] = endpoint.told()
    assert endpoint.read(answer["OutputLocation"]) == "one:3,4"
    stamps = [datetime.strptime(told.pop(name), "%Y-%m-%dT%H:%M:%S.%f%z") for name in ("receivedTime", "eventTime")]
    assert stamps == sorted(stamps)
    assert abs(endpoint.cloud.now() - stamps[0]) < timedelta(minutes=1)
    location = told["requestParameters"].pop("inputLocation")
    assert endpoint.read(location) == "3,4"
    assert told == {
        "awsRegion": endpoint.cloud.twin.region, "invocationStatus": "Completed", "inferenceId": "id-1",
        "requestParameters": {"accept": "text/csv", "contentType": "text/csv", "endpointName": endpoint.name},
        "responseParameters": {"contentType": "text/csv", "outputLocation": answer["OutputLocation"]},
        "eventVersion": "1.0", "eventSource": "aws:sagemaker", "eventName": "InferenceResult",
    }  # fmt: skip
    assert endpoint.told("ErrorTopic") == []


@pytest.mark.parametrize(
    ("text", "said", "written"),
    [
        ("bad", 'Received client error (400) from model with message "row 1: not a row".', "row 1: not a row\n"),
        ("poison", 'Received server error (500) from model with message "poison".', "poison\n"),
        ("die", "the container does not answer", "ClientError: the container does not answer"),
    ],
)
def test_a_failure_is_written_and_told(endpoint: Asynchronous, text: str, said: str, written: str) -> None:
    answer = endpoint.ask(text)
    [told] = endpoint.told("ErrorTopic")
    assert told["invocationStatus"] == "Failed"
    assert told["failureReason"].startswith(f"ClientError: {said}")
    assert told["inferenceId"] == answer["InferenceId"]
    assert "responseParameters" not in told
    assert endpoint.read(answer["FailureLocation"]).startswith(written)
    assert "NoSuchKey" in code_of(lambda: endpoint.read(answer["OutputLocation"]))
    assert endpoint.told() == []


def test_an_input_that_is_not_there_is_a_failure(endpoint: Asynchronous) -> None:
    endpoint.ask("", InputLocation=f"s3://{endpoint.bucket}/absent")
    [told] = endpoint.told("ErrorTopic")
    assert told["failureReason"].startswith("ClientError: The request could not be downloaded: ")
    assert "NoSuchKey" in told["failureReason"]


def test_requests_wait_for_each_other_in_their_order(endpoint: Asynchronous) -> None:
    asked = [endpoint.ask(text)["InferenceId"] for text in ("slow0.5", "1", "slow0.2", "2")]
    assert [told["inferenceId"] for told in endpoint.told()] == asked


def test_without_topics_and_a_place_for_failures_there_are_results_all_the_same(quiet: Asynchronous) -> None:
    failed, done = quiet.ask("poison"), quiet.ask("1")
    quiet.cloud.settle()
    assert quiet.read(done["OutputLocation"]) == "one:1"
    assert "FailureLocation" not in failed
    keys = quiet.cloud.client("s3").list_objects_v2(Bucket=quiet.bucket, Prefix="out/")["Contents"]
    assert len(keys) == 1


def test_metrics_are_those_of_asynchronous_endpoints(cloud: Cloud) -> None:
    endpoint = Asynchronous(cloud)
    for text in ("1", "2", "bad", "poison"):
        endpoint.ask(text)
    endpoint.ask("", InputLocation=f"s3://{endpoint.bucket}/absent")
    cloud.settle()
    found = endpoint.metrics()
    counts = {
        "InvocationsProcessed": 5, "InvocationFailures": 3, "RequestDownloadFailures": 1, "Invocation4XXErrors": 1,
        "Invocation5XXErrors": 1,
    }  # fmt: skip
    assert {name: found[name] for name in counts} == counts
    assert set(found) - set(counts) == {
        "ModelLatency", "RequestDownloadLatency", "ResponseUploadLatency", "TimeInBacklog", "TotalProcessingTime",
        "ApproximateBacklogSize", "ApproximateBacklogSizePerInstance", "ApproximateAgeOfOldestRequest",
    }  # fmt: skip
    assert found["ApproximateBacklogSize"] >= 5


def test_the_models_role_reads_writes_and_publishes(cloud: Cloud) -> None:
    endpoint = Asynchronous(cloud)
    name = endpoint.role.rpartition("/")[2]
    publish = endpoint.statements[1]

    def permit(*statements: Any) -> None:
        cloud.client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*statements))

    [_] = endpoint.told("ErrorTopic")
    permit(publish)
    endpoint.ask("1")
    [told] = endpoint.told("ErrorTopic")
    assert "AccessDenied" in told["failureReason"]
    permit(publish, allow("s3:GetObject", f"arn:aws:s3:::{endpoint.bucket}/*"))
    endpoint.ask("1")
    [told] = endpoint.told("ErrorTopic")
    assert told["failureReason"].startswith("ClientError: The response could not be uploaded: ")
    permit(endpoint.statements[0])
    answer = endpoint.ask("1")
    [_] = endpoint.told()
    assert endpoint.read(answer["OutputLocation"]) == "one:1"
    found = endpoint.metrics()
    assert (found["RequestDownloadFailures"], found["ResponseUploadFailures"]) == (1, 1)
    assert (found["NotificationFailures"], found["InvocationFailures"]) == (1, 2)
    endpoint.update(endpoint.config("two"))
    assert endpoint.wait() == "InService"
    assert '"sns:Publish" permissions' in endpoint.describe()["FailureReason"]
    assert endpoint.shares(2) == {"one": 2}


def test_results_are_encrypted_with_a_key(cloud: Cloud) -> None:
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    endpoint = Asynchronous(cloud, topics=False, KmsKeyId=key)
    places = [endpoint.ask("1")["OutputLocation"], endpoint.ask("bad")["FailureLocation"]]
    cloud.settle()
    for uri in places:
        head = cloud.client("s3").head_object(Bucket=endpoint.bucket, Key=uri.split("/", 3)[3])
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_only_its_own_operation_asks_it(cloud: Cloud, endpoint: Asynchronous) -> None:
    runtime, other = cloud.client("sagemaker-runtime"), Endpoint(cloud)
    assert code_of(lambda: runtime.invoke_endpoint(EndpointName=endpoint.name, Body=b"1")) == "ValidationError"
    uri = endpoint.put("in/x", "1")
    asked = {"EndpointName": other.name, "InputLocation": uri}
    assert code_of(lambda: runtime.invoke_endpoint_async(**asked)) == "ValidationError"
    assert "Could not find" in message_of(lambda: runtime.invoke_endpoint_async(**asked | {"EndpointName": "absent"}))
    other.client.delete_endpoint(EndpointName=other.name)


def test_asking_is_authorised_on_the_endpoint(cloud: Cloud, endpoint: Asynchronous) -> None:
    request = {"EndpointName": endpoint.name, "InputLocation": endpoint.put("in/x", "1")}

    def caller(action: str, target: str) -> Any:
        return cloud.caller("sagemaker-runtime", allow(action, cloud.arn("sagemaker", f"endpoint/{target}")))

    caller("sagemaker:InvokeEndpointAsync", endpoint.name).invoke_endpoint_async(**request)
    for action, target in (("InvokeEndpoint", endpoint.name), ("InvokeEndpointAsync", "other")):
        refused = caller(f"sagemaker:{action}", target)
        assert code_of(lambda c=refused: c.invoke_endpoint_async(**request)).startswith("AccessDenied")  # type: ignore[misc]
    cloud.settle()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"RequestTTLSeconds": 60}, "RequestTTLSeconds"),
        ({"InvocationTimeoutSeconds": 60}, "InvocationTimeoutSeconds"),
        ({"CustomAttributes": "a"}, "CustomAttributes"),
        ({"S3OutputPathExtension": "a"}, "S3OutputPathExtension"),
        ({"Filename": "a"}, "Filename"),
        ({"Body": b"1"}, "Body"),
        ({"InputLocation": "https://bucket/key"}, "is not an S3 URI"),
    ],
)
def test_what_a_request_cannot_be_is_refused(endpoint: Asynchronous, more: dict[str, Any], said: str) -> None:
    assert said in message_of(lambda: endpoint.ask("1", **more))


CAPTURE = {
    "EnableCapture": True, "InitialSamplingPercentage": 100, "DestinationS3Uri": "s3://b/c",
    "CaptureOptions": [{"CaptureMode": "Input"}],
}  # fmt: skip
SERVERLESS = {"VariantName": "v", "ModelName": "m", "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 2}}
TOPICS = {"IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"]}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"DataCaptureConfig": CAPTURE}, "Data capture is not there"),
        ({"ProductionVariants": [SERVERLESS]}, "a serverless variant cannot have it"),
        ({"AsyncInferenceConfig": {"OutputConfig": {}}}, "without S3OutputPath"),
        ({"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "https://b/k"}}}, "is not an S3 URI"),
        (
            {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/k", "NotificationConfig": TOPICS}}},
            "IncludeInferenceResponseIn",
        ),
    ],
)
def test_what_a_configuration_cannot_be_is_refused(quiet: Asynchronous, more: dict[str, Any], said: str) -> None:
    assert said in message_of(lambda: quiet.config("one", **more))


def test_it_is_described_and_stays_what_it_is(quiet: Asynchronous) -> None:
    assert quiet.describe()["AsyncInferenceConfig"]["OutputConfig"] == quiet.output
    found = quiet.client.describe_endpoint_config(EndpointConfigName=quiet.describe()["EndpointConfigName"])
    assert found["AsyncInferenceConfig"]["OutputConfig"] == quiet.output
    realtime = Endpoint(quiet.cloud)
    assert "asynchronous requests and others" in message_of(lambda: quiet.update(realtime.config("two")))
    realtime.client.delete_endpoint(EndpointName=realtime.name)


def test_a_canary_takes_its_share_and_then_all(cloud: Cloud) -> None:
    endpoint = Asynchronous(cloud, topics=False)
    endpoint.update(endpoint.config("two"), percent=10)
    assert endpoint.shares() == {"one": 18, "two": 2}
    cloud.move(minutes=11)
    assert (endpoint.describe()["EndpointStatus"], endpoint.shares()) == ("Updating", {"two": 20})
    cloud.move(minutes=11)
    assert (endpoint.describe()["EndpointStatus"], endpoint.shares()) == ("InService", {"two": 20})


def test_an_alarm_rolls_back(cloud: Cloud) -> None:
    endpoint, name = Asynchronous(cloud, topics=False), alarm(cloud)
    endpoint.update(endpoint.config("two"), percent=50, alarms=(name,))
    assert endpoint.shares(4) == {"one": 2, "two": 2}
    raise_alarm(cloud, name)
    assert endpoint.wait() == "InService"
    assert endpoint.shares(4) == {"one": 4}


def test_a_request_to_a_version_that_is_taken_back_is_asked_of_the_other_one(cloud: Cloud) -> None:
    endpoint, name = Asynchronous(cloud, topics=False), alarm(cloud)
    endpoint.update(endpoint.config("two"), percent=50, alarms=(name,))
    before = [endpoint.ask(text)["OutputLocation"] for text in ("slow1", "slow1")]
    raise_alarm(cloud, name)
    cloud.settle()
    assert [endpoint.read(uri).partition(":")[0] for uri in before] == ["one", "one"]


def test_requests_wait_for_a_process_that_is_started_again(cloud: Cloud) -> None:
    before = processes(cloud.twin, MODEL)
    endpoint = Asynchronous(cloud, topics=False)
    [pid] = processes(cloud.twin, MODEL) - before
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert endpoint.shares(5) == {"one": 5}


def test_a_deleted_endpoint_drops_its_queue(cloud: Cloud) -> None:
    endpoint = Asynchronous(cloud, topics=False)
    asked = [endpoint.ask(text)["OutputLocation"] for text in ("slow0.5", "1", "2")]
    endpoint.client.delete_endpoint(EndpointName=endpoint.name)
    cloud.settle()
    for uri in asked[1:]:
        assert code_of(lambda u=uri: endpoint.read(u)) == "NoSuchKey"  # type: ignore[misc]
    assert "Could not find" in message_of(lambda: endpoint.ask("1"))


def test_what_waits_when_the_twin_is_killed_is_asked_again(kept: list[Twin]) -> None:
    old = Asynchronous(Cloud(kept[-1]))
    done = old.ask("0")["OutputLocation"]
    until(lambda: old.cloud.client("s3").list_objects_v2(Bucket=old.bucket, Prefix="out/")["KeyCount"])
    asked = [old.ask(text)["OutputLocation"] for text in ("slow2", "1", "2")]
    kept.append(killed(kept[-1]))
    new = Asynchronous.__new__(Asynchronous)
    vars(new).update(vars(old) | {"cloud": Cloud(kept[-1]), "client": Cloud(kept[-1]).client("sagemaker")})
    new.cloud.settle()
    assert [new.read(uri) for uri in [done, *asked]] == ["one:0", "one:slow2", "one:1", "one:2"]
    told = [message["responseParameters"]["outputLocation"] for message in new.told() if "inferenceId" in message]
    assert set(told) == {done, *asked}, "each at least once"
    assert new.shares(2) == {"one": 2}
