"""What becomes of a twin's processes that are killed, and of the twin itself."""

from __future__ import annotations

import json
import os
import signal
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from botocore.exceptions import ClientError

from driftloop.twin import lifecycle
from driftloop.twin.lifecycle import Twin, TwinError

from .cloud import Cloud, allow, until
from .test_endpoints import Endpoint
from .test_events import Alarm, rule
from .test_executions import World
from .test_lifecycle import alive, family
from .test_transforms import TRANSFORM, Batch

E = TypeVar("E", bound=Endpoint)
MODEL, STEP = "model_server.py", "container_host.py"


def processes(twin: Twin, program: str) -> set[int]:
    """Ids of a twin's processes of one kind."""
    return {pid for pid, command in alive(family(twin.pid)).items() if program in command}


def errors(cloud: Cloud, endpoint: Endpoint) -> float:
    """Requests that were counted as not answered."""
    now = cloud.now()
    points = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker", MetricName="Invocation5XXErrors", Period=86400, Statistics=["Sum"],
        Dimensions=[{"Name": "EndpointName", "Value": endpoint.name}, {"Name": "VariantName", "Value": "v"}],
        StartTime=now - timedelta(days=2), EndTime=now + timedelta(days=2),
    )["Datapoints"]  # fmt: skip
    return float(sum(point["Sum"] for point in points))


def is_answered(endpoint: Endpoint) -> bool:
    try:
        return endpoint.ask("x") == "one:x"
    except endpoint.cloud.client("sagemaker-runtime").exceptions.ModelError:
        return False
    except ClientError as error:
        if error.response["Error"]["Code"] == "ServiceUnavailable":
            return False
        raise


def test_a_model_whose_process_was_killed_is_started_again(cloud: Cloud) -> None:
    before = processes(cloud.twin, MODEL)
    endpoint = Endpoint(cloud)
    [pid] = processes(cloud.twin, MODEL) - before
    os.kill(pid, signal.SIGKILL)
    refused = 0
    while not is_answered(endpoint):
        refused += 1
    assert errors(cloud, endpoint) == refused
    assert endpoint.describe()["EndpointStatus"] == "InService"


def test_a_model_that_dies_five_times_in_a_row_is_given_up(cloud: Cloud) -> None:
    endpoint = Endpoint(cloud)
    assert is_answered(endpoint)

    def is_given_up() -> bool:
        with pytest.raises(ClientError) as refusal:
            endpoint.ask("die")
        return "6 times in a row" in str(refusal.value)

    until(is_given_up, 120)
    assert not is_answered(endpoint)


