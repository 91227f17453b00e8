"""What the functions need of the world, as protocols: the boto3 adapters and the fakes pass the same tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from driftloop.data.schema import Schema
from driftloop.names import shadow_config
from driftloop.retraining.episode import Episode, Status
from driftloop.retraining.evidence import Pause, Watch


class DriftloopError(Exception):
    """Root of all errors of the kit."""


class RetryableError(DriftloopError):
    """Trying again later can help: the message goes back to its queue."""


class QuotaError(RetryableError):
    """The account may not have as much of something: trying again helps as soon as a person has made room."""


class TerminalError(DriftloopError):
    """Trying again cannot help: the message is answered with the reason and not repeated."""


class NotFoundError(TerminalError):
    """Something that was named does not exist."""


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Current time, aware, UTC."""
        ...


@dataclass(frozen=True)
class Resources:
    """Names of one model's deployed resources."""

    pipeline: str
    group: str
    endpoint: str
    serving_role_arn: str
    serving_image: str
    revision: str = ""
    """Hash of the code and settings that training depends on."""


@dataclass(frozen=True)
class Model:
    """A deployed model: its compiled model file and its resources."""

    name: str
    spec: Mapping[str, Any]
    resources: Resources

    @property
    def schema(self) -> Schema:
        """Columns of the model."""
        return Schema.from_spec(self.spec)


class Models(Protocol):
    """The deployed models."""

    def get(self, name: str) -> Model:
        """One model. Raises NotFoundError."""
        ...

    def all(self) -> tuple[list[Model], dict[str, str]]:
        """All deployed models, sorted by name; and of those that cannot be read, name -> why."""
        ...


@dataclass(frozen=True)
class Champion:
    """The version that serves."""

    version: int
    package_arn: str
    baseline_uri: str
    config: str
    since: datetime
    previous: Champion | None = None
    """The version that served before this one, without its own predecessor: windows that end before ``since`` are its."""

    def at(self, end: datetime) -> Champion:
        """The version that answers for a window that ends then, as far back as is known."""
        return self.previous if self.previous and end <= self.since else self


@dataclass(frozen=True)
class Scaling:
    """How the number of an endpoint's instances follows the requests."""

    least: int
    most: int
    requests: int
    """Requests a minute that one instance is to answer."""


@dataclass(frozen=True)
class Deployment:
    """A rollout: what was asked of the endpoint. Success is InService *and* this configuration."""

    version: int
    package_arn: str
    baseline_uri: str
    config: str
    episode_id: str
    started_at: datetime
    phase: str
    """``prepared`` until the endpoint has been told, then ``updating``, at the end ``done`` or ``rolled_back``. A shadow is
    ``shadowing`` when it answers, and ``compared`` when it may serve."""
    endpoint_modified: datetime | None = None
    """When the endpoint had last changed before this rollout: what tells an endpoint that was told and came back from
    one that was never told."""
    instead_of: str = ""
    """The version that served and was rejected, if this is the way back from it; it is tried until it succeeds."""
    scaling: Scaling | None = None
    """How many instances are to serve once the rollout has ended; None for as many as there are."""
    shadow: str = ""
    """The configuration with a shadow that the endpoint is to have or has had; empty for a rollout without one."""

    @property
    def is_open(self) -> bool:
        """True until the rollout has ended, well or not."""
        return self.phase in ("prepared", "updating", "shadowing", "compared")

    @property
    def is_shadow(self) -> bool:
        """True if the version is only to be a shadow of the one that serves, from ``started_at`` on once it is one."""
        return bool(self.shadow) and self.config == self.shadow

    @property
    def has_shadow(self) -> bool:
        """True if the endpoint has a shadow, or is just being told of it or of its end."""
        return bool(self.shadow) and not (self.is_shadow and self.phase == "prepared")

    @property
    def ends_a_shadow(self) -> bool:
        """True if the version serves, and is to serve without the rejected one as its shadow."""
        return bool(self.shadow and self.instead_of)


