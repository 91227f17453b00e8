"""What files of rows take: ``python -m benchmarks.files --rows 1000000 --out FILE.json``.

A version that the training step's code has fitted answers them in the embedded AWS: as batch transform jobs that the packaged
function starts and brings in, with the limits that it asks of SageMaker, and as requests of an asynchronous endpoint, each a
whole file. Memory is the high-water mark of the process of the container, and of the function.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.detection.generated import ROWS, WORLDS, generate
from benchmarks.results import publish
from driftloop.aws.hosting import is_missing
from driftloop.aws.ledger import DynamoLedger
from driftloop.aws.objects import S3Objects
from driftloop.data.capture import decode_capture
from driftloop.data.rows import texts
from driftloop.data.schema import Schema
from driftloop.loop.batch_files import BatchFiles
from driftloop.names import VARIANT, ModelNames, parse_uri
from driftloop.ports import Champion, Resources
from driftloop.spec import load_model
from driftloop.spec.model import ModelSpec
from driftloop.twin import lifecycle
from driftloop.twin.deployment import client
from driftloop.twin.lifecycle import Twin
from infra.function_catalog import FUNCTIONS
from infra.packaging import package_functions
from pipelines.steps.archive import write_content
from pipelines.steps.fitting import Trainer

SPEC = Path(__file__).parent / "streams" / "model.yaml"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
BUCKET, FUNCTION = "bench", "transform_batch"
INSTANCE, INSTANCE_MB = "ml.m5.large", 8192
MB = 1 << 20
CHUNK = 50_000
"""Rows that are made at a time."""
WAIT, GLANCE = 0.2, 0.02
"""Seconds between two questions about a job, and between two looks at a process."""


@dataclass
class Peak:
    """High-water mark of the resident memory of a twin's processes that run a script; they end without telling it."""

    script: str
    folder: Path
    """The twin's: there may be others."""
    bytes: int = 0
    _known: set[int] = field(default_factory=set)
    _over: Event = field(default_factory=Event)

    def watch(self) -> None:
        """Look until it is over. Processes that were there before are not looked at."""
        while not self._over.wait(GLANCE):
            for pid in self._found() - self._known:
                self.bytes = max(self.bytes, _high_water(pid))

    def _found(self) -> set[int]:
        return {int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if self._runs(path)}

    def _runs(self, path: Path) -> bool:
        try:
            command = path.read_bytes()
        except OSError:
            return False  # it has ended
        return self.script.encode() in command and str(self.folder).encode() in command

    @classmethod
    @contextmanager
    def of(cls, script: str, folder: Path) -> Iterator[Peak]:
        """Watch meanwhile."""
        peak = cls(script, folder)
        peak._known = peak._found()
        thread = Thread(target=peak.watch, daemon=True)
        thread.start()
        try:
            yield peak
        finally:
            peak._over.set()
            thread.join()


