"""Lambda: the packaged code in an isolated interpreter, virtual time, its role, its log, its metrics, its errors."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from .cloud import Cloud, allow, code_of, zipped

PROBE = """
import importlib, os, sys, time
def handler(event, context):
    if event == "imports":
        found = {}
        for name in ("boto3", "numpy", "pandas", "sklearn", "moto", "driftloop", "packaged", "pytest"):
            try:
                importlib.import_module(name)
                found[name] = True
            except ImportError:
                found[name] = False
        return found
    if event == "time":
        return time.time()
    if event == "environment":
        return dict(os.environ)
    if event == "who":
        import boto3
        return boto3.client("sts").get_caller_identity()["Arn"]
    if event == "context":
        return [context.function_name, context.memory_limit_in_mb, context.invoked_function_arn,
                context.get_remaining_time_in_millis(), context.aws_request_id, context.log_group_name]
    return event
"""


@pytest.fixture(scope="module")
def probe(cloud: Cloud) -> str:
    """A function that tells about its surroundings."""
    return cloud.function(
        PROBE,
        files={"packaged.py": ""},
        MemorySize=256,
        Environment={"Variables": {"COLOUR": "green", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}},
    )


@pytest.mark.parametrize("event", [None, 1, "text", [1], {"a": {"b": "ä"}}])
def test_any_event_comes_back(cloud: Cloud, probe: str, event: Any) -> None:
    assert cloud.invoke(probe, event) == (event, None)


def test_it_imports_what_lambda_brings_and_what_is_packaged_and_nothing_else(cloud: Cloud, probe: str) -> None:
    found, _ = cloud.invoke(probe, "imports")
    assert {name for name, there in found.items() if there} == {"boto3", "packaged"}


def test_it_lives_in_virtual_time_which_moves_while_it_is_warm(cloud: Cloud, probe: str) -> None:
    for _ in range(2):
        told, _ = cloud.invoke(probe, "time")
        assert abs(told - cloud.now().timestamp()) < 5
        cloud.move(hours=2)


def test_it_has_its_own_environment_and_none_of_the_developers(
    cloud: Cloud, probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "1")
    found, _ = cloud.invoke(probe, "environment")
    assert found["COLOUR"] == "green"
    assert found["AWS_LAMBDA_FUNCTION_NAME"] == probe
    assert found["AWS_ENDPOINT_URL"] == cloud.twin.url, "a function can reach nothing but its twin"
    assert not {"VIRTUAL_ENV", "PYTHONPATH", "HOME", "SECRET_OF_MINE", "PYTEST_CURRENT_TEST"} & set(found)
    assert found["AWS_ACCESS_KEY_ID"] != cloud.twin.access_key


def test_it_works_with_its_roles_permissions(cloud: Cloud, probe: str) -> None:
    told, _ = cloud.invoke(probe, "who")
    role = cloud.client("lambda").get_function_configuration(FunctionName=probe)["Role"].rpartition("/")[2]
    assert told == f"arn:aws:sts::{cloud.twin.account}:assumed-role/{role}/{probe}"
    bucket = cloud.bucket()
    source = (
        "import boto3\n"
        "def handler(event, context):\n"
        f"    boto3.client('s3').put_object(Bucket='{bucket}', Key=event, Body=b'1')"
    )
    writer = cloud.function(source, allow("s3:PutObject", f"arn:aws:s3:::{bucket}/mine/*"))
    assert cloud.invoke(writer, "mine/a") == (None, None)
    answer, error = cloud.invoke(writer, "yours/a")
    assert error == "Unhandled"
    assert "AccessDenied" in answer["errorMessage"]


def test_its_context_is_lambdas(cloud: Cloud, probe: str) -> None:
    (name, memory, arn, left, request, group), _ = cloud.invoke(probe, "context")
    assert (name, memory, arn) == (probe, 256, cloud.arn("lambda", f"function:{probe}"))
    assert 0 < left <= 20_000
    assert len(request) == 36
    assert group == f"/aws/lambda/{probe}"


EMITTER = """
import json, os, subprocess, sys, time
def handler(event, context):
    header = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [
        {"Namespace": "tests", "Dimensions": [["Model"]], "Metrics": [{"Name": event["name"], "Unit": "Count"}]}]}
    print("plain line")
    for value in event["values"]:
        print(json.dumps({"_aws": header, "Model": "m", event["name"]: value}))
    if event.get("raw"):
        sys.stdout.flush()
        os.write(2, bytes([255, 254, 10]))
        os.write(1, b"to the real standard output\\n")
        subprocess.run(["/bin/echo", '{"status": "ok", "result": "forged"}'])
    if event.get("fail"):
        raise LookupError("nothing here")
    if event.get("sleep"):
        time.sleep(event["sleep"])
    return "done"