@dataclass(frozen=True)
class Work:
    """What is under way for one model."""

    episode: Episode | None = None
    """The one that holds the lease."""
    deployment: Deployment | None = None
    """A rollout that has not ended, of that episode or of a version that somebody trained by hand."""
    fault: str = ""
    """Why the ledger's items cannot be read, if they cannot."""


class Ledger(Protocol):
    """One table for all models: champion, deployment, lease and episodes. Every move is a conditional write."""

    def champion(self, model: str) -> Champion | None:
        """The version that serves, if any."""
        ...

    def set_champion(self, model: str, champion: Champion) -> None:
        """Record that a version serves, from when on; it is remembered when another one does."""
        ...

    def served(self, model: str) -> list[Champion]:
        """Every version that has served and since when, oldest first, also of a model that was removed."""
        ...

    def deployment(self, model: str) -> Deployment | None:
        """The latest rollout, if any."""
        ...

    def set_deployment(self, model: str, deployment: Deployment, expected: Deployment | None) -> bool:
        """Record a rollout or its next phase if the latest one is still as expected.

        False if somebody else recorded another.
        """
        ...

    def episode(self, model: str, episode_id: str) -> Episode | None:
        """One episode."""
        ...

    def episodes(self, model: str, since: datetime) -> list[Episode]:
        """Episodes opened at or after a time, oldest first."""
        ...

    def busy(self, models: Sequence[str]) -> dict[str, Work]:
        """Model -> what is under way; idle models are not in it. Reads do not grow with the history."""
        ...

    def claim(self, episode: Episode, now: datetime) -> bool:
        """Record a new episode and take the model's lease, both or neither.

        False if the episode exists already or another one holds the lease.
        """
        ...

    def record(self, episode: Episode) -> bool:
        """Record an episode that never runs (refused). False if it exists already."""
        ...

    def move(self, episode: Episode, expected: Status) -> bool:
        """Write an episode's next status if it is still as expected; a final one gives the lease back.

        False if somebody else moved it.
        """
        ...

    def pause(self, model: str) -> Pause | None:
        """Who stopped retraining, if anybody did."""
        ...

    def set_pause(self, model: str, pause: Pause | None) -> None:
        """Stop retraining, or let it go on."""
        ...

    def watch(self, model: str) -> Watch | None:
        """What monitoring saw last, if it saw anything."""
        ...

    def set_watch(self, model: str, watch: Watch) -> None:
        """Record what monitoring saw."""
        ...

    def forget(self, model: str) -> None:
        """Delete what is kept of a model but its episodes and what has served, all or none. Can be repeated."""
        ...


@dataclass(frozen=True)
class Stored:
    """The latest version of an object."""

    key: str
    version: str
    size: int


class Objects(Protocol):
    """Object storage."""

    def read(self, bucket: str, key: str) -> bytes:
        """A whole object. Raises NotFoundError."""
        ...

    def blocks(self, bucket: str, key: str, version: str | None = None) -> Iterator[bytes]:
        """Content of an object bit by bit, without holding it in memory as a whole. Raises NotFoundError."""
        ...

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Create or replace an object."""
        ...

    def create(self, bucket: str, key: str, content: bytes) -> bool:
        """Create an object. False, and nothing is changed, if there is one."""
        ...

    def copy(self, bucket: str, key: str, to: str) -> None:
        """Create or replace an object with the content of another one of up to 5 GB. Raises NotFoundError."""
        ...

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Keys below a prefix, sorted."""
        ...

    def latest(self, bucket: str, prefix: str) -> list[Stored]:
        """The objects below a prefix in a bucket that keeps versions, sorted by key."""
        ...


