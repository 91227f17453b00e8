"""SageMaker processing and training jobs as local processes that work with their role's credentials."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from driftloop.twin.activity import Activity
from driftloop.twin.containers import Container, check_image
from driftloop.twin.errors import LOST, ApiError, invalid, missing, unsupported
from driftloop.twin.requests import only
from driftloop.twin.storage import Store, role_client

Request = Mapping[str, Any]

_PROCESSING = {
    "ProcessingJobName", "ProcessingInputs", "ProcessingOutputConfig", "ProcessingResources", "StoppingCondition",
    "AppSpecification", "Environment", "NetworkConfig", "RoleArn", "Tags",
}  # fmt: skip
_TRAINING = {
    "TrainingJobName", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig",
    "StoppingCondition", "Environment", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "Tags",
}  # fmt: skip


@dataclass
class Job:
    """One processing or training job."""

    kind: str
    name: str
    arn: str
    request: Request
    created: float
    status: str = "InProgress"
    failure: str = ""
    ended: float | None = None
    outcome: dict[str, Any] = field(default_factory=dict)
    container: Container | None = None
    stopping: bool = False


@dataclass(frozen=True)
class Platform:
    """What jobs and endpoints run on."""

    endpoint_url: str
    region: str
    account: str
    folder: Path
    session: Callable[[str, str], dict[str, str]]
    """(role ARN, session name) -> credentials as environment variables."""

    def store(self, role_arn: str, name: str) -> Store:
        """S3 as a role sees it."""
        return Store(self.client("s3", role_arn, name))

    def client(self, service: str, role_arn: str, name: str) -> Any:
        """A boto3 client of a role."""
        return role_client(service, self.session(role_arn, name), self.endpoint_url, self.region)

    def arn(self, kind: str, name: str) -> str:
        """ARN of a SageMaker resource."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name}"

    def environment(self, role_arn: str, name: str) -> dict[str, str]:
        """Environment variables through which a container reaches the twin."""
        region = {"AWS_DEFAULT_REGION": self.region, "AWS_REGION": self.region}
        return {**self.session(role_arn, name), **region, "AWS_ENDPOINT_URL": self.endpoint_url}