"""


@pytest.fixture(scope="module")
def emitter(cloud: Cloud) -> str:
    """A function that prints metrics."""
    return cloud.function(EMITTER, Timeout=1)


def total(cloud: Cloud, name: str, dimensions: dict[str, str] | None = None) -> tuple[float, float]:
    """Sum and count of a metric in the last day."""
    now = cloud.now()
    points = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="tests", MetricName=name, Period=86400, Statistics=["Sum", "SampleCount"],
        Dimensions=[{"Name": k, "Value": v} for k, v in (dimensions or {"Model": "m"}).items()],
        StartTime=now - timedelta(days=1), EndTime=now + timedelta(days=1),
    )["Datapoints"]  # fmt: skip
    return sum(point["Sum"] for point in points), sum(point["SampleCount"] for point in points)


def test_embedded_metrics_become_metrics(cloud: Cloud, emitter: str) -> None:
    assert cloud.invoke(emitter, {"name": "Plain", "values": [2, 3.5, [1, 1]]}) == ("done", None)
    assert total(cloud, "Plain") == (7.5, 4)
    assert total(cloud, "Plain", {"Model": "other"}) == (0, 0)
    assert total(cloud, "Plain", {"Model": "m", "Region": "r"}) == (0, 0)


def test_metrics_before_an_error_count_too(cloud: Cloud, emitter: str) -> None:
    answer, error = cloud.invoke(emitter, {"name": "Broken", "values": [1], "fail": True})
    assert (error, answer["errorMessage"]) == ("Unhandled", "LookupError: nothing here")
    assert total(cloud, "Broken") == (1, 1)
    assert cloud.invoke(emitter, {"name": "Broken", "values": []}) == ("done", None), "it works again"


def test_a_function_that_takes_too_long_is_ended(cloud: Cloud, emitter: str) -> None:
    answer, error = cloud.invoke(emitter, {"name": "Slow", "values": [1], "sleep": 30})
    assert error
    assert "timed out" in answer["errorMessage"]
    assert total(cloud, "Slow") == (1, 1), "what it had said before counts"
    assert cloud.invoke(emitter, {"name": "Slow", "values": []}) == ("done", None)


def test_bytes_on_the_real_outputs_do_no_harm(cloud: Cloud, emitter: str) -> None:
    for _ in range(2):
        assert cloud.invoke(emitter, {"name": "Raw", "values": [1], "raw": True}) == ("done", None)
    assert total(cloud, "Raw") == (2, 2)
    assert any("to the real standard output" in line for line in cloud.log(emitter))


def test_its_log_is_written(cloud: Cloud, emitter: str) -> None:
    cloud.invoke(emitter, {"name": "Logged", "values": [4]})
    lines = [line.strip() for line in cloud.log(emitter)]
    assert "plain line" in lines
    assert any('"Logged": 4' in line for line in lines)
    assert any(line.startswith("START RequestId") for line in lines)
    assert any(line.startswith("END RequestId") for line in lines)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import absent_module", "absent_module"),
        ("x = 1", "handler"),
        ("def handler(event, context): return {1, 2}", "JSON serializable"),
        ("import os\ndef handler(event, context): os._exit(3)", ""),
        ("import sys\ndef handler(event, context): sys.exit(3)", ""),
    ],
)
def test_code_that_cannot_run_is_a_function_error(cloud: Cloud, source: str, said: str) -> None:
    answer, error = cloud.invoke(cloud.function(source), {})
    assert error
    assert said in json.dumps(answer)


def test_new_code_is_used_at_once(cloud: Cloud) -> None:
    name = cloud.function("def handler(event, context): return 1")
    assert cloud.invoke(name)[0] == 1
    code = zipped({"app.py": "def handler(event, context): return 2"})
    cloud.client("lambda").update_function_code(FunctionName=name, ZipFile=code)
    assert cloud.invoke(name)[0] == 2


def test_what_the_twin_cannot_run_is_refused(cloud: Cloud) -> None:
    role = cloud.role(trusts=["lambda.amazonaws.com"])
    code = {"ZipFile": zipped({"index.js": "exports.handler = async () => 1"})}
    client = cloud.client("lambda")
    client.create_function(
        FunctionName="scripted", Role=role, Code=code, Runtime="nodejs20.x", Handler="index.handler"
    )  # fmt: skip
    answer, error = cloud.invoke("scripted")
    assert error
    assert "nodejs20.x" in answer["errorMessage"]


def test_an_invocation_needs_permission(cloud: Cloud, probe: str) -> None:
    caller = cloud.caller("lambda", allow("lambda:InvokeFunction", cloud.arn("lambda", "function:other")))
    assert code_of(lambda: caller.invoke(FunctionName=probe, Payload=b"1")).startswith("AccessDenied")


EXTENDED = """
import json, os, threading, time, queue
from http.client import HTTPConnection

