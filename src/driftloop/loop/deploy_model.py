"""A version was approved: bring it to the endpoint, which is created on the first approval. Or it was rejected: end what
waits for it, and if it serves, go back to the version before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from driftloop.loop.announce import Announcer
from driftloop.loop.bake import bakes_by_itself, is_baking, misbehaviour, watched_alarms
from driftloop.names import ModelNames, is_own_function, model_of_endpoint
from driftloop.ports import (
    Asynchronous,
    Champion,
    Clock,
    Deployment,
    EndpointState,
    Hosting,
    Instances,
    Ledger,
    Model,
    Models,
    NotFoundError,
    Package,
    QuotaError,
    RaisedAlarm,
    RetryableError,
    RolloutPlan,
    Scaler,
    Scaling,
    Serverless,
    ServingPlan,
    TerminalError,
)
from driftloop.retraining.episode import Episode, Status

_AT_WORK = timedelta(minutes=2)
"""For how long whoever recorded a rollout may still be about to tell the endpoint: longer than the function may run."""
_LOOKS = 3
"""The pipeline's end and the approval of what it registered come at the same time: whoever loses looks again at once."""
_UNDECIDED = (Status.STARTED, Status.CANDIDATE, Status.APPROVED)
"""Statuses in which a decision about the version still counts."""


@dataclass(frozen=True)
class _Way:
    """Where a rollout leads, if not from one version to the next."""

    instead_of: str = ""
    """The rejected version, whose place is taken or that is a shadow no more."""
    beside: str = ""
    """Configuration of the version that serves, if the other one is to be its shadow."""
    shadow: str = ""
    """The configuration with a shadow that the endpoint has."""


