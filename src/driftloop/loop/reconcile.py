"""What events should have brought about and did not: read the world again and knock at the same doors.

Every door is safe to knock at twice, so a repair and a late event may meet. Reads grow with the models and with what is
under way, not with history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile

from driftloop.data.windows import iso
from driftloop.loop.announce import ASKS_A_PERSON
from driftloop.loop.bake import bakes_by_itself, watched_alarms
from driftloop.loop.confirm_deployment import Confirmer
from driftloop.loop.deploy_model import take_back, version_before
from driftloop.loop.start_retraining import Starter
from driftloop.loop.track_episode import Tracker
from driftloop.names import ModelNames
from driftloop.ports import (
    Alarms,
    Decisions,
    Deployment,
    Model,
    NotFoundError,
    Package,
    RaisedAlarm,
    TerminalError,
    Work,
)
from driftloop.promotion.card import is_written
from driftloop.retraining.decision import LOOK_BACK, Policy, decide, training_windows
from driftloop.retraining.episode import Episode, Request, Status, Trigger, alarm_cause

PATIENCE = timedelta(minutes=15)
"""How long the events of a move may take before somebody looks after them."""
CARDS_FOR = timedelta(hours=3)
"""How long a version that waits for a person may get its card; with a pass an hour that is three times."""
APPROVALS_A_PASS = 50
"""Models whose serving version is looked up in the registry in one pass: SageMaker throttles more. The others follow in the
next passes, in turn."""
UNCOMPARED = timedelta(hours=3)
"""How long after its time a shadow may wait for its comparison, which is tried every hour."""
CLOCKS = timedelta(minutes=5)
"""By how much the clocks of CloudWatch and of a function may differ."""

_Outcome = tuple[str, str]
"""What was done about a model, and why it could not be looked after; both may be empty."""


@dataclass(frozen=True)
class Pass:
    """What one run has found."""

    models: int
    done: dict[str, str] = field(default_factory=dict)
    """Model -> what was done about it."""
    failed: dict[str, str] = field(default_factory=dict)
    """Model -> why it could not be looked after; the next run tries again."""


@dataclass(frozen=True)
class Reconciler:
    """Finishes what is half done, and asks for the retraining of models that are idle though their cause lasts."""

    starter: Starter
    tracker: Tracker
    decisions: Decisions
    confirmer: Confirmer
    alarms: Alarms
    each: Callable[[Callable[[Model], _Outcome], Sequence[Model]], Iterable[_Outcome]] = map
    """How to go through the models: most of a pass is waiting, so a function looks after several at a time."""

    def reconcile(self) -> Pass:
        """Look after all models. One that cannot be looked after does not keep the others from it."""
        raised = {alarm.name: alarm for alarm in self.alarms.raised()}
        models, unreadable = self.starter.models.all()
        busy = self.starter.ledger.busy([model.name for model in models])
        turn = _in_turn([model.name for model in models], self.starter.clock.now())

        def look(model: Model) -> _Outcome:
            try:
                told = self._look_after(model, busy.get(model.name, Work()), raised)
                return told or (self._withdrawn(model) if model.name in turn and model.name not in busy else ""), ""
            except Exception as error:  # whatever it is, it concerns this model only
                return "", f"{type(error).__name__}: {error}"

        found = Pass(len(models) + len(unreadable), failed=dict(unreadable))
        for model, (done, failure) in zip(models, self.each(look, models), strict=True):
            if failure:
                found.failed[model.name] = failure
            elif done:
                found.done[model.name] = done
        return found

    def _look_after(self, model: Model, work: Work, raised: Mapping[str, RaisedAlarm]) -> str:
        if work.fault:
            raise TerminalError(work.fault)
        now = self.starter.clock.now()
        told = ""
        if work.deployment is not None and now - work.deployment.started_at >= PATIENCE:
            told = self._rolled_out(model, work.deployment)
        if work.episode is not None:
            patient = now - work.episode.moved_at < PATIENCE
            return told if patient else self._resume(model, work.episode) or told
        if work.deployment is not None:
            return told
        policy = Policy.from_spec(model.spec)
        if not bakes_by_itself(model) and (taken_back := self._misbehaving(model, raised, now)):
            return taken_back
        # The other alarms, on failing endpoints and dead letters, are for people.
        names = {trigger: ModelNames(model.name).alarm(trigger) for trigger in (Trigger.DRIFT, Trigger.QUALITY)}
        standing = {t: raised[alarm] for t, alarm in names.items() if alarm in raised and t in policy.on}
        if standing or policy.on & {Trigger.DATA, Trigger.CODE}:
            return self._ask(model, policy, standing, now)
        return ""

    def _misbehaving(self, model: Model, raised: Mapping[str, RaisedAlarm], now: datetime) -> str:
        """Do what the event of an alarm would have done that rang while a version baked and rings on."""
        mine = (raised[name] for name in watched_alarms(model) if name in raised)
        old = [alarm for alarm in mine if now - alarm.since >= PATIENCE]
        return take_back(model, self.starter.ledger, self.confirmer.hosting, old) if old else ""

    def _withdrawn(self, model: Model) -> str:
        """Say again that the version that serves was rejected, if there is a way back from it."""
        champion, hosting = self.starter.ledger.champion(model.name), self.confirmer.hosting
        try:
            if champion is None or champion.previous is None:
                return ""
            package = hosting.package(champion.package_arn)
        except NotFoundError:
            return ""  # a version without an entry in the registry serves on: nobody has rejected it
        rejected = package.approval == "Rejected" and version_before(hosting, champion)[0]
        return self._tell(package) if rejected else ""

    def _resume(self, model: Model, episode: Episode) -> str:
        """Do what the event that moves an episode on would have done."""
        match episode.status:
            case Status.REQUESTED:
                return f"episode {episode.id} was never started: {self.starter.resume(episode).status}"
            case Status.STARTED:
                moved = self.tracker.look(episode)
                return "" if moved is episode else f"the end of episode {episode.id} was not told: {moved.status}"
            case Status.CANDIDATE | Status.APPROVED:
                return self._decided(model, episode)
        return self._rolling(model, episode)

    def _decided(self, model: Model, episode: Episode) -> str:
        """Say the decision about an episode's version again, if there is one; until then the version may need its card."""
        package = self._version(model, episode)
        if package is None:
            moved = self.tracker.lost(episode)
            return f"the version of episode {episode.id} is gone: {moved.status}"
        if package.approval in ("Approved", "Rejected"):
            return self._tell(package)
        if not is_written(package.card) and self.starter.clock.now() - episode.moved_at < CARDS_FOR:
            self.tracker.card(episode.pipeline_execution_arn)
        return ""

    def _version(self, model: Model, episode: Episode) -> Package | None:
        hosting = self.confirmer.hosting
        if not episode.model_package_arn:
            return hosting.of_episode(model.resources.group, episode.id)
        try:
            return hosting.package(episode.model_package_arn)
        except NotFoundError:
            return None

    def _rolling(self, model: Model, episode: Episode) -> str:
        """An episode whose rollout is its model's latest is looked after with it."""
        deployment = self.starter.ledger.deployment(episode.model)
        if deployment is None or deployment.package_arn != episode.model_package_arn:
            return self._decided(model, episode)
        return "" if deployment.is_open else self.confirmer.closed(deployment, episode)

    def _rolled_out(self, model: Model, deployment: Deployment) -> str:
        """Do what the endpoint's event would have done, or the decision's if the endpoint was never told."""
        outcome = self.confirmer.changed(model.resources.endpoint)
        if deployment.phase == "updating":
            return outcome
        arn = deployment.instead_of or deployment.package_arn
        try:
            package = self.confirmer.hosting.package(arn)
        except NotFoundError:
            if deployment.has_shadow:
                self.decisions.tell(arn, "Rejected")
                return f"{arn}, a shadow, was deleted: said"
            return self.confirmer.abandoned(model.name, deployment)
        if deployment.phase == "shadowing" and package.approval == "Approved" and not self._compared(model, deployment):
            return ""  # compare_shadow decides
        # Also that its approval was taken back, which leaves it pending.
        return self._tell(package)

    def _compared(self, model: Model, deployment: Deployment) -> bool:
        """True if a shadow is over that nobody could compare, or that the model file does not ask for any more.

        It must not stay for ever; its rollout is guarded all the same.
        """
        over = deployment.started_at + timedelta(seconds=model.spec["serving"]["rollout"].get("shadow") or 0)
        if self.starter.clock.now() < over + UNCOMPARED:
            return False
        compared = replace(deployment, phase="compared")
        return self.starter.ledger.set_deployment(model.name, compared, deployment)

    def _tell(self, package: Package) -> str:
        """Deploying is left to the one function that may do it."""
        self.decisions.tell(package.arn, package.approval)
        return f"{package.arn} is {package.approval}: said again"

    def _ask(self, model: Model, policy: Policy, standing: Mapping[Trigger, RaisedAlarm], now: datetime) -> str:
        """Ask for what the alarm's event asked for, and once more after each answer that did not end the cause."""
        # An alarm may stand for longer than decisions look back, and every answer to it counts.
        since = min((now - LOOK_BACK, *(alarm.since for alarm in standing.values())))
        episodes = self.starter.ledger.episodes(model.name, since)
        evidence = self.starter.evidence(model.name)
        for request in (*_alarms(model, standing, episodes, now), *_lasting(model, policy, episodes, now)):
            # What would be refused is not asked for: each refusal would be one more entry of the ledger. But for one:
            # that nothing helps is said once, as no event tells of an alarm that never goes out.
            decision = decide(policy, episodes, request, now, evidence)
            if decision.start or (decision.rule == ASKS_A_PERSON and not _asked_a_person(episodes)):
                episode = self.starter.handle(request)
                return f"{request.reason}: episode {episode.id} {episode.status}"
        return ""


