"""Known bugs that are put into the code for one run: a harness that does not find them proves nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from driftloop.aws import batch
from driftloop.loop import profile_traffic, reconcile
from driftloop.loop.confirm_deployment import Confirmer
from driftloop.loop.deploy_model import Deployer
from driftloop.loop.reconcile import Reconciler
from driftloop.loop.sources import Source
from driftloop.loop.start_retraining import Starter
from driftloop.loop.track_episode import Tracker
from driftloop.retraining import decision
from driftloop.retraining.episode import Episode, Request, Status, alarm_cause
from driftloop.simulation.fakes import FakeLedger
from driftloop.simulation.story import Plant
from driftloop.simulation.world import World

Bug = tuple[str, Callable[[World], Iterator[None]]]
_BUGS: dict[str, Bug] = {}


def _bug(function: Callable[[World], Iterator[None]]) -> Callable[[World], Iterator[None]]:
    _BUGS[function.__name__] = (str(function.__doc__), function)
    return function


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = owner.__dict__[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _without(*rules: str) -> Iterator[None]:
    kept = {name: rule for name, rule in decision.RULES.items() if name not in rules}
    with _replaced(decision, "RULES", kept):
        yield


@_bug
def token_per_attempt(_: World) -> Iterator[None]:
    """Each attempt to start a pipeline brings a token of its own."""
    numbers = itertools.count()
    with _replaced(Episode, "token", property(lambda _: f"attempt-{next(numbers)}".ljust(32, "x"))):
        yield


@_bug
def no_lease(_: World) -> Iterator[None]:
    """Nobody looks whether a retraining is under way, and a claim takes no lease."""
    with _without("alone"), _replaced(FakeLedger, "claim", lambda self, episode, _now: self.record(episode)):
        yield


@_bug
def busy_for_ever(_: World) -> Iterator[None]:
    """A model with a failed retraining is taken as one that is being retrained."""
    alone = decision.RULES["alone"]

    def stuck(case: Any) -> Any:
        failed = next((episode for episode in case.episodes if episode.status is Status.FAILED), None)
        merged = decision.Decision(decision.Verdict.MERGE, "", "it is busy", into=failed.id) if failed else None
        return alone(case) or merged

    with _replaced(decision, "RULES", {**decision.RULES, "alone": stuck}):
        yield


@_bug
def gives_up_at_once(_: World) -> Iterator[None]:
    """One retraining that brought nothing is enough to leave the model to itself."""
    give_up = decision._hopeful

    def hopeless(case: Any) -> Any:
        return give_up(replace(case, policy=replace(case.policy, give_up_after=1)))

    with _replaced(decision, "RULES", {**decision.RULES, "hopeful": hopeless}):
        yield


@_bug
def lease_never_given_back(_: World) -> Iterator[None]:
    """An episode that has ended keeps its model's lease."""
    move = FakeLedger.move

    def keep(self: FakeLedger, episode: Episode, expected: Status) -> bool:
        lease = self._leases.get(episode.model)
        moved = move(self, episode, expected)
        if lease:
            self._leases[episode.model] = lease
        return moved

    with _replaced(FakeLedger, "move", keep):
        yield


@_bug
def episode_per_delivery(_: World) -> Iterator[None]:
    """Each delivery of an event opens an episode of its own."""
    numbers = itertools.count()
    with _replaced(Request, "episode_id", property(lambda _: f"delivery-{next(numbers)}")):
        yield


@_bug
def start_before_claim(_: World) -> Iterator[None]:
    """The pipeline is started first and the episode is claimed afterwards."""
    claim = Starter.handle

    def handle(self: Starter, request: Request) -> Episode:
        model = self.models.get(request.model)
        now = self.clock.now()
        if self.ledger.episode(request.model, request.episode_id) is None and self.decide(model, request, now).start:
            token = f"{request.episode_id}-{now.isoformat()}".ljust(40, "x")
            self.pipelines.start(model.resources.pipeline, {"EpisodeId": request.episode_id}, token)
        return claim(self, request)

    with _replaced(Starter, "handle", handle):
        yield


@_bug
def windows_of_the_attempt(_: World) -> Iterator[None]:
    """The training windows follow the time of the attempt, so a repeated start is another run."""
    launch = Starter._launch

    def late(self: Starter, model: Any, episode: Episode) -> Episode:
        now = self.clock.now()
        launched = launch(self, model, replace(episode, opened_at=now))
        return replace(launched, opened_at=episode.opened_at)

    with _replaced(Starter, "_launch", late):
        yield


@_bug
def errors_swallowed(_: World) -> Iterator[None]:
    """A message that could not be handled is taken as handled."""
    process = batch.process

    def swallow(*arguments: Any) -> dict[str, Any]:
        process(*arguments)
        return {"batchItemFailures": []}

    with _replaced(batch, "process", swallow):
        yield


@_bug
def refusals_unrecorded(_: World) -> Iterator[None]:
    """What is not started is not written down."""
    answer = Starter._answer

    def forget(self: Starter, request: Request, *rest: Any) -> Episode:
        return answer(replace(self, ledger=_Forgetful(self.ledger)), request, *rest)

    with _replaced(Starter, "_answer", forget):
        yield


class _Forgetful:
    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def record(self, _: Episode) -> bool:
        return True


@_bug
def no_budget(_: World) -> Iterator[None]:
    """Nobody counts the retrainings of a day and of a month."""
    with _without("within_day", "within_month"):
        yield


@_bug
def budget_of_requests(_: World) -> Iterator[None]:
    """Budgets count from the request and not from the start, which may be much later."""
    with _replaced(Episode, "begun_at", property(lambda self: self.opened_at)):
        yield


