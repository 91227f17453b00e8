"""What must be true of every story, whatever went wrong in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from driftloop.loop.reconcile import CLOCKS
from driftloop.names import CONFIG_ENDING, ModelNames, is_shadow_config, version_of_config
from driftloop.ports import Model
from driftloop.retraining.decision import ALARMS, LOOK_BACK, Policy
from driftloop.retraining.episode import Episode, Trigger
from driftloop.simulation.account import RECONCILE_EVERY
from driftloop.simulation.cloud import ACCOUNT, Execution
from driftloop.simulation.faults import FUNCTION_TIMEOUT, MAX_SKEW
from driftloop.simulation.oracle import may_start, new_rows
from driftloop.simulation.world import LABELLED_ROWS, World, counted

SETTLED = 2 * RECONCILE_EVERY + timedelta(minutes=50)
"""Two periods of the reconciler, and the time that a pipeline or a rollout takes at most."""
DAY, MONTH, TEN_MINUTES = timedelta(days=1), timedelta(days=30), timedelta(minutes=10)


@dataclass(frozen=True)
class Violation:
    """One invariant that did not hold."""

    invariant: str
    what: str


def _one_retraining_per_cause(world: World) -> Iterator[str]:
    """I1: one run per episode, and never two runs of a model at a time."""
    seen: dict[str, Execution] = {}
    last: dict[str, Execution] = {}
    for run in _own(world):
        if run.episode in seen:
            yield f"{run.model}: episode {run.episode} was started twice"
        seen[run.episode] = run
        before = last.get(run.model)
        if before and (before.ended is None or before.ended > run.begun):
            yield f"{run.model}: two runs at {run.begun:%m-%d %H:%M}"
        last[run.model] = run


def _nothing_is_left_undone(world: World) -> Iterator[str]:
    """I2: no cause that may start a retraining waits, and no episode that could move on stands still."""
    now = world.engine.now
    for name, model in world.models.items():
        policy = Policy.from_spec(model.spec)
        episodes = world.ledger.episodes(name, now - LOOK_BACK)
        for episode in episodes:
            if (
                not episode.status.is_final
                and now - episode.moved_at > _settled(model)
                and not _waits_for_a_person(world, episode.id)
            ):
                yield f"{name}: episode {episode.id} is {episode.status} since {episode.moved_at:%m-%d %H:%M}"
        for cause, since in _causes(world, model, policy, episodes):
            if all(
                since <= then and may_start(world, model, [e for e in episodes if e.opened_at <= then], then)
                for then in (now - step * TEN_MINUTES for step in range(2 * RECONCILE_EVERY // TEN_MINUTES + 2))
            ):
                yield f"{name}: {cause} since {since:%m-%d %H:%M} and nothing was started"


def _settled(model: Model) -> timedelta:
    shadow = model.spec["serving"]["rollout"]["shadow"]
    # Two rollouts instead of one, and the hour in which the comparison is looked at.
    return SETTLED + (timedelta(seconds=shadow, hours=1, minutes=30) if shadow else timedelta(0))


def _causes(world: World, model: Model, policy: Policy, episodes: Sequence[Episode]) -> Iterator[tuple[str, datetime]]:
    """What lasts and asks for a retraining, and since when."""
    for trigger in policy.on & ALARMS:
        if alarm := world.cloud.alarms.standing.get(ModelNames(model.name).alarm(trigger)):
            yield f"{alarm.name} stands", alarm.since
    runs = [episode for episode in episodes if episode.ran]
    if runs and Trigger.CODE in policy.on and runs[-1].revision != model.resources.revision:
        yield (
            f"the code is {model.resources.revision} and the last run used {runs[-1].revision}",
            world.redeployed[model.name],
        )
    if runs and Trigger.DATA in policy.on and new_rows(world, model, runs) >= policy.new_rows + 3 * LABELLED_ROWS:
        yield f"{new_rows(world, model, runs)} labelled rows are new", runs[-1].opened_at


def _waits_for_a_person(world: World, episode: str) -> bool:
    return any(
        package.properties.get("episode_id") == episode and package.approval == "PendingManualApproval"
        for name in world.models
        for package in world.cloud.hosting.versions(ModelNames(name).base)
    )


def _every_row_counts_once(world: World) -> Iterator[str]:
    """I3: captured = counted + quarantined, object by object; one that is a dead letter waits to be sent again."""
    dead = {_key(m.body) for m in world.account.messages if m.queue == "capture" and m.fate != "handled"}
    handled = {_key(m.body) for m in world.account.messages if m.queue == "capture" and m.fate == "handled"}
    found = counted(world)
    for captured in world.captured:
        rows, refused = found[captured.key]
        due = captured.key in handled or captured.key not in dead
        if (rows, refused) != (captured.good, captured.bad) and (due or rows > captured.good or refused > captured.bad):
            yield (
                f"{captured.key}: {captured.good} + {captured.bad} rows were captured, {rows} counted and "
                f"{refused} quarantined"
            )


def _key(body: str) -> str:
    return str(json.loads(body)["Records"][0]["s3"]["object"]["key"])


def _only_what_is_approved_serves(world: World) -> Iterator[str]:
    """I4: an endpoint is told of versions only that somebody has approved and, but for the last minutes, still does."""
    alone: dict[str, str] = {}
    shadowed: set[str] = set()
    for moment, endpoint, config in world.cloud.rollouts:
        arn, serving = _package(config), alone.get(endpoint, "")
        if is_shadow_config(config):
            shadowed.add(endpoint)
        elif config == serving and endpoint in shadowed:
            continue  # its shadow goes, and what serves is the same
        elif (endpoint, config) not in world.cloud.rolled_back:
            alone[endpoint] = config
            shadowed.discard(endpoint)
        since = world.cloud.approved.get(arn)
        if since is None or since > moment:
            yield f"{endpoint} was told at {moment:%m-%d %H:%M} to serve {config}, which nobody had approved"
        withdrawn = world.cloud.rejected.get(arn)
        if withdrawn and moment - withdrawn > FUNCTION_TIMEOUT + timedelta(minutes=2):
            yield f"{endpoint} was told at {moment:%m-%d %H:%M} to serve {config}, which was rejected at {withdrawn:%H:%M}"


def _bad_rollouts_end_well(world: World) -> Iterator[str]:
    """I5: the ledger's champion is what serves, and no version that was rolled back is tried again by itself."""
    for name in world.models:
        endpoint = ModelNames(name).base
        state, champion = world.cloud.hosting.endpoint(endpoint), world.ledger.champion(name)
        told = [moment for moment, who, _ in world.cloud.rollouts if who == endpoint]
        if told and world.engine.now - told[-1] < 3 * RECONCILE_EVERY:
            continue
        if state and state.status == "InService" and (champion is None or champion.config != state.config):
            yield f"{endpoint} serves {state.config} and the ledger says {champion.config if champion else 'nothing'}"
    for endpoint, config in world.cloud.rolled_back:
        times = sum(1 for _, who, what in world.cloud.rollouts if (who, what) == (endpoint, config))
        if times > 1:
            yield f"{endpoint} was told {times} times to serve {config}, which was rolled back"


