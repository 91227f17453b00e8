"""SageMaker batch transform: a model's process answers the files of a prefix, one request after the other.

As on SageMaker, a file that the model refuses a part of has no result, the others do, and the job fails. Known to differ:
the reason of a failure names the files and says what the model said, where SageMaker points to the job's log; requests are
sent one by one, whatever MaxConcurrentTransforms says; with AssembleWith Line an answer must have one line for each record
even if nothing is joined; blank lines are records, and an empty file has an empty result.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from botocore.exceptions import ClientError

from driftloop.twin.activity import WHOLE, Activity
from driftloop.twin.batches import MB, BadFileError, Cut, answers_of, columns_of, joined, requests
from driftloop.twin.containers import check_image
from driftloop.twin.errors import LOST, ApiError, invalid, missing, unsupported
from driftloop.twin.fleets import serve
from driftloop.twin.jobs import Platform
from driftloop.twin.model_process import ModelServer
from driftloop.twin.requests import only
from driftloop.twin.storage import Store, split_uri

Request = Mapping[str, Any]
Describe = Callable[[str, Request], dict[str, Any]]
Announce = Callable[[str, str, Mapping[str, Any], list[str]], None]

_CSV = "text/csv"
_PAYLOAD, _MOST = 6, 100
"""MaxPayloadInMB, unless it is given, and at most."""
_PATIENCE = 600.0
"""SageMaker's InvocationsTimeoutInSeconds, unless it is given."""
_REASON = 1024
_PAGE = 10
_ACTIVE = ("InProgress", "Stopping")
_HONOURED = {
    "TransformJobName", "ModelName", "MaxConcurrentTransforms", "MaxPayloadInMB", "BatchStrategy", "Environment",
    "TransformInput", "TransformOutput", "TransformResources", "DataProcessing", "Tags",
}  # fmt: skip
_TOLD = ("ModelName", "MaxConcurrentTransforms", "MaxPayloadInMB", "BatchStrategy", "Environment", "TransformInput",
         "TransformOutput", "TransformResources")  # fmt: skip
"""What an event says of the request."""


@dataclass
class Transform:
    """One transform job."""

    name: str
    arn: str
    request: Request
    created: float
    status: str = "InProgress"
    failure: str = ""
    ended: float | None = None

    @property
    def is_stopping(self) -> bool:
        """True once it was asked to end."""
        return self.status == "Stopping"


@dataclass(frozen=True)
class _Model:
    """What answers."""

    role_arn: str
    container: Mapping[str, Any]


@dataclass
class _Failures:
    """Files that have no result."""

    reasons: list[str] = field(default_factory=list)
    kind: str = "ClientError"

    def add(self, uri: str, error: Exception) -> None:
        """SageMaker blames the algorithm for what it answers with a status of 500 or more, and the data for the rest."""
        if _blames_model(error):
            self.kind = "AlgorithmError"
        self.reasons.append(f"{uri}: {error}")

    def __str__(self) -> str:
        return f"{self.kind}: {'; '.join(self.reasons)}" if self.reasons else ""


