"""What a prediction takes, and what its capture adds: ``python -m benchmarks.serving --requests 500 --out FILE.json``.

The packaged function runs in the embedded AWS, before an endpoint that answers at once. Three ways are asked in turn: the
endpoint itself, the function that leaves capture to SageMaker, and the function that captures. Between two requests nobody
asks for a while, as what follows an answer would hold the only process of the embedded AWS, where Lambda starts another.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tarfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.results import publish
from driftloop.names import ModelNames
from driftloop.ports import Resources
from driftloop.spec import load_model
from driftloop.twin import lifecycle
from driftloop.twin.deployment import client
from driftloop.twin.lifecycle import Twin
from infra.packaging import package_functions

MODEL = Path(__file__).resolve().parents[1] / "models" / "flight_delay" / "model.yaml"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
INFERENCE = """
def model_fn(model_dir):
    return None
def input_fn(body, content_type):
    return body if isinstance(body, str) else bytes(body).decode()
def predict_fn(rows, model):
    return rows.count("\\n")
def output_fn(rows, accept):
    return "0.250000\\n" * rows
"""
BUCKET = "bench"
MODES: dict[str, dict[str, Any]] = {
    "function": {"mode": "realtime", "http": True},
    "function_and_capture": {"mode": "serverless"},
}


def _deploy(twin: Twin, code: bytes) -> None:
    """One endpoint, and before it a function for each mode."""
    client(twin, "s3").create_bucket(Bucket=BUCKET)
    trust = {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]}}
    trust |= {"Action": "sts:AssumeRole"}
    role = client(twin, "iam").create_role(RoleName="all", AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    actions = ["s3:*", "ssm:*", "sagemaker:*", "logs:*"]
    grants = _policy({"Effect": "Allow", "Action": actions, "Resource": "*"})
    client(twin, "iam").put_role_policy(RoleName="all", PolicyName="all", PolicyDocument=grants)
    _endpoint(twin, role)
    spec = load_model(MODEL)
    for name, serving in MODES.items():
        compiled = spec.compiled()
        compiled["serving"] |= serving
        content = {"spec": compiled, "resources": vars(Resources("p", "g", "endpoint", role, IMAGE))}
        client(twin, "ssm").put_parameter(Name=ModelNames(name).parameter, Value=json.dumps(content), Type="String")
        client(twin, "lambda").create_function(
            FunctionName=name, Role=role, Runtime="python3.13", Handler="functions.predict.handler.handler",
            Timeout=65, MemorySize=1769, Code={"ZipFile": code},
            Environment={"Variables": {"MODEL": name, "LIVE_BUCKET": BUCKET, "REVISION": "1"}},
        )  # fmt: skip


def _endpoint(twin: Twin, role: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo("code/inference.py")
        entry.size = len(INFERENCE)
        tar.addfile(entry, io.BytesIO(INFERENCE.encode()))
    client(twin, "s3").put_object(Bucket=BUCKET, Key="model.tar.gz", Body=archive.getvalue())
    environment = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz", "Environment": environment}
    sagemaker = client(twin, "sagemaker")
    sagemaker.create_model(ModelName="model", ExecutionRoleArn=role, PrimaryContainer=container)
    size = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
    variant = {"VariantName": "AllTraffic", "ModelName": "model", "ServerlessConfig": size}
    sagemaker.create_endpoint_config(EndpointConfigName="config", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="endpoint", EndpointConfigName="config")
    while (status := sagemaker.describe_endpoint(EndpointName="endpoint")["EndpointStatus"]) != "InService":
        if status == "Failed":
            raise SystemExit("the endpoint has failed")
        time.sleep(0.1)


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _zipped() -> bytes:
    with TemporaryDirectory() as folder:
        return Path(shutil.make_archive(str(Path(folder, "code")), "zip", package_functions("host"))).read_bytes()


def _row() -> dict[str, Any]:
    data = load_model(MODEL).data
    values = {name: "x" if feature.type == "category" else 1 for name, feature in data.features.items()}
    return {data.id: "row", data.time: "2013-03-01T00:00:00Z", **values}


def _ask_function(function: Any, name: str) -> None:
    event = {
        "version": "2.0", "rawPath": "/predictions", "rawQueryString": "", "isBase64Encoded": False,
        "headers": {"content-type": "application/json"}, "body": json.dumps({"rows": [_row()]}),
        "requestContext": {"http": {"method": "POST", "path": "/predictions"}, "stage": "$default"},
    }  # fmt: skip
    answer = function.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    told = json.loads(answer["Payload"].read())
    if told.get("statusCode") != 200:
        raise SystemExit(f"{name}: {told}")


def _ask_endpoint(runtime: Any) -> None:
    row = ",".join(map(str, _row().values())) + "\n"
    runtime.invoke_endpoint(EndpointName="endpoint", ContentType="text/csv", Body=row.encode())


def measure(requests: int, pause: float) -> dict[str, Any]:
    """Milliseconds of each way."""
    with TemporaryDirectory() as folder:
        twin = lifecycle.start(Path(folder, "twin"), attached=True)
        try:
            _deploy(twin, _zipped())
            ways: dict[str, Callable[[], None]] = {
                "endpoint": partial(_ask_endpoint, client(twin, "sagemaker-runtime"))
            }
            ways |= {name: partial(_ask_function, client(twin, "lambda"), name) for name in MODES}
            times: dict[str, list[float]] = {name: [] for name in ways}
            for number in range(requests + 10):  # the first ones start processes
                for name, ask in ways.items():
                    begun = time.perf_counter()
                    ask()
                    if number >= 10:
                        times[name].append((time.perf_counter() - begun) * 1000)
                    time.sleep(pause)
            twin.door("settle")
            pages = client(twin, "s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="capture/")
            captured = sum(page["KeyCount"] for page in pages)
        finally:
            twin.stop()
    if captured != requests + 10:
        raise SystemExit(f"{captured} of {requests + 10} predictions were captured")
    runs = {name: _percentiles(values) for name, values in times.items()}
    adds = {p: round(runs["function_and_capture"][p] - runs["function"][p], 2) for p in runs["function"]}
    return {"requests": requests, "milliseconds": runs, "capture_adds": adds}


def _percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(values, p)), 2) for p in (50, 90, 99)}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--requests", type=int, default=500, help="of each way")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two requests")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    options = parser.parse_args(arguments)
    publish(measure(options.requests, options.pause), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
