"""What events should have brought about and did not: read the world again and knock at the same doors.

Every door is safe to knock at twice, so a repair and a late event may meet. Reads grow with the models and with what is
under way, not with history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from driftloop.loop.confirm_deployment import Confirmer
from driftloop.loop.start_retraining import Starter
from driftloop.loop.track_episode import ENDED, Tracker
from driftloop.names import ModelNames
from driftloop.ports import Alarms, Champion, Decisions, DriftloopError, Model, RaisedAlarm
from driftloop.retraining.decision import MONTH, Policy, decide
from driftloop.retraining.episode import Episode, Request, Status, Trigger, alarm_cause

PATIENCE = timedelta(minutes=15)
"""How long the events of a move may take before somebody looks after them."""


@dataclass(frozen=True)
class Reconciler:
    """Finishes what is half done, and asks again for a model whose alarm stands though nothing is under way."""

    starter: Starter
    tracker: Tracker
    decisions: Decisions
    confirmer: Confirmer
    alarms: Alarms

    def reconcile(self) -> dict[str, str]:
        """Model -> what was done about it; models that need nothing are not in it.

        A model that cannot be looked after now does not keep the others from it: the next run tries again.
        """
        raised = {alarm.name: alarm for alarm in self.alarms.raised()}
        done: dict[str, str] = {}
        for name in self.starter.models.names():
            try:
                outcome = self._look_after(name, raised)
            except DriftloopError as error:
                outcome = f"{type(error).__name__}: {error}"
            if outcome:
                done[name] = outcome
        return done

    def _look_after(self, name: str, raised: Mapping[str, RaisedAlarm]) -> str:
        now = self.starter.clock.now()
        episode = self.starter.ledger.running(name)
        if episode is not None:
            return self._resume(episode) if now - episode.moved_at >= PATIENCE else ""
        # The other alarms, on failing endpoints and dead letters, are for people.
        names = {trigger: ModelNames(name).alarm(trigger) for trigger in (Trigger.DRIFT, Trigger.QUALITY)}
        standing = {trigger: raised[alarm] for trigger, alarm in names.items() if alarm in raised}
        return self._ask(self.starter.models.get(name), standing, now) if standing else ""

    def _resume(self, episode: Episode) -> str:
        """Do what the event that moves an episode on would have done."""
        match episode.status:
            case Status.REQUESTED:
                return f"episode {episode.id} was never started: {self.starter.resume(episode).status}"
            case Status.STARTED:
                return self._follow(episode)
            case Status.CANDIDATE:
                return self._decided(episode)
        return self._rolled_out(episode)

    def _follow(self, episode: Episode) -> str:
        status = self.starter.pipelines.status(episode.pipeline_execution_arn)
        if status not in ENDED:
            return ""
        moved = self.tracker.ended(episode.pipeline_execution_arn, status)
        return f"the end of episode {episode.id} was not told: {moved.status if moved else status}"

    def _decided(self, episode: Episode) -> str:
        """The newest version is the episode's: nothing else of the model trains meanwhile but runs by hand."""
        group = self.starter.models.get(episode.model).resources.group
        package = self.confirmer.hosting.newest(group)
        if package is None or package.properties.get("episode_id") != episode.id:
            return ""
        if package.approval not in ("Approved", "Rejected"):
            return ""
        return self._tell(package.arn, package.approval)

    def _rolled_out(self, episode: Episode) -> str:
        deployment = self.starter.ledger.deployment(episode.model)
        if deployment is None or deployment.package_arn != episode.model_package_arn or deployment.phase == "prepared":
            # Whoever began it died before the endpoint was told.
            return self._tell(episode.model_package_arn, "Approved")
        return self.confirmer.changed(self.starter.models.get(episode.model).resources.endpoint)

    def _tell(self, package_arn: str, approval: str) -> str:
        """Deploying is left to the one function that may do it."""
        self.decisions.tell(package_arn, approval)
        return f"{package_arn} is {approval}: said again"

    def _ask(self, model: Model, standing: Mapping[Trigger, RaisedAlarm], now: datetime) -> str:
        """Ask for what the alarm's event asked for, and once more after each answer that did not silence the alarm."""
        policy = Policy.from_spec(model.spec)
        # An alarm may stand for longer than decisions look back, and every answer to it counts.
        since = min(now - MONTH, *(alarm.since for alarm in standing.values()))
        episodes = self.starter.ledger.episodes(model.name, since)
        champion = self.starter.ledger.champion(model.name)
        for trigger, alarm in standing.items():
            request = _request(model.name, trigger, alarm, episodes, now)
            if trigger not in policy.on or _of_the_version_before(champion, model, now):
                continue
            # What would be refused is not asked for: each refusal would be one more entry of the ledger.
            if decide(policy, episodes, request, now).start:
                episode = self.starter.handle(request)
                return f"{alarm.name} stands since {alarm.since:%Y-%m-%d %H:%M}: episode {episode.id} {episode.status}"
        return ""


def _request(model: str, trigger: Trigger, alarm: RaisedAlarm, episodes: Sequence[Episode], now: datetime) -> Request:
    asked = sum(1 for episode in episodes if episode.trigger is trigger and episode.opened_at >= alarm.since)
    reason = f"the alarm stands since {alarm.since:%Y-%m-%d %H:%M}: {alarm.reason}"
    return Request(model, trigger, alarm_cause(alarm.name, alarm.since, asked), reason, now)


def _of_the_version_before(champion: Champion | None, model: Model, now: datetime) -> bool:
    """True while an alarm may still tell of windows that another version served."""
    monitoring = model.spec["monitoring"]
    span = timedelta(seconds=monitoring["window"]) * monitoring["of"]
    return champion is not None and now < champion.since + span
