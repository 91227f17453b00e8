"""SageMaker endpoints as local processes: data capture, blue/green rollouts in virtual time, rollback on alarms."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from driftloop.data.archives import ArchiveError, extract_archive
from driftloop.twin.activity import Activity
from driftloop.twin.capture import capture_record, is_sampled
from driftloop.twin.containers import check_image
from driftloop.twin.errors import ApiError, invalid, missing, unsupported
from driftloop.twin.jobs import Platform
from driftloop.twin.model_process import ModelServer, Reply
from driftloop.twin.requests import only
from driftloop.twin.rollouts import Plan, plan_of
from driftloop.twin.timeline import Timeline

CAPTURE_SECONDS = 300
"""How long captured records wait for others before they are written."""

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Fleet:
    """One version in service."""

    config: str
    variant: str
    capture: Request
    role_arn: str
    server: ModelServer


@dataclass
class Rollout:
    """A blue/green update under way."""

    config: str
    fleet: Fleet | None = None
    share: int = 0
    """Percentage of requests that the new fleet answers."""
    alarms: frozenset[str] = frozenset()
    over: bool = False


@dataclass
class Endpoint:
    """One endpoint."""

    name: str
    arn: str
    config: str
    created: float
    modified: float
    status: str = "Creating"
    failure: str = ""
    fleet: Fleet | None = None
    rollout: Rollout | None = None
    served: int = 0
    captured: list[tuple[Fleet, str, bytes]] = field(default_factory=list)
    """Records (fleet, hour as ``yyyy/mm/dd/hh``, JSON line) that have not been written yet."""


@dataclass(frozen=True)
class World:
    """What hosting needs of the rest of the twin."""

    platform: Platform
    activity: Activity
    timeline: Timeline
    describe: Callable[[str, Request], dict[str, Any]]
    """Look up a SageMaker record: operation and request -> answer."""
    announce: Callable[[str, str, Mapping[str, Any], list[str]], None]
    put_metric: Callable[[str, str, dict[str, str], float], None]
    alarm_state: Callable[[str], str | None]


class Hosting:
    """Endpoints and their processes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._endpoints: dict[str, Endpoint] = {}
        self._lock = threading.RLock()
        (world.platform.folder / "endpoints").mkdir(parents=True, exist_ok=True)

    def create(self, request: Request) -> Endpoint:
        """Create an endpoint; it is in service when its process answers. Raises ApiError."""
        only("CreateEndpoint", request, {"EndpointName", "EndpointConfigName", "Tags"})
        name, config = request["EndpointName"], request["EndpointConfigName"]
        self._described(config)
        with self._lock:
            if name in self._endpoints:
                raise invalid(f"Cannot create already existing endpoint {name!r}.")
            arn, now = self._world.platform.arn("endpoint", name), time.time()
            endpoint = self._endpoints[name] = Endpoint(name, arn, config, now, now)
        self._world.activity.spawn(f"endpoint-{name}", lambda: self._create(endpoint))
        return endpoint

    def update(self, request: Request) -> Endpoint:
        """Start a blue/green update. Raises ApiError."""
        only("UpdateEndpoint", request, {"EndpointName", "EndpointConfigName", "DeploymentConfig"})
        endpoint, config = self.get(request["EndpointName"]), request["EndpointConfigName"]
        self._described(config)
        plan = plan_of(request.get("DeploymentConfig", {}))
        with self._lock:
            if endpoint.status not in ("InService", "Failed"):
                raise invalid(f"Cannot update in-progress endpoint {endpoint.arn!r}.")
            endpoint.status, endpoint.modified, endpoint.failure = "Updating", time.time(), ""
            rollout = endpoint.rollout = Rollout(config, alarms=plan.alarms)
        self._tell(endpoint)
        self._world.activity.spawn(f"rollout-{endpoint.name}", lambda: self._roll_out(endpoint, rollout, plan))
        return endpoint

    def delete(self, name: str) -> None:
        """Remove an endpoint at once."""
        endpoint = self.get(name)
        with self._lock:
            if endpoint.status in ("Creating", "Updating"):
                raise invalid(f"Cannot delete endpoint {name!r} while it is {endpoint.status}.")
            del self._endpoints[name]
        self._write_captures(endpoint)
        endpoint.status = "Deleting"
        self._tell(endpoint)
        if endpoint.fleet:
            endpoint.fleet.server.stop()

    def get(self, name: str) -> Endpoint:
        """One endpoint. Raises ApiError."""
        if name not in self._endpoints:
            raise missing("endpoint", self._world.platform.arn("endpoint", name))
        return self._endpoints[name]

    def all(self) -> list[Endpoint]:
        """All endpoints, by name."""
        return [self._endpoints[name] for name in sorted(self._endpoints)]

    def invoke(self, name: str, content_type: str, accept: str, body: bytes, inference_id: str) -> tuple[Reply, str]:
        """Answer a request and capture it; also says which variant answered. Raises ApiError."""
        endpoint = self.get(name)
        fleet = self._choose(endpoint)
        begun = time.perf_counter()
        try:
            reply = fleet.server.invoke(content_type, accept, body)
        except ApiError:
            self._count(endpoint, fleet, "Invocation5XXErrors")
            raise
        self._count(endpoint, fleet, "Invocations")
        self._count(endpoint, fleet, "ModelLatency", (time.perf_counter() - begun) * 1e6)
        if reply.status >= 500:
            self._count(endpoint, fleet, "Invocation5XXErrors")
        if reply.status >= 400:
            text = reply.body.decode(errors="replace")[:500]
            raise ApiError("ModelError", f"Received error ({reply.status}) from the model: {text}", 424)
        self._capture(endpoint, fleet, content_type, body, reply, inference_id)
        return reply, fleet.variant

    def _count(self, endpoint: Endpoint, fleet: Fleet, metric: str, value: float = 1) -> None:
        dimensions = {"EndpointName": endpoint.name, "VariantName": fleet.variant}
        self._world.put_metric("AWS/SageMaker", metric, dimensions, value)

    def alarm_changed(self, alarm: str, state: str) -> None:
        """Roll back the updates that watch an alarm which has just been raised."""
        if state == "ALARM":
            for endpoint in self.all():
                if endpoint.rollout and alarm in endpoint.rollout.alarms:
                    self._roll_back(endpoint, endpoint.rollout, f"alarm {alarm} was raised")

    def write_captures(self) -> None:
        """Write all records that wait."""
        for endpoint in self.all():
            self._write_captures(endpoint)

    def stop(self) -> None:
        """End all processes."""
        for endpoint in self.all():
            for fleet in (endpoint.fleet, endpoint.rollout.fleet if endpoint.rollout else None):
                if fleet:
                    fleet.server.stop()

    def _described(self, config: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The only variant of an endpoint configuration, and its data capture."""
        described = self._world.describe("DescribeEndpointConfig", {"EndpointConfigName": config})
        variants = described["ProductionVariants"]
        if len(variants) != 1 or "ServerlessConfig" in variants[0]:
            raise unsupported(f"endpoint configuration {config}: exactly one variant on instances")
        return variants[0], described.get("DataCaptureConfig") or {}

    def _create(self, endpoint: Endpoint) -> None:
        try:
            endpoint.fleet = self._launch(endpoint.config)
            endpoint.status = "InService"
        except Exception as error:
            endpoint.status, endpoint.failure = "Failed", str(error)
        endpoint.modified = time.time()
        self._tell(endpoint)

    def _launch(self, config: str) -> Fleet:
        platform = self._world.platform
        variant, capture = self._described(config)
        model = self._world.describe("DescribeModel", {"ModelName": variant["ModelName"]})
        container = model["PrimaryContainer"]
        check_image(container["Image"])
        store = platform.store(model["ExecutionRoleArn"], "SageMaker")
        archive = store.read(container["ModelDataUrl"])
        folder = Path(tempfile.mkdtemp(prefix="e-", dir=platform.folder / "endpoints"))
        try:
            extract_archive(archive, folder / "model")
        except ArchiveError as error:
            shutil.rmtree(folder)
            raise invalid(f"{container['ModelDataUrl']} is not an archive of a model: {error}") from error
        access = platform.environment(model["ExecutionRoleArn"], "SageMaker")
        base = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "OMP_NUM_THREADS": "1"}
        settings = {
            k: v.replace("/opt/ml/model", str(folder / "model")) for k, v in container.get("Environment", {}).items()
        }
        server = ModelServer(folder, base | access | settings)
        try:
            server.wait_ready()
        except ApiError:
            server.stop()
            raise
        return Fleet(config, variant["VariantName"], capture, model["ExecutionRoleArn"], server)

    def _choose(self, endpoint: Endpoint) -> Fleet:
        with self._lock:
            endpoint.served += 1
            rollout, count = endpoint.rollout, endpoint.served
            # The new fleet answers `share` of every hundred requests, evenly spread.
            if rollout and rollout.fleet and is_sampled(count, rollout.share):
                return rollout.fleet
            if endpoint.fleet is None:
                raise invalid(f"Endpoint {endpoint.name} is {endpoint.status} and cannot be invoked.")
            return endpoint.fleet

    def _roll_out(self, endpoint: Endpoint, rollout: Rollout, plan: Plan) -> None:
        try:
            rollout.fleet = self._launch(rollout.config)
        except Exception as error:
            self._roll_back(endpoint, rollout, str(error))
            return
        raised = [name for name in plan.alarms if self._world.alarm_state(name) == "ALARM"]
        if raised:
            self._roll_back(endpoint, rollout, f"alarm {raised[0]} was raised")
            return
        rollout.share = plan.canary
        later = self._world.timeline.after
        if plan.canary < 100:
            later(plan.wait, lambda: self._shift(endpoint, rollout, plan))
        else:
            later(plan.wait + plan.termination, lambda: self._finish(endpoint, rollout))

    def _shift(self, endpoint: Endpoint, rollout: Rollout, plan: Plan) -> None:
        if not rollout.over:
            rollout.share = 100
            self._world.timeline.after(plan.wait + plan.termination, lambda: self._finish(endpoint, rollout))

    def _finish(self, endpoint: Endpoint, rollout: Rollout) -> None:
        with self._lock:
            if rollout.over:
                return
            rollout.over = True
            old, endpoint.fleet, endpoint.config = endpoint.fleet, rollout.fleet, rollout.config
            endpoint.rollout, endpoint.status, endpoint.modified = None, "InService", time.time()
        if old:
            old.server.stop()
        self._tell(endpoint)

    def _roll_back(self, endpoint: Endpoint, rollout: Rollout, reason: str) -> None:
        with self._lock:
            if rollout.over:
                return
            rollout.over = True
            # SageMaker says InService after a rollback too; only the configuration tells.
            endpoint.rollout, endpoint.modified, endpoint.failure = None, time.time(), reason
            endpoint.status = "InService" if endpoint.fleet else "Failed"
        if rollout.fleet:
            rollout.fleet.server.stop()
        self._tell(endpoint)

    def _capture(
        self, endpoint: Endpoint, fleet: Fleet, content_type: str, body: bytes, reply: Reply, inference_id: str
    ) -> None:
        capture = fleet.capture
        if not capture.get("EnableCapture") or not is_sampled(endpoint.served, capture["InitialSamplingPercentage"]):
            return
        record = capture_record(capture, content_type, body, reply, inference_id)
        with self._lock:
            first = not endpoint.captured
            endpoint.captured.append((fleet, time.strftime("%Y/%m/%d/%H", time.gmtime()), record))
        if first:
            self._world.timeline.after(CAPTURE_SECONDS, lambda: self._start_writing(endpoint), settles=False)

    def _start_writing(self, endpoint: Endpoint) -> None:
        self._world.activity.spawn(f"capture-{endpoint.name}", lambda: self._write_captures(endpoint))

    def _write_captures(self, endpoint: Endpoint) -> None:
        with self._lock:
            waiting, endpoint.captured = endpoint.captured, []
        objects: dict[tuple[str, str], tuple[Fleet, list[bytes]]] = {}
        for fleet, hour, record in waiting:
            objects.setdefault((fleet.config, hour), (fleet, []))[1].append(record)
        for (_, hour), (fleet, records) in objects.items():
            store = self._world.platform.store(fleet.role_arn, "SageMaker")
            prefix = f"{fleet.capture['DestinationS3Uri'].rstrip('/')}/{endpoint.name}/{fleet.variant}/{hour}"
            name = time.strftime("%M-%S-", time.gmtime()) + f"{int(time.time() * 1000) % 1000:03d}-{uuid.uuid4()}.jsonl"
            store.write(f"{prefix}/{name}", b"".join(records), fleet.capture.get("KmsKeyId", ""))

    def _tell(self, endpoint: Endpoint) -> None:
        status = {"InService": "IN_SERVICE"}.get(endpoint.status, endpoint.status.upper())
        detail = {
            "EndpointName": endpoint.name, "EndpointArn": endpoint.arn, "EndpointConfigName": endpoint.config,
            "EndpointStatus": status, "CreationTime": int(endpoint.created * 1000),
            "LastModifiedTime": int(endpoint.modified * 1000), "Tags": {},
        }  # fmt: skip
        self._world.announce("aws.sagemaker", "SageMaker Endpoint State Change", detail, [endpoint.arn])