def _budgets_hold(world: World) -> Iterator[str]:
    """I6: counted on the world's clock; the clocks of two processes may differ by twice the skew."""
    for name, model in world.models.items():
        policy = Policy.from_spec(model.spec)
        begun = [run.begun for run in _own(world) if run.model == name]
        for period, budget in ((DAY, policy.per_day), (MONTH, policy.per_month)):
            for number, moment in enumerate(begun):
                inside = [
                    other for other in begun[number:] if other - moment < period - 2 * MAX_SKEW - FUNCTION_TIMEOUT
                ]
                if len(inside) > budget:
                    yield f"{name}: {len(inside)} runs within {period} of {moment:%m-%d %H:%M}, the budget is {budget}"
                    break


def _nothing_starts_when_it_must_not(world: World) -> Iterator[str]:
    """I6, too: no run by itself in a cooldown, none at all while a person has paused the model or its feed is broken."""
    for name, model in world.models.items():
        policy = Policy.from_spec(model.spec)
        before: datetime | None = None
        for run in (run for run in _own(world) if run.model == name):
            episode = world.ledger.episode(name, run.episode)
            by_hand = episode is None or episode.trigger is Trigger.MANUAL
            if before and not by_hand and run.begun - before < policy.cooldown - CLOCKS:
                yield f"{name}: a run at {run.begun:%m-%d %H:%M}, {run.begun - before} after the last one's end"
            before = run.ended or run.begun
        for who, why, since, until in world.still:
            for run in _own(world):
                opened = world.ledger.episode(run.model, run.episode)
                decided = opened.opened_at if opened else run.begun
                if (
                    who == name == run.model
                    and since + CLOCKS < decided
                    and (until is None or decided < until - CLOCKS)
                ):
                    yield f"{name}: a run at {run.begun:%m-%d %H:%M} in spite of the {why} since {since:%H:%M}"


