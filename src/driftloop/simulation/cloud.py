"""SageMaker, CloudWatch and the people around them: what the kit's calls bring about, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from driftloop.names import ModelNames, is_shadow_config, model_of_endpoint
from driftloop.ports import EndpointState, NotFoundError, Package, RaisedAlarm, RetryableError, RolloutPlan
from driftloop.simulation.account import Account, random
from driftloop.simulation.fakes import FakeAlarms, FakeHosting, FakePipelines
from driftloop.simulation.faults import Faults

ACCOUNT = "arn:aws:sagemaker:eu-central-1:123456789012"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Execution:
    """One run of a pipeline."""

    arn: str
    model: str
    episode: str
    """Empty if a person started it."""
    begun: datetime
    """And the moment up to which its rows reach."""
    ended: datetime | None = None


@dataclass
class Trouble:
    """The world of one model changes: an alarm stands until a version knows the new world."""

    signal: str
    since: datetime
    curable: bool
    """False: no challenger gets better."""
    over: bool = False


@dataclass
class SimulatedPipelines(FakePipelines):
    """Executions take their time."""

    begin: Callable[[str, Mapping[str, str]], None] = lambda *_: None
    gone: set[str] = field(default_factory=set)

    def start(self, pipeline: str, parameters: Mapping[str, str], token: str) -> str:
        """Start an execution, once per token."""
        before = len(self.started)
        arn = super().start(pipeline, parameters, token)
        if self.started[arn][1] != dict(parameters):
            raise RetryableError(f"{token} was used for a run with other parameters")
        if len(self.started) > before:
            self.begin(arn, parameters)
        return arn

    def forget(self, arn: str) -> None:
        """Somebody deletes the pipeline's history."""
        self.gone.add(arn)

    def status(self, execution_arn: str) -> str:
        """Status of an execution. Raises NotFoundError."""
        if execution_arn in self.gone:
            raise NotFoundError(f"{execution_arn} does not exist")
        return super().status(execution_arn)


class SimulatedHosting(FakeHosting):
    """Endpoints take their time."""

    def __init__(self, changed: Callable[[str, str], None], updated: Callable[[str, str], None]) -> None:
        super().__init__()
        self._changed, self._updated = changed, updated

    def create(self, endpoint: str, config: str) -> None:
        """Create an endpoint unless it exists."""
        fresh = self.endpoint(endpoint) is None
        super().create(endpoint, config)
        if fresh:
            self._changed(endpoint, config)

    def update(self, endpoint: str, config: str, plan: RolloutPlan) -> None:
        """Start a blue/green update."""
        super().update(endpoint, config, plan)
        self._changed(endpoint, config)

    def attach_card(self, package_arn: str, content: str) -> None:
        """Put a model card into a version, which is an event as every change of one is."""
        super().attach_card(package_arn, content)
        self._updated(package_arn, self.package(package_arn).approval)

    def decide(self, arn: str, approval: str) -> None:
        """A person approves or rejects."""
        self._packages[arn] = replace(self.package(arn), approval=approval, decided_by="somebody")

    def delete(self, arn: str) -> None:
        """A person deletes a version."""
        self._packages.pop(arn, None)

    def versions(self, group: str) -> list[Package]:
        """All that are there, oldest first."""
        return sorted((p for p in self._packages.values() if p.group == group), key=lambda package: package.version)


