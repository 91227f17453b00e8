"""Requests for jobs and endpoints of these tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from .cloud import IMAGE, Cloud, allow, until

CLUSTER = {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}}
CODE = "/opt/ml/processing/input/code"


def put_code(cloud: Cloud, bucket: str, source: str) -> str:
    """URI of a program in S3."""
    cloud.client("s3").put_object(Bucket=bucket, Key="code/main.py", Body=source.encode())
    return f"s3://{bucket}/code/"


def s3_input(name: str, uri: str, path: str) -> dict[str, Any]:
    """An input of a processing job."""
    source = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": source}


def s3_output(name: str, uri: str, path: str) -> dict[str, Any]:
    """An output of a processing job."""
    return {"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": "EndOfJob"}}


def s3_role(cloud: Cloud, *buckets: str, actions: Sequence[str] = ("s3:*",)) -> str:
    """A role that may use these buckets and nothing else."""
    resources = [f"arn:aws:s3:::{bucket}{suffix}" for bucket in buckets for suffix in ("", "/*")]
    return cloud.role(allow(list(actions), resources))


def processing(
    role: str, code_uri: str, arguments: Sequence[str] = (), inputs: Any = (), outputs: Any = (), **more: Any
) -> dict[str, Any]:
    """A processing job that runs main.py."""
    app = {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", f"{CODE}/main.py"]}
    return {
        "RoleArn": role,
        "AppSpecification": app | ({"ContainerArguments": list(arguments)} if arguments else {}),
        "ProcessingResources": CLUSTER,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "ProcessingInputs": [s3_input("code", code_uri, CODE), *inputs],
        "ProcessingOutputConfig": {"Outputs": list(outputs)},
        **more,
    }


def training(
    role: str, code_uri: str, out_uri: str, arguments: Sequence[str] = ("-",), channels: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:  # fmt: skip
    """A training job that runs main.py of its channel ``code``."""
    uris = {"code": code_uri, **(channels or {})}
    return {
        "RoleArn": role,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE, "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/main.py"], "ContainerArguments": list(arguments),
        },
        "InputDataConfig": [
            {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}
            for name, uri in uris.items()
        ],
        "OutputDataConfig": {"S3OutputPath": out_uri},
        "ResourceConfig": CLUSTER["ClusterConfig"],
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **more,
    }  # fmt: skip


def run_job(cloud: Cloud, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run a ``processing`` or ``training`` job to its end; its description."""
    client, field = cloud.client("sagemaker"), f"{kind.title()}JobName"
    name = cloud.name(kind)
    getattr(client, f"create_{kind}_job")(**{field: name}, **request)

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = getattr(client, f"describe_{kind}_job")(**{field: name})
        return None if found[f"{kind.title()}JobStatus"] == "InProgress" else found

    found: dict[str, Any] = until(ended, 30)
    return found


def archive(inference: str, **files: str) -> bytes:
    """A model.tar.gz with an inference.py."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in {"code/inference.py": inference, **files}.items():
            data = text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()