@dataclass(frozen=True)
class Deployer:
    """Starts rollouts, and ends episodes whose version was rejected. Delivering the same decision twice is harmless."""

    models: Models
    ledger: Ledger
    hosting: Hosting
    scaler: Scaler
    announcer: Announcer
    clock: Clock
    live_bucket: str
    kms_key_arn: str
    answers_topic_arn: str

    def decided(self, package_arn: str) -> str:
        """Follow the decision about a version as it stands now; says what was done.

        Raises RetryableError while another rollout runs.
        """
        try:
            package = self.hosting.package(package_arn)
        except NotFoundError:
            return self._deleted(package_arn)
        if package.approval == "Rejected":
            return self._rejected(package)
        if package.approval != "Approved":
            return self._taken_back(package)
        return self._approved(package)

    def _deleted(self, package_arn: str) -> str:
        """Raises NotFoundError unless the version is a shadow, which must not stay one."""
        group, _, number = package_arn.partition(":model-package/")[2].partition("/")
        running = self.ledger.deployment(model_of_endpoint(group))
        if running is None or not _is_shadow(running, package_arn):
            raise NotFoundError(f"{package_arn} does not exist")
        return self._silenced(model_of_endpoint(group), package_arn, running, f"version {number} was deleted")

    def _approved(self, package: Package) -> str:
        model = self.models.get(model_of_endpoint(package.group))
        champion = self.ledger.champion(model.name)
        if champion and champion.version >= package.version:
            self._overtaken(model.name, package, champion.version)
            return f"version {package.version} is not newer than champion {champion.version}: nothing to do"
        if champion and is_baking(model, champion, self.clock.now()):
            raise RetryableError(f"version {champion.version} is still baking; version {package.version} has to wait")
        running = self.ledger.deployment(model.name)
        if running and running.package_arn == package.arn and running.phase not in ("prepared", "compared"):
            # Before anything is held against the approval: it has counted, whoever changed the version since.
            return f"version {package.version} is {running.phase} already: nothing to do"
        counted = running and running.package_arn == package.arn and running.has_shadow
        if not counted and (objection := self._objection(model, package)):
            self.hosting.hold(package.arn, objection)
            self.announcer.asks_another(model.name, package.version, package.arn, objection)
            return objection
        self._approve(model.name, package)
        return self._start(model, package, champion, running)

    def _start(self, model: Model, package: Package, champion: Champion | None, running: Deployment | None) -> str:
        """Roll an approved version out, as a shadow first where the model file asks for it."""
        mine = running is not None and running.package_arn == package.arn
        if running and not mine and running.is_open and (running.phase != "prepared" or running.has_shadow):
            raise RetryableError(
                f"version {running.version} is still {running.phase}; version {package.version} has to wait"
            )
        state = self.hosting.endpoint(model.resources.endpoint)
        if running and mine and running.phase == "prepared" and _was_told(running, state):
            return self._told_before(model.name, running)
        ready = self._ready(model, package, state)
        way = _Way()
        if running and mine and running.has_shadow:
            way = _Way(shadow=running.shadow)
        elif ready and champion and model.spec["serving"]["rollout"].get("shadow"):
            way = _Way(beside=champion.config)
        return self._roll_out(model, package, running, ready, way)

    def rang(self, alarm: RaisedAlarm) -> str:
        """Take a version back that misbehaves while it bakes, where SageMaker does not; says what was done.

        The registry's event about the rejection then brings the version before. Raises RetryableError while the rollout
        has not been confirmed.
        """
        model = self.models.get(model_of_endpoint(alarm.name.rpartition("-")[0]))
        latest = self.ledger.deployment(model.name)
        if latest and latest.is_open and not bakes_by_itself(model):
            raise RetryableError(f"version {latest.version} is on its way; {alarm.name} is looked at after that")
        taken_back = take_back(model, self.ledger, self.hosting, [alarm])
        return taken_back or f"{alarm.name} rings and no version that can still be taken back serves: nothing to do"

    def _rejected(self, package: Package) -> str:
        """End the version's episode if it waits for a decision, so that others may start.

        A version that serves gives way to the one before. One that has been rolled back is past that: its rejection was
        the loop's own. Raises RetryableError while it is on its way to the endpoint.
        """
        model, episode_id = model_of_endpoint(package.group), package.properties.get("episode_id", "")
        outcome = f"version {package.version} was rejected: {package.approval_reason or 'no reason given'}"
        episode = self._waiting(model, episode_id)
        if episode is not None:
            moved = replace(episode.moved(Status.REJECTED, self.clock.now(), outcome), model_package_arn=package.arn)
            self._move(moved, episode.status)
            return outcome
        running = self.ledger.deployment(model)
        if running and _is_shadow(running, package.arn):
            return self._silenced(model, package.arn, running, outcome)
        if running and running.package_arn == package.arn and running.phase == "prepared":
            return self._withdrawn(model, running, outcome)
        if running and running.package_arn == package.arn and running.phase == "updating":
            raise RetryableError(
                f"version {package.version} is being rolled out; its rejection has to wait for the end"
            )
        champion = self.ledger.champion(model)
        if champion and champion.package_arn == package.arn:
            return self._back(self.models.get(model), champion, running, outcome)
        return (
            f"version {package.version} is Rejected and neither serves nor does an episode wait for it: nothing to do"
        )

    def _back(self, model: Model, champion: Champion, running: Deployment | None, outcome: str) -> str:
        """The version that serves was rejected: the one before takes its place again."""
        if running and running.is_open and running.instead_of != champion.package_arn:
            if running.phase in ("shadowing", "compared"):
                # It may take days, and is compared with a version that nobody wants.
                self.hosting.reject(
                    running.package_arn, f"version {champion.version}, whose shadow it was, was rejected"
                )
            raise RetryableError(f"version {running.version} is on its way; the way back from {champion.version} waits")
        if running and running.phase == "updating":
            return f"the endpoint has been told to go back to version {running.version}: nothing to do"
        package, fault = version_before(self.hosting, champion)
        if package is None:
            self.announcer.stays(model.name, champion.version, f"{outcome}; {fault}")
            return f"{outcome}; it serves on: {fault}"
        state = self.hosting.endpoint(model.resources.endpoint)
        if running and running.is_open and _was_told(running, state):
            return self._told_before(model.name, running)
        ready = self._ready(model, package, state)
        return self._roll_out(model, package, running, ready, _Way(instead_of=champion.package_arn))

    def _silenced(self, model_name: str, package_arn: str, running: Deployment, outcome: str) -> str:
        """A shadow is not wanted any more: the endpoint goes on without it."""
        model, champion = self.models.get(model_name), self.ledger.champion(model_name)
        if running.phase == "updating" or champion is None:
            return "the endpoint has been told to go on without its shadow: nothing to do"
        state = self.hosting.endpoint(model.resources.endpoint)
        if running.phase == "prepared":
            if not running.instead_of and self.clock.now() - running.started_at < _AT_WORK:
                raise RetryableError(
                    f"version {running.version} is being rolled out just now; its rejection has to wait"
                )
            if _was_told(running, state):
                return self._told_before(model.name, running)
        self._rolled_back(model_name, running.episode_id, outcome)
        # From the ledger: its configuration is there, whatever has become of its entry in the registry.
        properties = {"baseline_uri": champion.baseline_uri}
        package = Package(
            champion.package_arn, model.resources.group, champion.version, "Approved", "", "", {}, properties
        )
        way = _Way(instead_of=package_arn, shadow=running.shadow)
        self._roll_out(model, package, running, self._ready(model, package, state), way)
        return outcome

    def _taken_back(self, package: Package) -> str:
        """Nobody decides by leaving a version pending, but a rollout that has not begun must not wait for ever."""
        model = model_of_endpoint(package.group)
        running = self.ledger.deployment(model)
        outcome = f"the approval of version {package.version} was taken back"
        if running and _is_shadow(running, package.arn):
            return self._silenced(model, package.arn, running, outcome)
        if running and running.package_arn == package.arn and running.phase == "prepared":
            return self._withdrawn(model, running, outcome)
        return f"version {package.version} is {package.approval} by now: nothing to do"

    def _told_before(self, model: str, running: Deployment) -> str:
        """A delivery before this one died when it had told the endpoint, which may have come back since."""
        self.ledger.set_deployment(model, replace(running, phase="updating"), running)
        return f"the endpoint was told of version {running.version} before: what becomes of it decides"

    def _withdrawn(self, model: str, running: Deployment, outcome: str) -> str:
        """A rollout of which the endpoint has not heard is not begun any more."""
        if self.clock.now() - running.started_at < _AT_WORK:
            raise RetryableError(f"version {running.version} is being rolled out just now; its rejection has to wait")
        if _was_told(running, self.hosting.endpoint(self.models.get(model).resources.endpoint)):
            return self._told_before(model, running)
        if not self.ledger.set_deployment(model, replace(running, phase="rolled_back"), running):
            raise RetryableError(f"the rollout of version {running.version} moved just now")
        self._rolled_back(model, running.episode_id, outcome)
        return outcome

    def _overtaken(self, model: str, package: Package, champion: int) -> None:
        """A newer version, of a run by hand, went first: nothing will be rolled out for the episode."""
        episode = self._episode(model, package.properties.get("episode_id", ""))
        rollout = self.ledger.deployment(model)
        if rollout and rollout.instead_of == package.arn and rollout.phase == "prepared":
            # It was rejected, and approved again before the endpoint heard of the way back.
            self.ledger.set_deployment(model, replace(rollout, phase="rolled_back"), rollout)
        if episode is None or (rollout and rollout.package_arn == package.arn):
            return  # the end of its own rollout ends the episode
        outcome = f"version {package.version} has to give way: version {champion} serves already"
        if episode.status in _UNDECIDED:
            moved = replace(episode.moved(Status.REJECTED, self.clock.now(), outcome), model_package_arn=package.arn)
            self._move(moved, episode.status)
        elif episode.status is Status.ROLLING_OUT:
            self._move(episode.moved(Status.ROLLED_BACK, self.clock.now(), outcome), episode.status)

    def _ready(self, model: Model, package: Package, state: EndpointState | None) -> EndpointState | None:
        """The endpoint, ready for a rollout; None if it is to be created. Raises RetryableError while it is busy."""
        endpoint = model.resources.endpoint
        if state and state.status == "Failed":
            # It serves nothing, and SageMaker allows no other operation on it.
            self.hosting.remove(endpoint)
            state = self.hosting.endpoint(endpoint)
        if state and state.status != "InService":
            raise RetryableError(f"{endpoint} is {state.status}; version {package.version} has to wait")
        mode = model.spec["serving"]["mode"]
        if state and state.mode != mode:
            raise TerminalError(
                f"serving.mode is {mode} and {endpoint} was created as {state.mode}, which SageMaker does not change: write the "
                "old mode again, or deploy the model under another name"
            )
        return state

    def _roll_out(
        self,
        model: Model,
        package: Package,
        running: Deployment | None,
        state: EndpointState | None,
        way: _Way,
    ) -> str:
        endpoint = model.resources.endpoint
        plan = self._serving(model, ModelNames(model.name).version(package.version), way.beside)
        if running and running.scaling:
            # An update that changes the instances is refused while their number follows the requests.
            self.scaler.stop(endpoint)
        deployment = self._record(model, package, plan.config, running, state, way)
        try:
            if not deployment.ends_a_shadow:
                self.hosting.prepare(package, plan)
            self._begin(model.name, deployment)
            if state is None:
                self.hosting.create(endpoint, plan.config)
            else:
                # Where it is a shadow that comes or goes, the same version answers before and after.
                self.hosting.update(endpoint, plan.config, _rollout(model, back=bool(way.instead_of or plan.shadow_of)))
        except QuotaError as error:
            if running is None or not running.is_open or running.phase == "compared":
                self.announcer.waits(model.name, package.version, str(error))
            if not deployment.ends_a_shadow:
                # The model file may ask for less by the next delivery, and a configuration cannot be changed.
                self.hosting.retire(plan.config, keep_model=deployment.has_shadow)
            raise
        # Only now may an InService endpoint on another configuration be taken for a rollback.
        self.ledger.set_deployment(model.name, replace(deployment, phase="updating"), deployment)
        return f"version {package.version} is being rolled out to {endpoint}" + (" as a shadow" if way.beside else "")

    def _record(
        self, model: Model, package: Package, config: str, running: Deployment | None, state: EndpointState | None,
        way: _Way,
    ) -> Deployment:  # fmt: skip
        if "baseline_uri" not in package.properties:
            raise TerminalError(f"{package.arn} has no baseline_uri: it was not registered by this pipeline")
        # On the way back nothing becomes of the version's own episode, which ended when it was promoted.
        episode_id = "" if way.instead_of else package.properties.get("episode_id", "")
        deployment = Deployment(
            package.version, package.arn, package.properties["baseline_uri"], config, episode_id, self.clock.now(),
            "prepared", state.modified if state else None, way.instead_of, _scaling(model.spec["serving"]),
            config if way.beside else way.shadow,
        )  # fmt: skip
        if not self.ledger.set_deployment(model.name, deployment, running):
            raise RetryableError(f"another rollout of {model.name} came first; version {package.version} has to wait")
        return deployment

    def _approve(self, model: str, package: Package) -> None:
        """Raises RetryableError if the start of the episode's pipeline has not been recorded yet."""
        for _ in range(_LOOKS):
            episode = self._waiting(model, package.properties.get("episode_id", ""))
            if episode is None or episode.status is Status.APPROVED:
                return
            approved = episode.moved(Status.APPROVED, self.clock.now(), f"version {package.version} was approved")
            moved = replace(approved, model_package_arn=package.arn)
            if self.announcer.move(self.ledger, moved, episode.status):
                return
        raise RetryableError(f"episode {moved.id} moves on and on; the next delivery will see it")

    def _objection(self, model: Model, package: Package) -> str:
        """Why the approval does not count, where the model file wants a second person; empty if it counts."""
        if model.spec["retraining"]["approval"] != "second_person":
            return ""
        episode = self._episode(model.name, package.properties.get("episode_id", ""))
        asked = episode.by if episode else package.registered_by
        if is_own_function(package.decided_by):
            # No function approves, so one has changed the version since, such as by writing its card at that very moment.
            return f"version {package.version} was changed since its approval, so SageMaker does not say who gave it: give it again"
        if not package.decided_by:
            return f"SageMaker does not say who approved version {package.version}, and it must not be {asked or 'anybody'}"
        if package.decided_by == asked:
            return f"version {package.version} was approved by {asked}, who asked for it: another person has to"
        return ""

    def _waiting(self, model: str, episode_id: str) -> Episode | None:
        """The episode of a version if it waits for the decision about it. A decision may overtake the pipeline's end.

        Raises RetryableError if the start of its pipeline has not been recorded yet.
        """
        episode = self._episode(model, episode_id)
        if episode and episode.status is Status.REQUESTED:
            raise RetryableError(f"the start of episode {episode_id} is not recorded yet")
        return episode if episode and episode.status in _UNDECIDED else None

    def _episode(self, model: str, episode_id: str) -> Episode | None:
        """None for a version without an episode: of a run by hand."""
        return self.ledger.episode(model, episode_id) if episode_id else None

    def _begin(self, model: str, deployment: Deployment) -> None:
        episode = self._episode(model, deployment.episode_id)
        if episode and episode.status is Status.APPROVED:
            how = "becomes the shadow of the one that serves" if deployment.is_shadow else "is being rolled out"
            outcome = f"version {deployment.version} {how}"
            self._move(episode.moved(Status.ROLLING_OUT, self.clock.now(), outcome), Status.APPROVED)

    def _rolled_back(self, model: str, episode_id: str, outcome: str) -> None:
        """End an episode whose rollout came to nothing, if that has not been done."""
        episode = self._episode(model, episode_id)
        if episode and episode.status is Status.ROLLING_OUT:
            self._move(episode.moved(Status.ROLLED_BACK, self.clock.now(), outcome), episode.status)

    def _move(self, moved: Episode, expected: Status) -> None:
        if not self.announcer.move(self.ledger, moved, expected):
            raise RetryableError(f"episode {moved.id} moved just now; the next delivery will see it")

    def _serving(self, model: Model, name: str, beside: str = "") -> ServingPlan:
        serving = model.spec["serving"]
        return ServingPlan(
            name=name,
            role_arn=model.resources.serving_role_arn,
            on=_machines(serving),
            capture_uri=f"s3://{self.live_bucket}/capture",
            capture_percent=round(serving["capture"] * 100),
            kms_key_arn=self.kms_key_arn,
            shadow_of=beside,
            asynchronous=self._asynchronous(model) if serving["mode"] == "asynchronous" else None,
        )

    def _asynchronous(self, model: Model) -> Asynchronous:
        place = f"s3://{self.live_bucket}/asynchronous/{model.name}"
        return Asynchronous(f"{place}/answers", f"{place}/failures", self.answers_topic_arn)