COUNTER = """
import os, signal, boto3
def handler(event, context):
    calls = boto3.client("s3").list_objects_v2(Bucket=event["bucket"]).get("KeyCount", 0)
    boto3.client("s3").put_object(Bucket=event["bucket"], Key=str(calls), Body=b"1")
    if calls < event["deaths"]:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("deaths", "calls", "dead"), [(0, 1, 0), (1, 2, 0), (2, 3, 0), (9, 3, 1)])
def test_an_asynchronous_invocation_is_repeated_twice(cloud: Cloud, deaths: int, calls: int, dead: int) -> None:
    bucket, (url, arn) = cloud.bucket(), cloud.queue()
    function = cloud.function(COUNTER, allow(["s3:*", "sqs:SendMessage"]), DeadLetterConfig={"TargetArn": arn})
    event = {"bucket": bucket, "deaths": deaths}
    cloud.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode())
    cloud.settle()
    assert cloud.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1, "it waits before it is repeated"
    for _ in range(3):
        cloud.move(minutes=5)
        cloud.settle()
    assert cloud.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == calls
    assert [json.loads(body)["requestPayload"] for body in cloud.take(url)] == [event] * dead


def sleeping(cloud: Cloud) -> tuple[World, str, int]:
    """An execution whose only step sleeps, and the process id of the step."""
    world, before = World(cloud), processes(cloud.twin, STEP)
    execution = world.start(world.deploy([world.process("Long", "sleep")]))
    [pid] = until(lambda: processes(cloud.twin, STEP) - before, 30)
    return world, execution, pid


def test_a_step_whose_process_was_killed_fails_the_execution(cloud: Cloud) -> None:
    world, execution, pid = sleeping(cloud)
    os.kill(pid, signal.SIGKILL)
    told = world.ended(execution)
    assert told["PipelineExecutionStatus"] == "Failed"
    assert "AlgorithmError" in told["FailureReason"]
    assert told["FailureReason"].endswith("exit code: -9")


def killed(twin: Twin) -> Twin:
    """Another twin that goes on where this one is killed."""
    pids = {twin.pid, *alive(family(twin.pid))}
    os.kill(twin.pid, signal.SIGKILL)
    until(lambda: not alive(pids), 30)
    return lifecycle.start(twin.folder, attached=True, keep=True)


def test_what_was_answered_survives(kept: list[Twin]) -> None:
    old = Cloud(kept[-1])
    bucket, (url, _) = old.bucket(), old.queue()
    old.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = old.client("s3").put_object(Bucket=bucket, Key="small", Body=b"1")["VersionId"]
    old.client("s3").put_object(Bucket=bucket, Key="large", Body=b"2" * 100_000)
    old.client("dynamodb").create_table(
        TableName="kept", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )  # fmt: skip
    old.client("dynamodb").put_item(TableName="kept", Item={"k": {"S": "a"}})
    key = old.client("kms").create_key()["KeyMetadata"]["KeyId"]
    secret = old.client("kms").encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    alarm = Alarm(old)
    alarm.put(5.0)
    function = old.function("def handler(event, context): return event")
    caller = old.caller("s3", allow("s3:ListAllMyBuckets"))
    endpoint = Endpoint(old)
    endpoint.update(endpoint.config("two"), percent=10)
    assert endpoint.shares() == {"one": 90, "two": 10}
    old.client("sqs").send_message(QueueUrl=url, MessageBody="waits")
    old.move(minutes=4)
    now = old.now()

    kept.append(killed(kept[-1]))
    new = Cloud(kept[-1])
    assert kept[-1].url == kept[0].url
    assert timedelta() <= new.now() - now < timedelta(minutes=2)
    s3 = new.client("s3")
    assert s3.get_object(Bucket=bucket, Key="small", VersionId=version)["Body"].read() == b"1"
    assert s3.get_object(Bucket=bucket, Key="large")["Body"].read() == b"2" * 100_000
    assert new.client("dynamodb").get_item(TableName="kept", Key={"k": {"S": "a"}})["Item"] == {"k": {"S": "a"}}
    assert new.client("kms").decrypt(CiphertextBlob=secret)["Plaintext"] == b"secret"
    [found] = new.client("cloudwatch").describe_alarms(AlarmNames=[alarm.name])["MetricAlarms"]
    assert found["StateValue"] == "ALARM"
    assert new.invoke(function, {"a": 1}) == ({"a": 1}, None)
    new.settle()
    assert caller.list_buckets()["Buckets"], "sessions are still known"
    assert new.take(url) == ["waits"]
    again = resumed(endpoint, new)
    assert again.describe()["EndpointStatus"] == "Updating"
    assert again.shares() == {"one": 90, "two": 10}
    new.move(minutes=30)
    assert (again.describe()["EndpointStatus"], again.shares()) == ("InService", {"two": 100})
    assert sum(len(records) for records in again.captured().values()) == 300, "each request once"


def resumed(endpoint: E, cloud: Cloud) -> E:
    """The same endpoint in another twin."""
    again = endpoint.__new__(type(endpoint))
    vars(again).update(vars(endpoint) | {"cloud": cloud, "client": cloud.client("sagemaker")})
    return again


def test_a_function_at_work_dies_with_its_twin_and_runs_again(kept: list[Twin]) -> None:
    cloud = Cloud(kept[-1])
    bucket = cloud.bucket()
    source = (
        "import time, boto3\n"
        "def handler(event, context):\n"
        "    s3 = boto3.client('s3')\n"
        "    first = not s3.list_objects_v2(Bucket=event).get('KeyCount')\n"
        "    s3.put_object(Bucket=event, Key=context.aws_request_id, Body=b'1')\n"
        "    time.sleep(100 if first else 0)\n"
    )
    function = cloud.function(source, allow("s3:*"), Timeout=200)
    cloud.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(bucket).encode())
    until(lambda: cloud.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"])
    cloud.client("sqs").create_queue(QueueName="a-picture-is-taken")
    kept.append(killed(kept[-1]))
    new = Cloud(kept[-1])
    new.settle()
    assert new.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 2


def test_an_execution_under_way_fails_with_its_twin_and_that_is_told(kept: list[Twin]) -> None:
    cloud = Cloud(kept[-1])
    status = ["SageMaker Model Building Pipeline Execution Status Change"]
    url = rule(cloud, {"source": ["aws.sagemaker"], "detail-type": status})
    _, execution, _ = sleeping(cloud)
    kept.append(killed(kept[-1]))
    new = Cloud(kept[-1])
    told = new.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=execution)
    assert (told["PipelineExecutionStatus"], "the twin was killed" in told["FailureReason"]) == ("Failed", True)
    [step] = new.client("sagemaker").list_pipeline_execution_steps(PipelineExecutionArn=execution)[
        "PipelineExecutionSteps"
    ]
    assert step["StepStatus"] == "Failed"
    events = [json.loads(body)["detail"] for body in new.take(url)]
    assert [event["currentPipelineExecutionStatus"] for event in events] == ["Executing", "Failed"]
    assert {event["pipelineExecutionArn"] for event in events} == {execution}


def test_a_transform_under_way_fails_with_its_twin_and_that_is_told(kept: list[Twin]) -> None:
    cloud = Cloud(kept[-1])
    batch, url = Batch(cloud), rule(cloud, {"source": ["aws.sagemaker"], "detail-type": [TRANSFORM]})
    batch.put("in/a.csv", "1\n")
    done = batch.run()["TransformJobName"]
    batch.put("in/b.csv", "slow\n")
    before = processes(cloud.twin, MODEL)
    name = batch.start(batch.request())
    until(lambda: processes(cloud.twin, MODEL) - before, 30)
    kept.append(killed(kept[-1]))
    new = Cloud(kept[-1])
    told = new.client("sagemaker").describe_transform_job(TransformJobName=name)
    assert (told["TransformJobStatus"], "the twin was killed" in told["FailureReason"]) == ("Failed", True)
    assert new.client("sagemaker").describe_transform_job(TransformJobName=done)["TransformJobStatus"] == "Completed"
    events = [json.loads(body)["detail"] for body in new.take(url)]
    assert [event["TransformJobStatus"] for event in events] == ["InProgress", "Completed", "InProgress", "Failed"]
    assert events[-1]["FailureReason"] == told["FailureReason"]


def test_one_kept_twin_is_not_begun_anew(kept: list[Twin]) -> None:
    twin = kept[-1]
    os.kill(twin.pid, signal.SIGKILL)
    until(lambda: not Twin.find(twin.folder), 30)
    assert lifecycle.is_kept(twin.folder)
    with pytest.raises(TwinError, match="without --start and --port it goes on"):
        lifecycle.start(twin.folder, begin=datetime(2014, 1, 1), keep=True)  # noqa: DTZ001
    twin.folder.joinpath("kept").chmod(0o755)
    with pytest.raises(TwinError, match="open to others"):
        lifecycle.start(twin.folder, keep=True)
    lifecycle.remove(twin.folder)
    assert not twin.folder.exists()