def _in_turn(models: Sequence[str], now: datetime) -> frozenset[str]:
    """The models whose approval is looked up in the pass of this hour; each comes as often as the others."""
    turns = -(-len(models) // APPROVALS_A_PASS) or 1
    hour = int(now.timestamp() // 3600)
    return frozenset(name for place, name in enumerate(models) if (place + hour) % turns == 0)


def _asked_a_person(episodes: Sequence[Episode]) -> bool:
    """True if people know that nothing has helped since the last retraining."""
    return any(e.rule == ASKS_A_PERSON for e in takewhile(lambda episode: not episode.ran, reversed(episodes)))


def _alarms(
    model: Model, standing: Mapping[Trigger, RaisedAlarm], episodes: Sequence[Episode], now: datetime
) -> Iterator[Request]:
    for trigger, alarm in standing.items():
        since = alarm.since - CLOCKS
        asked = sum(1 for episode in episodes if episode.trigger is trigger and episode.opened_at >= since)
        reason = f"{alarm.name} stands since {alarm.since:%Y-%m-%d %H:%M}: {alarm.reason}"
        cause = alarm_cause(alarm.name, alarm.since, asked)
        yield Request(model.name, trigger, cause, reason, now, f"alarm {alarm.name}")


def _lasting(model: Model, policy: Policy, episodes: Sequence[Episode], now: datetime) -> Iterator[Request]:
    """New labelled rows, and code or settings that no retraining has used; both since the last retraining."""
    ran = [episode for episode in episodes if episode.ran]
    if not ran:
        return
    # One whose pipeline could not be started is no answer.
    last = next((episode for episode in reversed(ran) if episode.pipeline_execution_arn), ran[-1])
    known = training_windows(policy, last.opened_at).holdout.end
    asked = sum(1 for episode in episodes if episode.opened_at > last.opened_at)
    if Trigger.DATA in policy.on:
        cause = f"rows@{iso(known)}@{last.id}#{asked}"
        reason = f"at least {policy.new_rows} labelled rows are new since {known:%Y-%m-%d %H:%M}"
        yield Request(model.name, Trigger.DATA, cause, reason, now, "reconciler")
    revision = model.resources.revision
    if Trigger.CODE in policy.on and revision and last.revision and last.revision != revision:
        reason = f"code or settings of training are {revision} and the last retraining used {last.revision}"
        yield Request(model.name, Trigger.CODE, f"code@{revision}@{last.id}#{asked}", reason, now, "deployment")