def _high_water(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


class Bench:
    """A twin with one model that answers files: what the stacks and a rollout leave behind."""

    def __init__(self, twin: Twin) -> None:
        self.spec = load_model(SPEC)
        self.memory = next(function.memory for function in FUNCTIONS if function.name == FUNCTION)
        self.s3 = client(twin, "s3")
        self._twin, self._names, self._code = twin, ModelNames(self.spec.name), _zipped()
        self._sagemaker, self._lambda = client(twin, "sagemaker"), client(twin, "lambda")
        self._files = BatchFiles(S3Objects(self.s3), BUCKET, self.spec.name)
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        trust = {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]}}
        trust |= {"Action": "sts:AssumeRole"}
        iam = client(twin, "iam")
        self._role = iam.create_role(RoleName="all", AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        grants = _policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
        iam.put_role_policy(RoleName="all", PolicyName="all", PolicyDocument=grants)
        self._settings = {f"{name}_BUCKET": BUCKET for name in ("LIVE", "CURATED", "ARTIFACT")} | {
            "LEDGER_TABLE": "ledger",
            "TOPIC_ARN": client(twin, "sns").create_topic(Name="driftloop")["TopicArn"],
            "KMS_KEY_ARN": client(twin, "kms").create_key()["KeyMetadata"]["Arn"],
        }
        self._serve()

    def _serve(self) -> None:
        compiled, names = self.spec.compiled(), self._names
        compiled["serving"]["batch"] |= {"every": "1d", "instance": INSTANCE}
        content = {
            "spec": compiled,
            "resources": vars(Resources(names.base, names.base, names.base, self._role, IMAGE)),
        }
        client(self._twin, "ssm").put_parameter(Name=names.parameter, Value=json.dumps(content), Type="String")
        self.s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=_archive(self.spec))
        environment = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz", "Environment": environment}
        self._sagemaker.create_model(
            ModelName=names.version(1), ExecutionRoleArn=self._role, PrimaryContainer=container
        )
        dynamodb = client(self._twin, "dynamodb")
        dynamodb.create_table(
            TableName="ledger", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "model", "KeyType": "HASH"}, {"AttributeName": "item", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("model", "item")],
        )  # fmt: skip
        champion = Champion(1, "arn", "s3://a/b", names.version(1), datetime.now(UTC) - timedelta(days=1))
        DynamoLedger(dynamodb, "ledger").set_champion(self.spec.name, champion)

    def _create_function(self, name: str) -> None:
        self._lambda.create_function(
            FunctionName=name, Role=self._role, Runtime="python3.13", Handler=f"functions.{FUNCTION}.handler.handler",
            Timeout=900, MemorySize=self.memory, Code={"ZipFile": self._code}, Environment={"Variables": self._settings},
        )  # fmt: skip

    def measure(self, rows: int) -> dict[str, Any]:
        """One file, in both ways."""
        key = f"batch/{self.spec.name}/requests/{rows}.csv"
        with TemporaryDirectory() as folder:
            file = Path(folder, "rows.csv")
            _write(self.spec, rows, file)
            self.s3.upload_file(str(file), BUCKET, key)
            size = file.stat().st_size
        return {"rows": rows, "file_mb": _mb(size), **self._batch(rows), "asynchronous": self._asynchronous(rows, key)}

    def captured(self) -> int:
        """Rows of all captures. Raises SystemExit if one cannot be read."""
        objects, counted = S3Objects(self.s3), 0
        for key in objects.keys(BUCKET, "capture/"):
            for part in decode_capture(Schema.from_spec(self.spec.compiled()), objects.blocks(BUCKET, key)):
                if part.refused:
                    raise SystemExit(f"{key}: {part.quarantined[0].reason}")
                counted += part.rows
        return counted

    def _batch(self, rows: int) -> dict[str, Any]:
        at = datetime.now(UTC).replace(microsecond=0)
        job, function = f"{self._names.base}-{at:%Y%m%d%H%M%S}", f"{FUNCTION}_{rows}"
        # Another process for each size.
        self._create_function(function)
        with Peak.of("lambda_worker.py", self._twin.folder) as worker:
            with Peak.of("model_server.py", self._twin.folder) as container:
                self._invoke(function, {"model": self.spec.name, "time": at.isoformat()})
                state = _wait(lambda: self._state(job))
            if state["TransformJobStatus"] != "Completed":
                raise SystemExit(f"{job}: {state.get('FailureReason')}")
            begun = time.perf_counter()
            self._invoke(
                function, {"detail-type": "SageMaker Transform Job State Change", "detail": {"TransformJobName": job}}
            )
            _wait(lambda: self._files.is_settled(job))
            took = time.perf_counter() - begun
        if len(self._files.outputs(self._files.job(job))) != 1 or self._files.waiting():
            raise SystemExit(f"{job} has left a file without an answer")
        seconds = (state["TransformEndTime"] - state["CreationTime"]).total_seconds()
        return {"transform": _figures(seconds, container), "function": _figures(took, worker)}

    def _state(self, job: str) -> Any:
        """What has become of a job; None as long as it runs or is still to be started."""
        try:
            found = self._sagemaker.describe_transform_job(TransformJobName=job)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        return found if "TransformEndTime" in found else None

    def _invoke(self, function: str, body: dict[str, Any]) -> None:
        """As the queue does; nobody waits for the answer, for which a client has less patience than the queue."""
        record = {"messageId": "1", "body": json.dumps(body), "eventSource": "aws:sqs"}
        event = json.dumps({"Records": [record]}).encode()
        self._lambda.invoke(FunctionName=function, InvocationType="Event", Payload=event)

    def _asynchronous(self, rows: int, key: str) -> dict[str, float]:
        """An endpoint of its own for each size, so that each has a process of its own."""
        name = f"asynchronous-{rows}"
        variant = {"VariantName": VARIANT, "ModelName": self._names.version(1), "InstanceType": INSTANCE}
        output = {"S3OutputPath": f"s3://{BUCKET}/results", "S3FailurePath": f"s3://{BUCKET}/failures"}
        self._sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant | {"InitialInstanceCount": 1}],
            AsyncInferenceConfig={"OutputConfig": output},
        )  # fmt: skip
        with Peak.of("model_server.py", self._twin.folder) as container:
            self._sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
            _wait(lambda: self._sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")
            begun = time.perf_counter()
            asked = client(self._twin, "sagemaker-runtime").invoke_endpoint_async(
                EndpointName=name, InputLocation=f"s3://{BUCKET}/{key}", ContentType="text/csv"
            )
            places = [parse_uri(asked[place])[1] for place in ("OutputLocation", "FailureLocation")]
            objects = S3Objects(self.s3)
            [found] = _wait(lambda: [place for place in places if objects.keys(BUCKET, place)])
            took = time.perf_counter() - begun
        answer = objects.read(BUCKET, found)
        if found != places[0] or answer.count(b"\n") != rows:
            raise SystemExit(f"{name}: {answer[:500].decode()}")
        self._sagemaker.delete_endpoint(EndpointName=name)
        return _figures(took, container)


def _wait(ask: Callable[[], Any]) -> Any:
    while not (found := ask()):
        time.sleep(WAIT)
    return found


def _write(spec: ModelSpec, rows: int, file: Path) -> None:
    """A file as the endpoint takes it."""
    names = [spec.data.id, spec.data.time, *spec.data.features]
    with file.open("w", encoding="utf-8") as out:
        for place in range(0, rows, CHUNK):
            columns = generate(WORLDS["none"], place, days=-(-min(CHUNK, rows - place) // ROWS))
            cells = [texts(columns[name][: rows - place]) for name in names]
            # Ids are unique for each prediction, in all files.
            out.writelines(f"{rows}-{place}-{','.join(row)}\n" for row in zip(*cells, strict=True))


def _archive(spec: ModelSpec) -> bytes:
    """A version, fitted on rows of the same world."""
    compiled = spec.compiled()
    trainer = Trainer(Schema.from_spec(compiled), generate(WORLDS["none"], seed=1, days=30), compiled["training"])
    archive = io.BytesIO()
    with TemporaryDirectory() as folder, tarfile.open(fileobj=archive, mode="w:gz") as tar:
        write_content(Path(folder), compiled, trainer.fit_all(), b"{}", {})
        tar.add(folder, arcname=".")
    return archive.getvalue()


def _zipped() -> bytes:
    with TemporaryDirectory() as folder:
        return Path(shutil.make_archive(str(Path(folder, "code")), "zip", package_functions("host"))).read_bytes()


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _figures(seconds: float, peak: Peak) -> dict[str, float]:
    if not peak.bytes:
        raise SystemExit(f"no process of {peak.script} was seen")
    return {"seconds": round(seconds, 1), "peak_mb": _mb(peak.bytes)}


def _mb(size: int) -> float:
    return round(size / MB, 1)


def measure(rows: int) -> dict[str, Any]:
    """A hundredth, a tenth and all of the rows. Raises SystemExit if an answer or a capture is missing."""
    with TemporaryDirectory() as folder:
        twin = lifecycle.start(Path(folder, "twin"), attached=True)
        try:
            bench = Bench(twin)
            sizes = sorted({max(1, rows // 100), max(1, rows // 10), rows})
            files = [bench.measure(size) for size in sizes]
            if bench.captured() != sum(sizes):
                raise SystemExit(f"{bench.captured()} of {sum(sizes)} rows were captured")
        finally:
            twin.stop()
    limits = {"transform": INSTANCE_MB, "asynchronous": INSTANCE_MB, "function": bench.memory}
    most = {part: max(file[part]["peak_mb"] for file in files) for part in limits}
    return {
        "files": files, "instance": INSTANCE, "limits_mb": limits, "most_mb": most,
        "fits": all(most[part] <= limit for part, limit in limits.items()),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; the status is 1 if something does not fit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the largest file")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    options = parser.parse_args(arguments)
    result = measure(options.rows)
    publish(result, options.out)
    return 0 if result["fits"] else 1


if __name__ == "__main__":
    sys.exit(main())