class Transforms:
    """Starts transform jobs and remembers them."""

    def __init__(self, platform: Platform, activity: Activity, describe: Describe, announce: Announce) -> None:
        self._platform, self._activity = platform, activity
        self._describe, self._announce = describe, announce
        self._jobs: dict[str, Transform] = {}
        self._servers: dict[str, ModelServer] = {}

    def start(self, request: Request) -> Transform:
        """Start a job. Raises ApiError."""
        name = request["TransformJobName"]
        _check(request)
        described = self._describe("DescribeModel", {"ModelName": request["ModelName"]})
        container = dict(described.get("PrimaryContainer", {}))
        if "ModelDataUrl" not in container:
            raise unsupported(f"model {request['ModelName']} without ModelDataUrl")
        check_image(container["Image"])
        container["Environment"] = container.get("Environment", {}) | _environment(request)
        with WHOLE:
            if name in self._jobs:
                raise ApiError("ResourceInUse", f"Job name must be unique within an AWS account and region: {name}")
            job = Transform(name, self._platform.arn("transform-job", name), request, time.time())
            self._jobs[name] = job
            self._tell(job)
        model = _Model(described["ExecutionRoleArn"], container)
        self._activity.spawn(f"transform-{name}", lambda: self._run(job, model))
        return job

    def get(self, name: str) -> Transform:
        """One job. Raises ApiError."""
        if name not in self._jobs:
            raise missing("transform job", name)
        return self._jobs[name]

    def stop(self, job: Transform) -> None:
        """Ask a job to end."""
        with WHOLE:
            if job.status == "InProgress":
                job.status = "Stopping"
        self._end_if_asked(job)

    def page(self, request: Request) -> tuple[list[Transform], str]:
        """Jobs that a ListTransformJobs asks for, and the token of the next page; empty if there is none."""
        found = [job for job in self._jobs.values() if _is_wanted(job, request)]
        keys: dict[str, Callable[[Transform], Any]] = {
            "Name": lambda job: job.name, "Status": lambda job: job.status, "CreationTime": lambda job: job.created,
        }  # fmt: skip
        found.sort(
            key=keys[request.get("SortBy", "CreationTime")],
            reverse=request.get("SortOrder", "Descending") != "Ascending",
        )
        token = request.get("NextToken") or "0"
        if not token.isdecimal():
            raise invalid(f"{token!r} is no NextToken of this operation")
        end = int(token) + request.get("MaxResults", _PAGE)
        return found[int(token) : end], str(end) if end < len(found) else ""

    def end_all(self) -> None:
        """End all processes."""
        for server in list(self._servers.values()):
            server.stop()

    def save(self) -> dict[str, Transform]:
        """All jobs."""
        return self._jobs

    def resume(self, jobs: Mapping[str, Transform]) -> None:
        """Remember these; what was under way has failed, as its process is gone."""
        self._jobs.update(jobs)
        for job in jobs.values():
            if job.status in _ACTIVE:
                self._end(job, "Stopped" if job.is_stopping else "Failed", LOST)

    def _run(self, job: Transform, model: _Model) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="transform-", dir=self._platform.folder / "jobs") as folder:
                failure = self._transform(job, model, Path(folder) / "result")
        except Exception as error:
            kind = "AlgorithmError" if _blames_model(error) else "ClientError"
            failure = f"{kind}: {error}" if isinstance(error, ApiError) else f"{type(error).__name__}: {error}"
        if failure and job.is_stopping:
            self._end(job, "Stopped", "")
        else:
            self._end(job, "Failed" if failure else "Completed", failure)

    def _end(self, job: Transform, status: str, failure: str) -> None:
        with WHOLE:
            job.status, job.failure, job.ended = status, failure[:_REASON], time.time()
            self._tell(job)

    def _transform(self, job: Transform, model: _Model, result: Path) -> str:
        """Answer all files; why some of them have no result, if any."""
        store = self._platform.store(model.role_arn, "SageMaker")
        source = job.request["TransformInput"]["DataSource"]["S3DataSource"]
        files = _files(store, source)
        output = job.request["TransformOutput"]
        failures = _Failures()
        server = self._servers[job.name] = serve(self._platform, model.role_arn, model.container, _PATIENCE)
        try:
            self._end_if_asked(job)
            for uri, name in files:
                try:
                    with result.open("wb") as file:
                        self._answer(job, server, store.stream(uri), file)
                    with result.open("rb") as file:
                        store.write(
                            f"{output['S3OutputPath'].rstrip('/')}/{name}.out", file, output.get("KmsKeyId", "")
                        )
                except (BadFileError, ClientError, ApiError) as error:
                    failures.add(uri, error)
                    if isinstance(error, ApiError) and error.code == "ModelError":
                        break  # there is no process any more
        finally:
            del self._servers[job.name]
            server.stop()
        return str(failures)

    def _answer(self, job: Transform, server: ModelServer, chunks: Iterable[bytes], file: IO[bytes]) -> None:
        """Write the answers to one file. Raises BadFileError or ApiError."""
        source, output = job.request["TransformInput"], job.request["TransformOutput"]
        processing = job.request.get("DataProcessing", {})
        columns, cut = columns_of(processing.get("OutputFilter", "$")), _cut(job.request)
        for records in requests(chunks, cut):
            reply = server.invoke(source.get("ContentType", ""), output.get("Accept", ""), b"".join(records))
            if reply.status >= 400:
                said = reply.body.decode(errors="replace").strip().partition("\n")[0][:300]
                kind = "AlgorithmError" if reply.status >= 500 else "ClientError"
                raise ApiError(kind, f"the model answered {reply.status}: {said}")
            if output.get("AssembleWith") != "Line":
                file.write(reply.body)
            elif not cut.by_line:
                file.write(reply.body.removesuffix(b"\n") + b"\n")
            else:
                answers = answers_of(reply.body, records)
                joins = processing.get("JoinSource") == "Input"
                file.write(joined(records, answers, columns) if joins else b"\n".join([*answers, b""]))

    def _end_if_asked(self, job: Transform) -> None:
        server = self._servers.get(job.name)
        if job.is_stopping and server:
            server.stop()

    def _tell(self, job: Transform) -> None:
        told = {key: job.request[key] for key in _TOLD if key in job.request}
        ended = {"TransformEndTime": int(job.ended * 1000)} if job.ended else {}
        detail = {
            "TransformJobName": job.name, "TransformJobArn": job.arn, "TransformJobStatus": job.status, **told,
            "CreationTime": int(job.created * 1000), "TransformStartTime": int(job.created * 1000), **ended,
            **({"FailureReason": job.failure} if job.failure else {}), "Tags": {},
        }  # fmt: skip
        self._announce("aws.sagemaker", "SageMaker Transform Job State Change", detail, [job.arn])


def _blames_model(error: Exception) -> bool:
    return isinstance(error, ApiError) and error.code in ("AlgorithmError", "ModelError")