def take_back(model: Model, ledger: Ledger, hosting: Hosting, raised: Sequence[RaisedAlarm]) -> str:
    """Reject the version that serves if it misbehaves while it bakes and another can take its place; says why it did."""
    champion = ledger.champion(model.name)
    reason = misbehaviour(model, champion, ledger.deployment(model.name), raised)
    if not reason or champion is None or version_before(hosting, champion)[0] is None:
        return ""
    hosting.reject(champion.package_arn, reason)
    return reason


def version_before(hosting: Hosting, champion: Champion) -> tuple[Package | None, str]:
    """The version that served before, or why there is no way back to it."""
    if champion.previous is None:
        return None, "no version served before it"
    try:
        package = hosting.package(champion.previous.package_arn)
    except NotFoundError:
        return None, f"version {champion.previous.version}, which served before it, was deleted"
    if package.approval != "Approved":
        return None, f"version {package.version}, which served before it, is {package.approval}"
    return package, ""


def _is_shadow(running: Deployment, package_arn: str) -> bool:
    """True if a version is a shadow, or is on its way out of being one."""
    if running.ends_a_shadow:
        return running.is_open and running.instead_of == package_arn
    told = running.phase in ("shadowing", "compared") or (running.phase == "prepared" and running.has_shadow)
    return told and running.package_arn == package_arn