class Jobs:
    """Starts jobs and remembers them."""

    def __init__(self, platform: Platform, activity: Activity) -> None:
        self._platform = platform
        self._activity = activity
        self._jobs: dict[tuple[str, str], Job] = {}
        logs = platform.folder / "jobs"
        logs.mkdir(parents=True, exist_ok=True)
        for root in logs.iterdir():
            if root.is_dir():
                shutil.rmtree(root)

    def start(self, kind: str, request: Request) -> Job:
        """Start a ``processing`` or ``training`` job. Raises ApiError."""
        name = request["ProcessingJobName" if kind == "processing" else "TrainingJobName"]
        if (kind, name) in self._jobs:
            raise ApiError("ResourceInUse", f"Job name must be unique within an AWS account and region: {name}")
        (_check_processing if kind == "processing" else _check_training)(request)
        job = Job(kind, name, self._platform.arn(f"{kind}-job", name), request, time.time())
        self._jobs[kind, name] = job
        self._activity.spawn(f"job-{name}", lambda: self._run(job))
        return job

    def get(self, kind: str, name: str) -> Job:
        """One job. Raises ApiError."""
        if (kind, name) not in self._jobs:
            raise missing(f"{kind} job", name)
        return self._jobs[kind, name]

    def stop(self, job: Job) -> None:
        """Ask a job to end."""
        if job.status == "InProgress":
            job.stopping = True
            _end_if_asked(job)

    def save(self) -> dict[tuple[str, str], Job]:
        """All jobs."""
        return self._jobs

    def resume(self, jobs: Mapping[tuple[str, str], Job]) -> None:
        """Remember these; what was under way has failed, as its process is gone."""
        self._jobs.update(jobs)
        for job in jobs.values():
            job.container = None
            if job.status == "InProgress":
                job.status, job.failure, job.ended = "Stopped" if job.stopping else "Failed", LOST, time.time()

    def _run(self, job: Job) -> None:
        root = Path(tempfile.mkdtemp(prefix=f"{job.kind}-", dir=self._platform.folder / "jobs"))
        try:
            run = self._process if job.kind == "processing" else self._train
            run(job, root, self._platform.store(job.request["RoleArn"], "SageMaker"))
            job.status = "Completed"
        except Exception as error:
            job.status = "Stopped" if job.stopping else "Failed"
            job.failure = str(error) if isinstance(error, ApiError) else f"{type(error).__name__}: {error}"
        finally:
            job.ended = time.time()
            shutil.rmtree(root, ignore_errors=True)

    def _process(self, job: Job, root: Path, store: Store) -> None:
        request = job.request
        for item in request.get("ProcessingInputs", ()):
            store.download(item["S3Input"]["S3Uri"], _inside(root, item["S3Input"]["LocalPath"]))
        config = request.get("ProcessingOutputConfig", {})
        outputs = [output["S3Output"] for output in config.get("Outputs", ())]
        for output in outputs:
            _inside(root, output["LocalPath"]).mkdir(parents=True, exist_ok=True)
        _write_json(root / "config" / "processingjobconfig.json", {k: v for k, v in request.items() if k != "RoleArn"})
        app = request["AppSpecification"]
        self._contain(job, root, [*app["ContainerEntrypoint"], *app.get("ContainerArguments", ())])
        for output in outputs:
            store.upload(_inside(root, output["LocalPath"]), output["S3Uri"], config.get("KmsKeyId", ""))

    def _train(self, job: Job, root: Path, store: Store) -> None:
        request = job.request
        for channel in request.get("InputDataConfig", ()):
            store.download(channel["DataSource"]["S3DataSource"]["S3Uri"], root / "input/data" / channel["ChannelName"])
        _write_json(root / "input/config/hyperparameters.json", {})
        (root / "model").mkdir()
        algorithm = request["AlgorithmSpecification"]
        self._contain(job, root, [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", ())])
        (root / "upload").mkdir()
        with tarfile.open(root / "upload" / "model.tar.gz", "w:gz", compresslevel=1) as archive:
            for path in sorted((root / "model").iterdir()):
                archive.add(path, path.name)
        output = request["OutputDataConfig"]
        uri = f"{output['S3OutputPath'].rstrip('/')}/{job.name}/output"
        store.upload(root / "upload", uri, output.get("KmsKeyId", ""))
        job.outcome = {"ModelArtifacts": {"S3ModelArtifacts": f"{uri}/model.tar.gz"}}

    def _contain(self, job: Job, root: Path, arguments: list[str]) -> None:
        (root / "output").mkdir(exist_ok=True)
        isolated = _isolated(job.request)
        access = {} if isolated else self._platform.environment(job.request["RoleArn"], "SageMaker")
        environment = {**job.request.get("Environment", {}), **access}
        log = self._platform.folder / "jobs" / f"{job.name}.log"
        if job.stopping:
            raise invalid("the job was stopped")
        job.container = Container(root, arguments, environment, log)
        _end_if_asked(job)
        status = job.container.wait(job.request["StoppingCondition"]["MaxRuntimeInSeconds"])
        if status:
            written = next((p for p in (root / "output/failure", root / "output/message") if p.exists()), None)
            reason = written.read_text(errors="replace") if written else job.container.tail()
            raise ApiError("AlgorithmError", f"AlgorithmError: {reason.strip()[:900]}, exit code: {status}")


def _end_if_asked(job: Job) -> None:
    if job.stopping and job.container:
        job.container.kill()


def _isolated(request: Request) -> bool:
    network = request.get("NetworkConfig", {})
    return bool(request.get("EnableNetworkIsolation") or network.get("EnableNetworkIsolation"))


def _inside(root: Path, container_path: str) -> Path:
    path = PurePosixPath(container_path)
    if not path.is_relative_to("/opt/ml") or ".." in path.parts:
        raise unsupported(f"the container path {container_path!r}; everything must be below /opt/ml")
    return root / path.relative_to("/opt/ml")


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _check_processing(request: Request) -> None:
    only("CreateProcessingJob", request, _PROCESSING)
    check_image(request["AppSpecification"]["ImageUri"])
    if not request["AppSpecification"].get("ContainerEntrypoint"):
        raise unsupported("a processing job without ContainerEntrypoint")
    if "MaxRuntimeInSeconds" not in request.get("StoppingCondition", {}):
        raise unsupported("a processing job without StoppingCondition.MaxRuntimeInSeconds")
    for item in request.get("ProcessingInputs", ()):
        place, source = f"input {item['InputName']}", item.get("S3Input") or {}
        only(place, item, {"InputName", "S3Input"})
        _plain_input(place, source, source.get("S3InputMode"))
        _inside(Path(), source.get("LocalPath", ""))
        if source.get("S3CompressionType", "None") != "None":
            raise unsupported(f"S3CompressionType {source['S3CompressionType']} of input {item['InputName']}")
    for output in request.get("ProcessingOutputConfig", {}).get("Outputs", ()):
        if output.get("S3Output", {}).get("S3UploadMode") != "EndOfJob":
            raise unsupported(f"output {output['OutputName']}: only S3Output with EndOfJob")
        _inside(Path(), output["S3Output"].get("LocalPath", ""))
    if request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] != 1:
        raise unsupported("processing on several instances")


def _check_training(request: Request) -> None:
    only("CreateTrainingJob", request, _TRAINING)
    algorithm = request["AlgorithmSpecification"]
    only(
        "AlgorithmSpecification",
        algorithm,
        {"TrainingImage", "TrainingInputMode", "ContainerEntrypoint", "ContainerArguments"},
    )
    check_image(algorithm["TrainingImage"])
    if not algorithm.get("ContainerEntrypoint"):
        raise unsupported("a training job without ContainerEntrypoint")
    if "MaxRuntimeInSeconds" not in request["StoppingCondition"]:
        raise unsupported("a training job without StoppingCondition.MaxRuntimeInSeconds")
    for channel in request.get("InputDataConfig", ()):
        place, source = f"channel {channel['ChannelName']}", channel["DataSource"].get("S3DataSource") or {}
        set_ = {key: value for key, value in channel.items() if value != "None"}
        only(place, set_, {"ChannelName", "DataSource", "InputMode", "ContentType"})
        _plain_input(place, source, channel.get("InputMode", algorithm["TrainingInputMode"]))
    if request["ResourceConfig"]["InstanceCount"] != 1:
        raise unsupported("training on several instances")
    if request["OutputDataConfig"].get("CompressionType", "GZIP") != "GZIP":
        raise unsupported("uncompressed training output")


def _plain_input(place: str, source: Request, mode: str | None) -> None:
    if source.get("S3DataType") != "S3Prefix" or mode != "File":
        raise unsupported(f"{place}: only S3Prefix data in File mode")
