"""Clock, deployed models, pipelines and notifications in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from driftloop.ports import (
    DriftloopError,
    Model,
    NotFoundError,
    RaisedAlarm,
    Scaling,
    TransformPlan,
    TransformState,
    Usage,
)


@dataclass
class FakeClock:
    """Stands still until it is told otherwise."""

    time: datetime

    def now(self) -> datetime:
        """Current time."""
        return self.time

    def advance(self, **period: float) -> None:
        """Move on, e.g. ``advance(days=1)``."""
        self.time += timedelta(**period)


class FakeModels:
    """Deployed models by name."""

    def __init__(self, *models: Model) -> None:
        self._models = {model.name: model for model in models}

    def get(self, name: str) -> Model:
        """One model. Raises NotFoundError."""
        if name not in self._models:
            raise NotFoundError(f"model {name!r} is not deployed")
        return self._models[name]

    def replace(self, model: Model) -> None:
        """A model is deployed again."""
        self._models[model.name] = model

    def all(self) -> tuple[list[Model], dict[str, str]]:
        """All deployed models, sorted by name; none is unreadable."""
        return [self._models[name] for name in sorted(self._models)], {}


@dataclass
class FakeAlarms:
    """Alarms that stand, by name."""

    standing: dict[str, RaisedAlarm] = field(default_factory=dict)

    def raise_(self, name: str, at: datetime, reason: str = "over the limit") -> None:
        """An alarm is raised."""
        self.standing[name] = RaisedAlarm(name, at, reason)

    def raised(self) -> list[RaisedAlarm]:
        """Those that stand now, by name."""
        return [self.standing[name] for name in sorted(self.standing)]


@dataclass
class FakeScaler:
    """Endpoints whose number of instances follows the requests, and how."""

    following: dict[str, Scaling] = field(default_factory=dict)

    def follow(self, endpoint: str, scaling: Scaling) -> None:
        """From now on the number of instances follows the requests."""
        self.following[endpoint] = scaling

    def stop(self, endpoint: str) -> None:
        """The number of instances stays as it is."""
        self.following.pop(endpoint, None)


@dataclass
class FakeUsages:
    """What variants did, whatever the time."""

    found: dict[tuple[str, str], Usage] = field(default_factory=dict)
    """(endpoint, variant) -> usage; none for those that are not here."""

    def of(self, endpoint: str, variant: str, start: datetime, end: datetime) -> Usage:
        """What a variant did."""
        return self.found.get((endpoint, variant), Usage(0, 0, None))


@dataclass
class FakePipelines:
    """Pipelines that start, once per token. ``fault`` is raised by the next start; ``failures`` maps executions."""

    names: tuple[str, ...] = ()
    """Pipelines that exist; none given means any."""
    fault: DriftloopError | None = None
    failures: dict[str, tuple[str, str]] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    """Execution ARN -> status, if it is not executing any more."""
    started: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    """Execution ARN -> pipeline and parameters."""
    versions: dict[str, str] = field(default_factory=dict)
    """Execution ARN -> what it registered."""
    _tokens: dict[str, str] = field(default_factory=dict)

    def start(self, pipeline: str, parameters: Mapping[str, str], token: str) -> str:
        """Start an execution, once per token."""
        if self.fault:
            fault, self.fault = self.fault, None
            raise fault
        if self.names and pipeline not in self.names:
            raise NotFoundError(f"{pipeline} does not exist")
        if token not in self._tokens:
            arn = f"arn:aws:sagemaker:eu-central-1:123456789012:pipeline/{pipeline}/execution/{len(self._tokens):012d}"
            self._tokens[token] = arn
            self.started[arn] = (pipeline, dict(parameters))
        return self._tokens[token]

    def status(self, execution_arn: str) -> str:
        """Status of an execution. Raises NotFoundError."""
        if execution_arn not in self.started:
            raise NotFoundError(f"{execution_arn} does not exist")
        return self.statuses.get(execution_arn, "Executing")

    def failure(self, execution_arn: str) -> tuple[str, str]:
        """Name of the failed step and its reason."""
        return self.failures.get(execution_arn, ("", ""))

    def registered(self, execution_arn: str) -> str:
        """ARN of the version that an execution registered."""
        return self.versions.get(execution_arn, "")


@dataclass
class FakeEvents:
    """Keeps what was put on the bus."""

    sent: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def put(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Keep one event."""
        self.sent.append((kind, detail))


@dataclass
class FakeNotifier:
    """Keeps what people were told."""

    messages: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, subject: str, message: str) -> None:
        """Keep one message."""
        self.messages.append((" ".join(subject.split())[:100], message))

    @property
    def subjects(self) -> list[str]:
        """Subjects so far."""
        return [subject for subject, _ in self.messages]


class FakeTransforms:
    """Batch transform jobs; what a job writes is put there by whoever plays it."""

    def __init__(self) -> None:
        self.plans: dict[str, TransformPlan] = {}
        self.states: dict[str, TransformState] = {}

    def start(self, plan: TransformPlan) -> None:
        """Start a job unless there is one of this name."""
        if plan.name not in self.plans:
            self.plans[plan.name], self.states[plan.name] = plan, TransformState("InProgress")

    def end(self, name: str, status: str, failure: str = "") -> None:
        """A job ends."""
        self.states[name] = TransformState(status, failure)

    def state(self, name: str) -> TransformState:
        """What a job does. Raises NotFoundError."""
        if name not in self.states:
            raise NotFoundError(f"transform job {name} does not exist")
        return self.states[name]

    def running(self, base: str) -> str:
        """Name of a job ``<base>-<anything without a hyphen>`` that has not ended; empty if there is none."""
        mine = (name for name in sorted(self.plans) if name.rpartition("-")[0] == base)
        return next((name for name in mine if not self.states[name].is_over), "")