def _the_way_back_is_kept(world: World) -> Iterator[str]:
    """I5, too: what serves and what served before can be served, and no older version follows a newer one."""
    for name in world.models:
        champion, plans = world.ledger.champion(name), world.cloud.hosting.plans
        for kept in (champion, champion.previous) if champion else ():
            if kept and kept.config not in plans:
                yield f"{name}: the configuration {kept.config} is gone"
        told = [(moment, config) for moment, who, config in world.cloud.rollouts if who == ModelNames(name).base]
        for (_, before), (moment, after) in pairwise(told):
            undone = (
                (ModelNames(name).base, before) in world.cloud.rolled_back
                or _was_rejected(world, before, moment)
                or _package(before) in world.cloud.hosting.rejected
            )
            if version_of_config(after) < version_of_config(before) and not undone:
                yield f"{name}: the endpoint was told of {after} after {before}"


def _package(config: str) -> str:
    """ARN of the version that a configuration serves."""
    return f"{ACCOUNT}:model-package/{re.sub(CONFIG_ENDING, '', config)}/{version_of_config(config)}"


def _was_rejected(world: World, config: str, by: datetime) -> bool:
    """True if a person had rejected the version by then, whatever somebody decided later."""
    return any(moment <= by for moment in world.cloud.rejections.get(_package(config), ()))


def _no_event_vanishes(world: World) -> Iterator[str]:
    """I7: what reached a queue was handled or is a dead letter, and a request that was handled is in the ledger."""
    for message in world.account.messages:
        if message.fate == "waiting" and world.engine.now - message.sent > DAY:
            yield f"{message.queue} {message.id} has had no end since {message.sent:%m-%d %H:%M}"
        if message.queue == "retraining" and message.fate == "handled":
            name, episode = world.asked(message)
            if episode and world.ledger.episode(name, episode) is None:
                yield f"{name}: {message.id} was handled and no episode {episode} is known"


def _everything_has_a_reason(world: World) -> Iterator[str]:
    """I9: each answer names its rule and says why, and each run belongs to an episode."""
    for name in world.models:
        for episode in world.episodes(name):
            if not (episode.rule and (episode.reason or episode.outcome)):
                yield f"{name}: episode {episode.id} has no reason"
            if not episode.ran and not episode.outcome:
                yield f"{name}: episode {episode.id} was {episode.status} without a reason"
    for run in _own(world):
        if world.ledger.episode(run.model, run.episode) is None:
            yield f"{run.model}: run {run.arn[-6:]} belongs to no episode"


INVARIANTS: Mapping[str, Callable[[World], Iterator[str]]] = {
    "I1": _one_retraining_per_cause,
    "I2": _nothing_is_left_undone,
    "I3": _every_row_counts_once,
    "I4": _only_what_is_approved_serves,
    "I5": _bad_rollouts_end_well,
    "I5 way back": _the_way_back_is_kept,
    "I6": _budgets_hold,
    "I6 still": _nothing_starts_when_it_must_not,
    "I7": _no_event_vanishes,
    "I9": _everything_has_a_reason,
}
"""I8, that a replay changes nothing, is checked by replaying; see driftloop.simulation.story."""
AT_ANY_TIME = ("I1", "I4", "I6", "I6 still", "I9")
"""Invariants that hold in the middle of the faults, too."""


def check(world: World, names: tuple[str, ...] | None = None) -> list[Violation]:
    """Violations of some invariants, of all if none are named."""
    return [
        Violation(name, what)
        for name, holds in INVARIANTS.items()
        if names is None or name in names
        for what in holds(world)
    ]


def _own(world: World) -> list[Execution]:
    """Runs that the kit started, in order."""
    return [run for run in world.cloud.executions if run.episode]


def state_of(world: World) -> tuple[object, ...]:
    """What a replay must not change."""
    return (
        len(world.cloud.executions),
        tuple(world.cloud.rollouts),
        tuple((name, tuple(world.episodes(name)), world.ledger.champion(name)) for name in world.models),
        tuple(counted(world).items()),
    )