def _files(store: Store, source: Request) -> Sequence[tuple[str, str]]:
    """URI of each input, and the name of its result without its end. Raises ApiError."""
    uri = source["S3Uri"]
    if source["S3DataType"] == "S3Prefix":
        return [(found, _below(uri, found)) for found in store.find(uri)]
    try:
        head, *rest = json.loads(store.read(uri))
        prefix = str(head["prefix"])
        split_uri(prefix)
    except (ValueError, TypeError, KeyError) as error:
        raise invalid(f"{uri} is not a manifest: {error!r}") from error
    if not rest or not all(isinstance(name, str) for name in rest):
        raise invalid(f"{uri} is not a manifest: it needs a prefix and the keys that follow it")
    return [(prefix + name, _below(prefix, prefix + name)) for name in rest]


def _below(prefix: str, uri: str) -> str:
    """What follows the last folder of a prefix. A bucket's own URI may lack its slash."""
    bucket, key = split_uri(prefix)
    return uri.removeprefix(f"s3://{bucket}/{key.rpartition('/')[0]}").lstrip("/")


def _cut(request: Request) -> Cut:
    by_line = request["TransformInput"].get("SplitType") == "Line"
    return Cut(_payload(request) * MB, by_line, request.get("BatchStrategy") == "SingleRecord")


def _payload(request: Request) -> int:
    return int(request.get("MaxPayloadInMB", _PAYLOAD))


def _environment(request: Request) -> dict[str, str]:
    """What SageMaker tells a container of a batch, and what the request does."""
    single = request.get("BatchStrategy") == "SingleRecord"
    return {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(_payload(request)),
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD" if single else "MULTI_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(request.get("MaxConcurrentTransforms") or 1),
        **request.get("Environment", {}),
    }


def _is_wanted(job: Transform, request: Request) -> bool:
    return (
        request.get("NameContains", "") in job.name
        and request.get("StatusEquals", job.status) == job.status
        and request.get("CreationTimeAfter", job.created)
        <= job.created
        <= request.get("CreationTimeBefore", job.created)
    )


def _check(request: Request) -> None:
    """Raise ApiError for what SageMaker or the twin does not do."""
    only("CreateTransformJob", request, _HONOURED)
    source, output, resources = (request[f"Transform{part}"] for part in ("Input", "Output", "Resources"))
    only("TransformInput", source, {"DataSource", "ContentType", "CompressionType", "SplitType"})
    only("TransformResources", resources, {"InstanceType", "InstanceCount", "VolumeKmsKeyId"})
    if "S3DataSource" not in source["DataSource"]:
        raise unsupported("a TransformInput without S3DataSource")
    data = source["DataSource"]["S3DataSource"]
    if data["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise unsupported(f"S3DataType {data['S3DataType']}")
    for uri in (data["S3Uri"], output["S3OutputPath"]):
        split_uri(uri)
    if source.get("CompressionType", "None") != "None":
        raise unsupported(f"CompressionType {source['CompressionType']}")
    if source.get("SplitType", "None") not in ("None", "Line"):
        raise unsupported(f"SplitType {source['SplitType']}")
    if resources["InstanceCount"] != 1:
        raise unsupported("a transform job on several instances")
    if _payload(request) == 0:
        raise unsupported("MaxPayloadInMB 0, which streams to the model")
    if _payload(request) * max(1, request.get("MaxConcurrentTransforms", 1)) > _MOST:
        raise invalid(f"MaxConcurrentTransforms * MaxPayloadInMB must not exceed {_MOST} MB.")
    _check_processing(request.get("DataProcessing", {}), source, output)


def _check_processing(processing: Request, source: Request, output: Request) -> None:
    joins = processing.get("JoinSource", "None") == "Input"
    if processing.get("InputFilter", "$") != "$":
        raise unsupported(f"InputFilter {processing['InputFilter']!r}")
    columns = columns_of(processing.get("OutputFilter", "$"))
    if not joins and columns is not None:
        raise unsupported("an OutputFilter without JoinSource Input")
    if joins and _CSV not in (source.get("ContentType"), output.get("Accept")):
        raise unsupported(f"JoinSource Input of anything but {_CSV}")
    if joins and not source.get("ContentType") == output.get("Accept") == _CSV:
        raise invalid("ContentType and Accept must be the same when JoinSource is Input.")
    if joins and not source.get("SplitType") == output.get("AssembleWith") == "Line":
        raise invalid(f"SplitType and AssembleWith must be Line when JoinSource is Input and the data are {_CSV}.")


def describe(job: Transform) -> dict[str, Any]:
    """The answer of DescribeTransformJob."""
    asked = {key: value for key, value in job.request.items() if key != "Tags"}
    return {**asked, **_state(job), "TransformStartTime": job.created}


def summary(job: Transform) -> dict[str, Any]:
    """What ListTransformJobs says of a job."""
    return {**_state(job), "LastModifiedTime": job.ended or job.created}


def _state(job: Transform) -> dict[str, Any]:
    return {
        "TransformJobName": job.name, "TransformJobArn": job.arn, "TransformJobStatus": job.status,
        "CreationTime": job.created, **({"TransformEndTime": job.ended} if job.ended else {}),
        **({"FailureReason": job.failure} if job.failure else {}),
    }  # fmt: skip