def _was_told(running: Deployment, state: EndpointState | None) -> bool:
    """True if the endpoint has changed since a rollout was recorded, which nothing but the rollout makes it do."""
    return state is not None and state.modified != running.endpoint_modified


def _machines(serving: Mapping[str, Any]) -> Instances | Serverless:
    if serving["mode"] == "serverless":
        return Serverless(int(serving["memory"].removesuffix("GB")) * 1024, serving["concurrency"])
    return Instances(serving["instance"], serving["count"])


def _scaling(serving: Mapping[str, Any]) -> Scaling | None:
    most = serving["max_count"]
    return Scaling(serving["count"], most, serving["requests"]) if most else None


def _rollout(model: Model, *, back: bool) -> RolloutPlan:
    serving = model.spec["serving"]
    rollout = serving["rollout"]
    if not bakes_by_itself(model):
        return RolloutPlan(100, 0, (), guarded=False)
    keep_count = serving["max_count"] is not None
    if back:
        # The alarms that ring for the version that serves now must not stop it.
        return RolloutPlan(100, 0, (), keep_count=keep_count)
    alarms = watched_alarms(model)
    # With one instance there is no share of the fleet to try first: all at once, still watched while it bakes.
    if rollout["strategy"] == "all_at_once" or serving["count"] == 1:
        return RolloutPlan(100, rollout["bake"], alarms, keep_count=keep_count)
    linear = rollout["strategy"] == "linear"
    return RolloutPlan(
        round(rollout["step" if linear else "canary"] * 100), rollout["bake"], alarms, linear, keep_count
    )