@dataclass
class Cloud:
    """Everything outside the kit, for all models."""

    account: Account
    faults: Faults
    troubles: dict[str, list[Trouble]] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    approved: dict[str, datetime] = field(default_factory=dict)
    """Package -> when it was approved first."""
    rejected: dict[str, datetime] = field(default_factory=dict)
    """Package -> when a person rejected it last, without approving it again."""
    rejections: dict[str, list[datetime]] = field(default_factory=dict)
    """Package -> every time that a person rejected it."""
    rolled_back: list[tuple[str, str]] = field(default_factory=list)
    """(endpoint, configuration) of every rollout that came to nothing."""
    rollouts: list[tuple[datetime, str, str]] = field(default_factory=list)
    """(moment, endpoint, configuration) of every change that was asked of an endpoint."""
    raises: list[tuple[datetime, str]] = field(default_factory=list)
    """(moment, alarm) of every change to ALARM."""
    log: Callable[[str], None] = lambda _: None
    versions: dict[str, int] = field(default_factory=dict)
    origins: dict[str, Execution] = field(default_factory=dict)
    """Package -> the execution that registered it."""

    def __post_init__(self) -> None:
        self.engine = self.account.engine
        self.alarms = FakeAlarms()
        self.pipelines = SimulatedPipelines(begin=self._begin)
        self.hosting = SimulatedHosting(self._rollout, self._updated)

    # Alarms

    def trouble(self, model: str, signal: str, curable: bool = True) -> Trouble:
        """From now on something is wrong with a model."""
        made = Trouble(signal, self.engine.now, curable)
        self.troubles.setdefault(model, []).append(made)
        self.log(f"{model}: {signal} begins, {'curable' if curable else 'not curable'}")
        self._raise(ModelNames(model).alarm(signal))
        if self.faults.strikes("alarm_flaps", model):
            for minutes in (7, 19, 31):
                self.engine.after(minutes * MINUTE, lambda: self._silence(ModelNames(model).alarm(signal)))
                self.engine.after((minutes + 5) * MINUTE, lambda: self._raise_again(made, model))
        return made

    def _raise_again(self, trouble: Trouble, model: str) -> None:
        if not trouble.over:
            self._raise(ModelNames(model).alarm(trouble.signal))

    def _raise(self, alarm: str) -> None:
        if alarm in self.alarms.standing:
            return
        now = self.engine.now
        self.alarms.standing[alarm] = RaisedAlarm(alarm, now, "over the limit")
        self.raises.append((now, alarm))
        self._alarm_event(alarm, "ALARM", now)

    def _silence(self, alarm: str) -> None:
        if self.alarms.standing.pop(alarm, None):
            self.log(f"{alarm} is silent")

    def _alarm_event(self, alarm: str, value: str, at: datetime) -> None:
        self.log(f"{alarm} is {value}")
        state = {"value": value, "reason": "over the limit", "timestamp": at.isoformat()}
        detail = {"alarmName": alarm, "state": state}
        self.account.event("retraining", _event("CloudWatch Alarm State Change", at, detail))

    # Pipelines

    def _begin(self, arn: str, parameters: Mapping[str, str]) -> None:
        model = model_of_endpoint(arn.split(":pipeline/")[1].split("/", maxsplit=1)[0])
        run = Execution(arn, model, parameters.get("EpisodeId", ""), self.engine.now)
        self.executions.append(run)
        self.log(f"{model}: execution {arn[-6:]} of episode {run.episode[:8] or 'nobody'} begins")
        chance = random(self.faults.seed, "run", model, len(self.executions))
        last = timedelta(minutes=chance.uniform(10, 40))
        approval = parameters.get("ApprovalStatus", "PendingManualApproval")
        if self.faults.strikes("stopped_by_hand", model):
            self.engine.after(last / 2, lambda: self._end(run, "Stopped"))
        self.engine.after(last, lambda: self._finish(run, approval))

    def run_by_hand(self, model: str) -> None:
        """A person starts the pipeline in the console."""
        token = f"console-{len(self.executions)}"
        self.pipelines.start(ModelNames(model).base, {}, token.ljust(32, "x"))

    def _finish(self, run: Execution, approval: str) -> None:
        if run.ended:
            return
        if self.faults.strikes("step_failed", run.model):
            self.pipelines.failures[run.arn] = ("Train", "out of memory")
            self._end(run, "Failed")
            return
        open_troubles = [trouble for trouble in self.troubles.get(run.model, ()) if not trouble.over]
        if open_troubles and not any(t.curable and t.since <= run.begun for t in open_troubles):
            self.pipelines.failures[run.arn] = ("RejectChallenger", "not better")
            self._end(run, "Failed")
            return
        # The two events may come in either order.
        if self.faults.strikes("event_late", "registered first"):
            self._register(run, approval)
            self._end(run, "Succeeded")
        else:
            self._end(run, "Succeeded")
            self._register(run, approval)

    def _end(self, run: Execution, status: str) -> None:
        if run.ended:
            return
        run.ended = self.engine.now
        self.pipelines.statuses[run.arn] = status
        self.log(f"{run.model}: execution {run.arn[-6:]} {status}")
        detail = {"pipelineExecutionArn": run.arn, "currentPipelineExecutionStatus": status}
        kind = "SageMaker Model Building Pipeline Execution Status Change"
        self.account.event("episode", _event(kind, self.engine.now, detail))
        if self.faults.strikes("execution_deleted", run.model):
            self.pipelines.forget(run.arn)

    def _register(self, run: Execution, approval: str) -> None:
        base = ModelNames(run.model).base
        version = self.versions[base] = self.versions.get(base, 0) + 1
        arn = f"{ACCOUNT}:model-package/{base}/{version}"
        properties = {"baseline_uri": f"s3://artifacts/{run.model}/{version}/baseline.json"}
        properties |= {"episode_id": run.episode or "manual"}
        self.hosting.add(Package(arn, base, version, approval, "image", "s3://artifacts/m.tar.gz", {}, properties))
        self.origins[arn], self.pipelines.versions[run.arn] = run, arn
        self.log(f"{run.model}: version {version} is registered as {approval}")
        if approval == "Approved":
            self._approved(arn)
        elif self.faults.strikes("version_deleted", run.model):
            self.engine.after(20 * MINUTE, lambda: self.delete_version(arn))
        else:
            chance = random(self.faults.seed, "person", arn)
            answer = "Approved" if chance.random() < 0.8 else "Rejected"
            self.engine.after(timedelta(minutes=chance.uniform(1, 120)), lambda: self.decide(arn, answer))

    def delete_version(self, arn: str) -> None:
        """A person deletes a version."""
        self.log(f"{arn[-20:]} is deleted by hand")
        self.hosting.delete(arn)

    def decide(self, arn: str, approval: str) -> None:
        """A person approves or rejects a version."""
        try:
            self.hosting.decide(arn, approval)
        except NotFoundError:
            return
        self.log(f"{arn[-20:]} is {approval} by a person")
        if approval == "Approved":
            self._approved(arn)
        else:
            self.rejected[arn] = self.engine.now
            self.rejections.setdefault(arn, []).append(self.engine.now)
            self._decision(arn, approval)

    def _approved(self, arn: str) -> None:
        self.approved.setdefault(arn, self.engine.now)
        self.rejected.pop(arn, None)
        self._decision(arn, "Approved")
        if self.faults.strikes("person_approves_twice", arn):
            self.engine.after(10 * MINUTE, lambda: self._decision(arn, "Approved"))
        if self.faults.strikes("person_rejects_late", arn):
            self.engine.after(3 * MINUTE, lambda: self.decide(arn, "Rejected"))

    def _updated(self, arn: str, approval: str) -> None:
        """The rule lets only what was decided about through."""
        if approval in ("Approved", "Rejected"):
            self._decision(arn, approval)

    def _decision(self, arn: str, approval: str) -> None:
        detail = {"ModelPackageArn": arn, "ModelApprovalStatus": approval}
        self.account.event("deployment", _event("SageMaker Model Package State Change", self.engine.now, detail))

    # Endpoints

    def _rollout(self, endpoint: str, config: str) -> None:
        now = self.engine.now
        self.rollouts.append((now, endpoint, config))
        self.log(f"{endpoint} is told to serve {config}")
        chance = random(self.faults.seed, "rollout", endpoint, len(self.rollouts))
        self.engine.after(timedelta(minutes=chance.uniform(5, 20)), lambda: self._settled(endpoint, config))

    def _settled(self, endpoint: str, config: str) -> None:
        state = self.hosting.endpoint(endpoint)
        if state is None or state.status not in ("Creating", "Updating"):
            return
        model, back = model_of_endpoint(endpoint), self._goes_back(endpoint, config)
        if state.status == "Updating" and not back and self.faults.strikes("silent_rollback", model):
            self.hosting.settle(endpoint, failure="an alarm rang while it baked")
            self.rolled_back.append((endpoint, config))
        elif self.faults.strikes("endpoint_failed", model):
            self.hosting.settle(endpoint, failure="no capacity", status="Failed")
            if not back:  # a way back is tried again, other rollouts are not
                self.rolled_back.append((endpoint, config))
        else:
            self.hosting.settle(endpoint)
            if not is_shadow_config(config):
                self._serves(model, config)
        settled: EndpointState | None = self.hosting.endpoint(endpoint)
        self.log(f"{endpoint} is {settled.status if settled else 'gone'} on {settled.config if settled else ''}")
        self.account.event(
            "endpoint", _event("SageMaker Endpoint State Change", self.engine.now, {"EndpointName": endpoint})
        )

    def _goes_back(self, endpoint: str, config: str) -> bool:
        """True if the endpoint was told of this configuration and then of another one before."""
        told = [what for _, who, what in self.rollouts if who == endpoint]
        return len(set(told[told.index(config) :])) > 1

    def _serves(self, model: str, config: str) -> None:
        """The troubles that the version knows are over, when its windows have shown it."""
        version = config.rpartition("-v")[2]
        run = self.origins[f"{ACCOUNT}:model-package/{ModelNames(model).base}/{version}"]
        for trouble in self.troubles.get(model, ()):
            if trouble.curable and not trouble.over and trouble.since <= run.begun:
                trouble.over = True
                alarm = ModelNames(model).alarm(trouble.signal)
                if not any(t.signal == trouble.signal and not t.over for t in self.troubles[model]):
                    self.engine.after(4 * HOUR, lambda alarm=alarm, m=model, s=trouble.signal: self._calm(m, s, alarm))  # type: ignore[misc]

    def _calm(self, model: str, signal: str, alarm: str) -> None:
        if all(trouble.over for trouble in self.troubles[model] if trouble.signal == signal):
            self._silence(alarm)


def _event(kind: str, at: datetime, detail: Mapping[str, Any]) -> dict[str, Any]:
    source = "aws.cloudwatch" if kind.startswith("CloudWatch") else "aws.sagemaker"
    return {
        "id": f"{kind}@{at.isoformat()}", "detail-type": kind, "source": source, "account": "123456789012",
        "region": "eu-central-1", "time": at.isoformat(), "detail": dict(detail),
    }  # fmt: skip