@_bug
def no_cooldown(_: World) -> Iterator[None]:
    """A standing alarm retrains as soon as the last retraining has ended."""
    with _without("cooled_down", "of_this_version"):
        yield


@_bug
def pause_ignored(_: World) -> Iterator[None]:
    """A paused model is retrained."""
    with _without("resumed"):
        yield


@_bug
def broken_feed_learned(_: World) -> Iterator[None]:
    """Retraining starts while the feed is broken."""
    with _without("sound"):
        yield


@_bug
def no_reconciler(world: World) -> Iterator[None]:
    """Nobody looks after what events did not bring about."""
    world.account.reconciles = False
    yield


@_bug
def reconciler_asks_once(_: World) -> Iterator[None]:
    """An alarm that still stands after its answer is not asked about again."""
    with _replaced(reconcile, "alarm_cause", lambda alarm, since, _asked: alarm_cause(alarm, since)):
        yield


@_bug
def reconciler_forgets_claims(_: World) -> Iterator[None]:
    """An episode that was claimed and never started is left alone."""
    resume = Reconciler._resume

    def skip(self: Reconciler, model: Any, episode: Episode) -> str:
        return "" if episode.status is Status.REQUESTED else resume(self, model, episode)

    with _replaced(Reconciler, "_resume", skip):
        yield


@_bug
def rollouts_forgotten(_: World) -> Iterator[None]:
    """Nobody looks after a rollout whose end was not told."""
    with _replaced(Reconciler, "_rolled_out", lambda *_: ""):
        yield


@_bug
def lasting_causes_forgotten(_: World) -> Iterator[None]:
    """Nobody asks for new rows and for changed code."""
    with _replaced(reconcile, "_lasting", lambda *_: ()):
        yield


@_bug
def stopped_runs_forgotten(_: World) -> Iterator[None]:
    """A run that a person stopped is taken as one that still runs."""
    ended, look = Tracker.ended, Tracker.look

    def skip(self: Tracker, arn: str, status: str) -> Episode | None:
        return None if status == "Stopped" else ended(self, arn, status)

    def skip_look(self: Tracker, episode: Episode) -> Episode:
        return episode if self.pipelines.status(episode.pipeline_execution_arn) == "Stopped" else look(self, episode)

    with _replaced(Tracker, "ended", skip), _replaced(Tracker, "look", skip_look):
        yield


@_bug
def in_service_is_success(_: World) -> Iterator[None]:
    """An endpoint in service is taken as a rollout that went well, whatever it serves."""
    changed = Confirmer.changed

    def believe(self: Confirmer, endpoint: str) -> str:
        return changed(replace(self, hosting=_Believing(self.hosting, self.ledger)), endpoint)

    with _replaced(Confirmer, "changed", believe):
        yield


class _Believing:
    def __init__(self, hosting: Any, ledger: Any) -> None:
        self._hosting, self._ledger = hosting, ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hosting, name)

    def endpoint(self, name: str) -> Any:
        state = self._hosting.endpoint(name)
        wanted = self._ledger.deployment(name.removeprefix("driftloop-").replace("-", "_"))
        return replace(state, config=wanted.config) if state and wanted and state.status == "InService" else state


@_bug
def rolled_back_is_retried(_: World) -> Iterator[None]:
    """A rollout that came to nothing is begun again when its decision is heard again."""
    decided = Deployer.decided

    def again(self: Deployer, arn: str) -> str:
        package = self.hosting.package(arn)
        model = package.group.removeprefix("driftloop-").replace("-", "_")
        running = self.ledger.deployment(model)
        state = self.hosting.endpoint(package.group)
        if running and running.package_arn == arn and state and state.status == "InService":
            config = f"{package.group}-v{package.version}"
            if state.config != config:
                self.hosting.prepare(package, self._serving(self.models.get(model), config))
                self.hosting.update(package.group, config, None)  # type: ignore[arg-type]
        return decided(self, arn)

    with _replaced(Deployer, "decided", again):
        yield


@_bug
def approval_unchecked(_: World) -> Iterator[None]:
    """Whatever is decided about a version is taken as its approval."""
    decided = Deployer.decided

    def deploy(self: Deployer, arn: str) -> str:
        return decided(replace(self, hosting=_Approving(self.hosting)), arn)

    with _replaced(Deployer, "decided", deploy):
        yield


class _Approving:
    def __init__(self, hosting: Any) -> None:
        self._hosting = hosting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hosting, name)

    def package(self, arn: str) -> Any:
        return replace(self._hosting.package(arn), approval="Approved")


@_bug
def champion_unrecorded(_: World) -> Iterator[None]:
    """A version that serves is not written down as the champion."""
    with _replaced(Confirmer, "_promote", lambda *_: None):
        yield


@_bug
def way_back_removed(_: World) -> Iterator[None]:
    """The configuration of the version before is deleted as soon as the next one serves."""
    promote = Confirmer._promote

    def remove(self: Confirmer, model: str, deployment: Any, old: Any) -> None:
        promote(self, model, deployment, old)
        if old:
            self.hosting.retire(old.config)

    with _replaced(Confirmer, "_promote", remove):
        yield


@_bug
def shards_per_delivery(_: World) -> Iterator[None]:
    """Each delivery of a capture object counts as another object."""
    numbers = itertools.count()
    with _replaced(Source, "id", property(lambda _: f"delivery-{next(numbers)}")):
        yield


@_bug
def quarantine_lost(_: World) -> Iterator[None]:
    """Records that cannot be read are thrown away."""
    with _replaced(profile_traffic, "quarantine", lambda *_: None):
        yield


PLANTS: Mapping[str, tuple[str, Plant]] = {
    name: (meaning, contextmanager(function)) for name, (meaning, function) in _BUGS.items()
}
"""Name -> what the bug is, and the bug."""
