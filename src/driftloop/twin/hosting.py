"""SageMaker endpoints as local processes: data capture, blue/green rollouts in virtual time, rollback on alarms."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from driftloop.twin.activity import WHOLE, Activity
from driftloop.twin.async_inference import Answerer, Waiting, accept
from driftloop.twin.capture import capture_record, is_sampled
from driftloop.twin.captures import CaptureWriter, Record
from driftloop.twin.endpoints import Endpoint, Rollout
from driftloop.twin.errors import ApiError, invalid, missing, unsupported
from driftloop.twin.fleets import Fleet, Version, launch
from driftloop.twin.jobs import Platform
from driftloop.twin.model_process import Reply
from driftloop.twin.requests import only
from driftloop.twin.rollouts import plan_of
from driftloop.twin.shadows import ShadowedFleet
from driftloop.twin.timeline import Timeline

CAPTURE_SECONDS = 300
"""How long captured records wait for others before they are written."""

_RETRY_SECONDS = 0.05
"""How long an asynchronous request waits before it tries a process again that is being started."""

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Inference:
    """A request that waits for its answer."""

    content_type: str
    accept: str
    body: bytes
    inference_id: str


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
    exists: Callable[[str], bool]
    """True if S3 has an object with this URI."""
    note: Callable[[Any], None]
    """Keep something at once, to be given back when the twin goes on."""


class Hosting:
    """Endpoints and their processes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._endpoints: dict[str, Endpoint] = {}
        self._launch = partial(launch, world.platform)
        self._captures = CaptureWriter(world.platform, world.exists)
        self._answerer = Answerer(world.platform)
        folder = world.platform.folder / "endpoints"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def create(self, request: Request) -> Endpoint:
        """Create an endpoint; it is in service when its process answers. Raises ApiError."""
        only("CreateEndpoint", request, {"EndpointName", "EndpointConfigName", "Tags"})
        name, config = request["EndpointName"], request["EndpointConfigName"]
        self._described(config)
        with WHOLE:
            if name in self._endpoints:
                raise invalid(f"Cannot create already existing endpoint {name!r}.")
            arn, now = self._world.platform.arn("endpoint", name), time.time()
            endpoint = self._endpoints[name] = Endpoint(name, arn, config, now, now)
        self._world.activity.spawn(f"endpoint-{name}", lambda: self._create(endpoint))
        return endpoint

    def update(self, request: Request) -> Endpoint:
        """Start a blue/green update. Raises ApiError."""
        # How many instances there are means nothing here, so that they are kept means nothing either.
        honoured = {"EndpointName", "EndpointConfigName", "DeploymentConfig", "RetainAllVariantProperties"}
        only("UpdateEndpoint", request, honoured)
        endpoint, config = self.get(request["EndpointName"]), request["EndpointConfigName"]
        described = self._described(config)
        variant, asynchronous = described["ProductionVariants"][0], described.get("AsyncInferenceConfig")
        if "ServerlessConfig" in variant and request.get("DeploymentConfig"):
            raise invalid("A DeploymentConfig is for endpoints on instances; a serverless one is updated all at once.")
        if endpoint.fleet and ("ServerlessConfig" in variant) != bool(endpoint.fleet.version.serverless):
            raise unsupported("an endpoint that changes between instances and serverless")
        if endpoint.fleet and bool(asynchronous) != bool(endpoint.fleet.version.asynchronous):
            raise unsupported("an endpoint that changes between asynchronous requests and others")
        plan = plan_of(request.get("DeploymentConfig", {}))
        with WHOLE:
            if endpoint.status not in ("InService", "Failed"):
                raise invalid(f"Cannot update in-progress endpoint {endpoint.arn!r}.")
            endpoint.status, endpoint.modified, endpoint.failure = "Updating", time.time(), ""
            rollout = endpoint.rollout = Rollout(config, plan)
            self._tell(endpoint)
        self._world.activity.spawn(f"rollout-{endpoint.name}", lambda: self._roll_out(endpoint, rollout))
        return endpoint

    def delete(self, name: str) -> None:
        """Remove an endpoint at once."""
        endpoint = self.get(name)
        with WHOLE:
            if endpoint.status in ("Creating", "Updating"):
                raise invalid(f"Cannot delete endpoint {name!r} while it is {endpoint.status}.")
        self._captures.write(endpoint.captured)
        with WHOLE:
            del self._endpoints[name]
            endpoint.status = "Deleting"
            self._tell(endpoint)
        if endpoint.fleet:
            endpoint.fleet.stop()

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
        if fleet.version.asynchronous:
            raise ApiError("ValidationError", f"Endpoint {name} is asynchronous; ask it with InvokeEndpointAsync.")
        inference = Inference(content_type, accept, body, inference_id)
        try:
            reply = self._answer(endpoint, fleet, inference, endpoint.served)
        finally:
            # Whatever became of it: the shadow variant may do better, or worse.
            self._copy(endpoint, fleet, inference)
        return reply, fleet.version.variant

    def _answer(self, endpoint: Endpoint, fleet: Fleet, inference: Inference, number: int) -> Reply:
        begun = time.perf_counter()
        try:
            reply = fleet.invoke(inference.content_type, inference.accept, inference.body)
        except ApiError as error:
            if error.code != "ThrottlingException":
                self._count(endpoint, fleet, "Invocation5XXErrors")
            raise
        self._count(endpoint, fleet, "Invocations")
        self._count_reply(endpoint, fleet, begun, reply)
        if reply.status >= 400:
            text = reply.body.decode(errors="replace")[:500]
            raise ApiError("ModelError", f"Received error ({reply.status}) from the model: {text}", 424)
        self._capture(endpoint, fleet, inference, reply, number)
        return reply

    def _copy(self, endpoint: Endpoint, fleet: Fleet, inference: Inference) -> None:
        """Send the shadow variant a copy later, if there is one and if it is its turn."""
        if not isinstance(fleet, ShadowedFleet) or not (number := fleet.sampled()):
            return

        def send() -> None:
            with suppress(ApiError):  # it was counted, and nobody else wants to know
                self._answer(endpoint, fleet.shadow, inference, number)

        if not fleet.later(send):
            self._count(endpoint, fleet.shadow, "Invocation5XXErrors")

    def invoke_async(self, name: str, request: Request) -> Waiting:
        """Put a request into the queue of an asynchronous endpoint. Raises ApiError."""
        endpoint = self.get(name)
        if endpoint.fleet is None:
            raise invalid(f"Endpoint {name} is {endpoint.status} and cannot be invoked.")
        waiting = accept(name, endpoint.fleet.version, request)
        with WHOLE:
            endpoint.backlog.waiting.append(waiting)
            self._world.note(waiting)
        self._serve_backlog(endpoint)
        return waiting

    def _serve_backlog(self, endpoint: Endpoint) -> None:
        self._count_backlog(endpoint)
        with WHOLE:
            if endpoint.backlog.is_served:
                return
            endpoint.backlog.is_served = True
        self._world.activity.spawn(f"backlog-{endpoint.name}", lambda: self._empty_backlog(endpoint))

    def _empty_backlog(self, endpoint: Endpoint) -> None:
        while True:
            with WHOLE:
                if not endpoint.backlog.waiting or endpoint.status == "Deleting":
                    endpoint.backlog.is_served = False
                    return
                waiting = endpoint.backlog.waiting[0]
            fleet = self._choose(endpoint)
            self._answerer.answer(
                waiting, fleet.version.role_arn, partial(self._ask, endpoint, fleet, waiting.request),
                partial(self._count, endpoint, fleet),
            )  # fmt: skip
            # Only now: if the twin is killed before, it is asked again.
            with WHOLE:
                endpoint.backlog.waiting.pop(0)
            self._count_backlog(endpoint)

    def _ask(self, endpoint: Endpoint, fleet: Fleet, request: Request, body: bytes) -> Reply:
        """Ask a fleet; if its process is being started again or it was replaced meanwhile, whoever is there then."""
        while True:
            begun = time.perf_counter()
            try:
                reply = fleet.invoke(request.get("ContentType", ""), request.get("Accept", ""), body)
                break
            except ApiError as error:
                is_new = endpoint.rollout is not None and fleet is endpoint.rollout.fleet
                in_service = fleet is endpoint.fleet or is_new
                starts = error.code == "ServiceUnavailable" and not fleet.is_given_up
                if endpoint.status == "Deleting" or (in_service and not starts):
                    self._count(endpoint, fleet, "Invocation5XXErrors")
                    raise
            time.sleep(_RETRY_SECONDS)
            fleet = self._choose(endpoint)
        self._count_reply(endpoint, fleet, begun, reply)
        return reply

    def _count_backlog(self, endpoint: Endpoint) -> None:
        waiting, dimensions = endpoint.backlog.waiting[:], {"EndpointName": endpoint.name}
        age = time.time() - waiting[0].received if waiting else 0.0
        # One process serves a version, whatever the number of its instances.
        for metric, value in (
            ("ApproximateBacklogSize", len(waiting)), ("ApproximateBacklogSizePerInstance", len(waiting)),
            ("ApproximateAgeOfOldestRequest", age),
        ):  # fmt: skip
            self._world.put_metric("AWS/SageMaker", metric, dimensions, value)

    def _count_reply(self, endpoint: Endpoint, fleet: Fleet, begun: float, reply: Reply) -> None:
        self._count(endpoint, fleet, "ModelLatency", (time.perf_counter() - begun) * 1e6)
        if reply.status >= 400:
            self._count(endpoint, fleet, f"Invocation{reply.status // 100}XXErrors")

    def _count(self, endpoint: Endpoint, fleet: Fleet, metric: str, value: float = 1) -> None:
        dimensions = {"EndpointName": endpoint.name, "VariantName": fleet.version.variant}
        self._world.put_metric("AWS/SageMaker", metric, dimensions, value)

    def alarm_changed(self, alarm: str, state: str) -> None:
        """Roll back the updates that watch an alarm which has just been raised."""
        if state == "ALARM":
            for endpoint in self.all():
                if endpoint.rollout and alarm in endpoint.rollout.plan.alarms:
                    self._roll_back(endpoint, endpoint.rollout, f"alarm {alarm} was raised")

    def write_captures(self) -> None:
        """Write all records that wait."""
        for endpoint in self.all():
            self._captures.write(endpoint.captured)

    def wait_for_shadows(self) -> None:
        """Wait until shadow variants have answered what they were sent."""
        for fleet in self._fleets():
            if isinstance(fleet, ShadowedFleet):
                fleet.wait()

    def stop(self) -> None:
        """End all processes."""
        for fleet in self._fleets():
            fleet.stop()

    def _fleets(self) -> list[Fleet]:
        pairs = [(endpoint.fleet, endpoint.rollout and endpoint.rollout.fleet) for endpoint in self.all()]
        return [fleet for pair in pairs for fleet in pair if fleet]

    def save(self) -> dict[str, Endpoint]:
        """All endpoints, without their processes."""
        return self._endpoints

    def resume(self, endpoints: Mapping[str, Endpoint], notes: Sequence[Record | Waiting]) -> None:
        """Go on with these endpoints, and with the records and requests that were noted."""
        self._endpoints.update(endpoints)
        for note in notes:
            if note.endpoint not in endpoints:
                continue
            if isinstance(note, Waiting):
                endpoints[note.endpoint].backlog.waiting.append(note)
            else:
                endpoints[note.endpoint].captured.waiting.append(note)
        for endpoint in endpoints.values():
            self._resume(endpoint)

    def _resume(self, endpoint: Endpoint) -> None:
        spawn, rollout, captured = self._world.activity.spawn, endpoint.rollout, endpoint.captured
        if endpoint.fleet:
            endpoint.fleet = endpoint.fleet.revived(self._launch, self._world.activity)
        elif endpoint.status == "Creating":
            spawn(f"endpoint-{endpoint.name}", lambda: self._create(endpoint))
        if rollout and rollout.fleet:
            rollout.fleet = rollout.fleet.revived(self._launch, self._world.activity)
            self._later(endpoint, rollout, max(0.0, rollout.due - time.time()))
        elif rollout:
            spawn(f"rollout-{endpoint.name}", lambda: self._roll_out(endpoint, rollout))
        endpoint.backlog.is_served = False
        if endpoint.backlog.waiting:
            self._serve_backlog(endpoint)
        if captured.writing:
            spawn(f"capture-{endpoint.name}", lambda: self._captures.resume(captured))
        if captured.waiting:
            self._world.timeline.after(CAPTURE_SECONDS, lambda: self._start_writing(endpoint), settles=False)

    def _described(self, config: str) -> dict[str, Any]:
        """An endpoint configuration that the twin can serve. Raises ApiError for others."""
        described = self._world.describe("DescribeEndpointConfig", {"EndpointConfigName": config})
        variants = described["ProductionVariants"]
        if len(variants) != 1:
            raise unsupported(f"endpoint configuration {config}: exactly one variant")
        if "ServerlessConfig" in variants[0]:
            only("ServerlessConfig", variants[0]["ServerlessConfig"], {"MemorySizeInMB", "MaxConcurrency"})
            if described.get("DataCaptureConfig") or "InstanceType" in variants[0]:
                raise invalid(
                    f"Endpoint configuration {config}: a serverless variant has no instances and no data capture."
                )
        return described

    def _create(self, endpoint: Endpoint) -> None:
        fleet, failure = None, ""
        try:
            fleet = self._started(endpoint.config)
        except Exception as error:
            failure = str(error)
        with WHOLE:
            endpoint.fleet, endpoint.failure = fleet, failure
            endpoint.status, endpoint.modified = "InService" if fleet else "Failed", time.time()
            self._tell(endpoint)

    def _started(self, config: str) -> Fleet:
        described = self._described(config)
        variants = [*described["ProductionVariants"], *described.get("ShadowProductionVariants", ())]
        production, *shadows = [self._version(described, variant) for variant in variants]
        self._answerer.test(production)
        launched = self._launch, self._world.activity
        fleet = ShadowedFleet(production, shadows[0], *launched) if shadows else Fleet(production, *launched)
        fleet.start()
        return fleet

    def _version(self, described: Request, variant: Request) -> Version:
        model = self._world.describe("DescribeModel", {"ModelName": variant["ModelName"]})
        return Version(
            described["EndpointConfigName"], variant["VariantName"], described.get("DataCaptureConfig") or {},
            model["ExecutionRoleArn"], model["PrimaryContainer"], variant.get("ServerlessConfig"),
            described.get("AsyncInferenceConfig") or None, variant.get("InitialVariantWeight", 1.0),
            variant.get("InitialInstanceCount", 0),
        )  # fmt: skip

    def _choose(self, endpoint: Endpoint) -> Fleet:
        with WHOLE:
            endpoint.served += 1
            rollout, count = endpoint.rollout, endpoint.served
            # The new fleet answers `share` of every hundred requests, evenly spread.
            if rollout and rollout.fleet and is_sampled(count, rollout.share):
                return rollout.fleet
            if endpoint.fleet is None:
                raise invalid(f"Endpoint {endpoint.name} is {endpoint.status} and cannot be invoked.")
            return endpoint.fleet

    def _roll_out(self, endpoint: Endpoint, rollout: Rollout) -> None:
        plan = rollout.plan
        try:
            fleet = self._started(rollout.config)
        except Exception as error:
            self._roll_back(endpoint, rollout, str(error))
            return
        with WHOLE:
            if rollout.over:
                fleet.stop()
                return
            rollout.fleet = fleet
            raised = [name for name in plan.alarms if self._world.alarm_state(name) == "ALARM"]
            if raised:
                self._roll_back(endpoint, rollout, f"alarm {raised[0]} was raised")
            else:
                rollout.share = plan.canary
                self._later(endpoint, rollout, plan.wait + (0 if plan.canary < 100 else plan.termination))

    def _later(self, endpoint: Endpoint, rollout: Rollout, seconds: float) -> None:
        rollout.due = time.time() + seconds
        self._world.timeline.after(seconds, lambda: self._go_on(endpoint, rollout))

    def _go_on(self, endpoint: Endpoint, rollout: Rollout) -> None:
        with WHOLE:
            if rollout.over:
                return
            if rollout.share == 100:
                self._finish(endpoint, rollout)
            else:
                plan = rollout.plan
                rollout.share = min(100, rollout.share + plan.step)
                self._later(endpoint, rollout, plan.wait + (0 if rollout.share < 100 else plan.termination))

    def _finish(self, endpoint: Endpoint, rollout: Rollout) -> None:
        rollout.over = True
        old, endpoint.fleet, endpoint.config = endpoint.fleet, rollout.fleet, rollout.config
        endpoint.rollout, endpoint.status, endpoint.modified = None, "InService", time.time()
        self._tell(endpoint)
        if old:
            old.stop()

    def _roll_back(self, endpoint: Endpoint, rollout: Rollout, reason: str) -> None:
        with WHOLE:
            if rollout.over:
                return
            rollout.over = True
            # SageMaker says InService after a rollback too; only the configuration tells.
            endpoint.rollout, endpoint.modified, endpoint.failure = None, time.time(), reason
            endpoint.status = "InService" if endpoint.fleet else "Failed"
            self._tell(endpoint)
        if rollout.fleet:
            rollout.fleet.stop()

    def _capture(self, endpoint: Endpoint, fleet: Fleet, inference: Inference, reply: Reply, number: int) -> None:
        capture = fleet.version.capture
        if not capture.get("EnableCapture") or not is_sampled(number, capture["InitialSamplingPercentage"]):
            return
        line = capture_record(capture, inference.content_type, inference.body, reply, inference.inference_id)
        record = Record(endpoint.name, fleet.version, time.strftime("%Y/%m/%d/%H", time.gmtime()), line)
        with WHOLE:
            first = not endpoint.captured.waiting
            endpoint.captured.waiting.append(record)
            self._world.note(record)
        if first:
            self._world.timeline.after(CAPTURE_SECONDS, lambda: self._start_writing(endpoint), settles=False)

    def _start_writing(self, endpoint: Endpoint) -> None:
        self._world.activity.spawn(f"capture-{endpoint.name}", lambda: self._captures.write(endpoint.captured))

    def _tell(self, endpoint: Endpoint) -> None:
        status = {"InService": "IN_SERVICE"}.get(endpoint.status, endpoint.status.upper())
        detail = {
            "EndpointName": endpoint.name, "EndpointArn": endpoint.arn, "EndpointConfigName": endpoint.config,
            "EndpointStatus": status, "CreationTime": int(endpoint.created * 1000),
            "LastModifiedTime": int(endpoint.modified * 1000), "Tags": {},
        }  # fmt: skip
        self._world.announce("aws.sagemaker", "SageMaker Endpoint State Change", detail, [endpoint.arn])