def call(method, path, headers, body=None):
    connection.request(method, "/2020-01-01/extension/" + path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, answer.getheader("Lambda-Extension-Identifier"), json.loads(content)

connection = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
refused = [call("POST", "register", {"Lambda-Extension-Name": "after"}, '{"events": ["INVOKE", "SHUTDOWN"]}')[0],
           call("GET", "event/next", {"Lambda-Extension-Identifier": "nobody"})[0]]
_, identifier, told = call("POST", "register", {"Lambda-Extension-Name": "after"}, '{"events": ["INVOKE"]}')
handed, done = queue.Queue(), []

def serve():
    import boto3
    while True:
        _, _, event = call("GET", "event/next", {"Lambda-Extension-Identifier": identifier})
        seconds, body = handed.get()
        time.sleep(seconds)
        if body:
            boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=event["requestId"], Body=body)
        done.append(event["requestId"])
        print("done", event["eventType"])

threading.Thread(target=serve, daemon=True).start()

def handler(event, context):
    handed.put((event["seconds"], event["body"]))
    return {"refused": refused, "told": told, "done": list(done), "request": context.aws_request_id}
"""


@pytest.fixture(scope="module")
def extended(cloud: Cloud) -> tuple[str, str]:
    """A function that writes an object once it has answered, and the object's bucket."""
    bucket = cloud.bucket()
    grants = allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*")
    return cloud.function(EXTENDED, grants, Timeout=5, Environment={"Variables": {"BUCKET": bucket}}), bucket


def test_an_extension_is_refused_what_lambda_refuses_code_inside_a_function(
    cloud: Cloud, extended: tuple[str, str]
) -> None:
    answer, _ = cloud.invoke(extended[0], {"seconds": 0, "body": ""})
    assert answer["refused"] == [403, 403]
    assert answer["told"] == {"functionName": extended[0]}


def test_work_after_the_answer_is_not_waited_for_and_done_before_the_next_invocation(
    cloud: Cloud, extended: tuple[str, str]
) -> None:
    function, bucket = extended
    first, _ = cloud.invoke(function, {"seconds": 1.0, "body": "late"})
    assert cloud.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0, "the answer came first"
    second, _ = cloud.invoke(function, {"seconds": 0, "body": ""})
    assert second["done"][-1] == first["request"]
    assert cloud.client("s3").get_object(Bucket=bucket, Key=first["request"])["Body"].read() == b"late"


def test_the_twin_rests_when_the_work_after_the_answer_is_done(cloud: Cloud, extended: tuple[str, str]) -> None:
    function, bucket = extended
    answer, _ = cloud.invoke(function, {"seconds": 1.0, "body": "settled"})
    cloud.settle()
    assert cloud.client("s3").get_object(Bucket=bucket, Key=answer["request"])["Body"].read() == b"settled"


def test_an_extension_that_does_not_come_back_ends_the_process(cloud: Cloud, extended: tuple[str, str]) -> None:
    function, _ = extended
    cloud.invoke(function, {"seconds": 60, "body": "never"})
    answer, _ = cloud.invoke(function, {"seconds": 0, "body": ""})
    assert answer["done"] == [], "a new process"