class Pipelines(Protocol):
    """SageMaker pipelines."""

    def start(self, pipeline: str, parameters: Mapping[str, str], token: str) -> str:
        """Start an execution and return its ARN; the same token starts it once. Raises RetryableError."""
        ...

    def status(self, execution_arn: str) -> str:
        """``Executing``, ``Stopping``, ``Stopped``, ``Failed`` or ``Succeeded``. Raises NotFoundError."""
        ...

    def failure(self, execution_arn: str) -> tuple[str, str]:
        """Name of the failed step and its reason; empty if none failed."""
        ...

    def registered(self, execution_arn: str) -> str:
        """ARN of the version that an execution registered; empty if it registered none."""
        ...


@dataclass(frozen=True)
class RaisedAlarm:
    """An alarm that stands."""

    name: str
    since: datetime
    """When it was raised."""
    reason: str


class Alarms(Protocol):
    """CloudWatch alarms of the kit."""

    def raised(self) -> list[RaisedAlarm]:
        """Those that stand now, by name."""
        ...


class Events(Protocol):
    """The event bus, where others may listen."""

    def put(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Put one event of the kit."""
        ...


class Notifier(Protocol):
    """Tells people."""

    def publish(self, subject: str, message: str) -> None:
        """Send one message."""
        ...


@dataclass(frozen=True)
class Package:
    """One model package version."""

    arn: str
    group: str
    version: int
    approval: str
    image: str
    model_data_url: str
    environment: Mapping[str, str]
    properties: Mapping[str, str]
    """Customer metadata: episode_id, baseline_uri and the like."""
    approval_reason: str = ""
    """What whoever approved or rejected it wrote."""
    registered_by: str = ""
    """ARN, as far as SageMaker says so."""
    decided_by: str = ""
    """ARN of who changed it last, as far as SageMaker says so."""
    card: str = ""
    """Content of its model card."""


@dataclass(frozen=True)
class EndpointState:
    """What an endpoint does."""

    status: str
    config: str
    failure: str
    modified: datetime | None = None
    """When it last changed; only compared with what was read before, as clocks differ."""
    mode: str = "realtime"
    """As in the model file: ``realtime``, ``serverless`` or ``asynchronous``."""


@dataclass(frozen=True)
class Instances:
    """Machines that are there all the time; SageMaker captures what they are asked and answer."""

    type: str
    count: int


@dataclass(frozen=True)
class Serverless:
    """Machines that come when they are needed; whoever asks them has to capture."""

    memory_mb: int
    concurrency: int


@dataclass(frozen=True)
class Asynchronous:
    """Requests wait in a queue of SageMaker's, and answers are objects; whoever is told of them has to capture."""

    answer_uri: str
    failure_uri: str
    topic_arn: str
    """Hears of every answer."""


@dataclass(frozen=True)
class ServingPlan:
    """One version as it is to be served."""

    name: str
    """Name of the SageMaker model, and of the endpoint configuration unless it is a shadow's."""
    role_arn: str
    on: Instances | Serverless
    capture_uri: str
    capture_percent: int
    kms_key_arn: str
    asynchronous: Asynchronous | None = None
    shadow_of: str = ""
    """SageMaker model that serves, if this version is to be its shadow."""

    @property
    def config(self) -> str:
        """Name of the endpoint configuration."""
        return shadow_config(self.name, self.shadow_of) if self.shadow_of else self.name


@dataclass(frozen=True)
class RolloutPlan:
    """How traffic moves."""

    canary_percent: int
    """Share of the first step; 100 is all at once."""
    bake_seconds: int
    """After each step."""
    alarms: tuple[str, ...]
    """Those that stop it."""
    linear: bool = False
    """Whether all steps are as large as the first one, instead of the second one being the last."""
    keep_count: bool = False
    """Whether the new fleet has as many instances as the old one has by now, instead of the configuration's number."""
    guarded: bool = True
    """Whether SageMaker bakes the new fleet and goes back by itself, which it does on instances only."""


class Endpoints(Protocol):
    """What answers."""

    def ask(self, endpoint: str, rows: bytes, inference_id: str) -> bytes:
        """The answer to rows of CSV, one probability a line.

        Raises RetryableError while the endpoint cannot take the request, NotFoundError if there is none and TerminalError
        if the version fails on it.
        """
        ...


@dataclass(frozen=True)
class TransformPlan:
    """A batch transform job."""

    name: str
    sagemaker_model: str
    """Name of the SageMaker model of the version that answers."""
    manifest_uri: str
    """Which files are to be answered."""
    output_uri: str
    """Below it ``<file>.out`` is written for each."""
    on: Instances
    kms_key_arn: str


@dataclass(frozen=True)
class TransformState:
    """What a batch transform job does."""

    status: str
    """``InProgress``, ``Stopping``, ``Completed``, ``Failed`` or ``Stopped``."""
    failure: str = ""

    @property
    def is_over(self) -> bool:
        """True once nothing more is written."""
        return self.status in ("Completed", "Failed", "Stopped")


class Transforms(Protocol):
    """SageMaker batch transform jobs."""

    def start(self, plan: TransformPlan) -> None:
        """Start a job unless there is one of this name. Raises RetryableError, QuotaError if there is no room for it."""
        ...

    def state(self, name: str) -> TransformState:
        """What a job does. Raises NotFoundError."""
        ...

    def running(self, base: str) -> str:
        """Name of a job ``<base>-<anything without a hyphen>`` that has not ended; empty if there is none."""
        ...


@dataclass(frozen=True)
class Usage:
    """What one variant of an endpoint did in some time."""

    requests: int
    errors: int
    """Requests that the version failed on."""
    latency: float | None
    """Average seconds to an answer; None without requests."""


class Usages(Protocol):
    """SageMaker's metrics of endpoints."""

    def of(self, endpoint: str, variant: str, start: datetime, end: datetime) -> Usage:
        """What a variant did, to the minute."""
        ...


class Scaler(Protocol):
    """Application Auto Scaling. Every call can be repeated."""

    def follow(self, endpoint: str, scaling: Scaling) -> None:
        """From now on the number of instances follows the requests."""
        ...

    def stop(self, endpoint: str) -> None:
        """The number of instances stays as it is."""
        ...


class Decisions(Protocol):
    """Decisions about versions, on their way to whoever deploys."""

    def tell(self, package_arn: str, approval: str) -> None:
        """Have a decision followed (again); following it twice is harmless."""
        ...


class Hosting(Protocol):
    """SageMaker packages and endpoints. Every call can be repeated."""

    def package(self, arn: str) -> Package:
        """One package version. Raises NotFoundError."""
        ...

    def of_episode(self, group: str, episode_id: str) -> Package | None:
        """The version that an episode registered, if it is among the latest hundred of the group."""
        ...

    def endpoint(self, name: str) -> EndpointState | None:
        """State of an endpoint; None if there is none."""
        ...

    def prepare(self, package: Package, plan: ServingPlan) -> None:
        """Create the SageMaker model and the endpoint configuration unless they exist. Raises QuotaError."""
        ...

    def create(self, endpoint: str, config: str) -> None:
        """Create an endpoint. Raises RetryableError, QuotaError if there is no room for it."""
        ...

    def update(self, endpoint: str, config: str, plan: RolloutPlan) -> None:
        """Start a blue/green update. Raises RetryableError while another one runs, QuotaError if there is no room for it."""
        ...

    def remove(self, endpoint: str) -> None:
        """Delete an endpoint if it exists: all that SageMaker allows once it has failed. Raises RetryableError."""
        ...

    def reject(self, package_arn: str, reason: str) -> None:
        """Take the approval of a version back; there is none to take from a version that is gone."""
        ...

    def hold(self, package_arn: str, reason: str) -> None:
        """Have a version wait for its approval again."""
        ...

    def attach_card(self, package_arn: str, content: str) -> None:
        """Put a model card into a version; whoever does that has changed it last. Raises NotFoundError."""
        ...

    def retire(self, name: str, *, keep_model: bool = False) -> None:
        """Delete an endpoint configuration and the SageMaker model of the same name, if they exist."""
        ...
