"""What happens in one seed, and what a failing one is reduced to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from driftloop.simulation.account import random
from driftloop.simulation.faults import LEVELS, Fault
from driftloop.simulation.invariants import AT_ANY_TIME, Violation, check, state_of
from driftloop.simulation.world import World

TROUBLED = timedelta(hours=36)
"""How long things go wrong."""
CALM = timedelta(hours=6)
"""From then until everything must be in order."""
STEP = timedelta(hours=6)
"""How often the invariants that always hold are checked."""
Plant = Callable[[World], AbstractContextManager[object]]


def no_plant(_: World) -> AbstractContextManager[object]:
    """The code as it is."""
    return nullcontext()


@dataclass(frozen=True)
class Story:
    """How one seed went."""

    seed: int
    violations: tuple[Violation, ...]
    struck: tuple[Fault, ...]
    retrainings: int
    replayed: bool
    told: tuple[str, ...] = field(default=(), compare=False)

    @property
    def faults(self) -> Counter[str]:
        """Faults by kind."""
        return Counter(kind for kind, _, _ in self.struck)


def play(
    seed: int,
    models: int = 3,
    level: str = "default",
    *,
    spared: frozenset[Fault] = frozenset(),
    plant: Plant = no_plant,
    keep_story: bool = False,
) -> Story:
    """Live through one seed; stops at the first check that fails.

    Args:
        level: how often things go wrong: ``none``, ``default`` or ``heavy``.
        spared: faults that do not happen.
        plant: a known bug that is there meanwhile.
    """
    world = World(seed, LEVELS[level], TROUBLED, spared, keep_story=keep_story)
    for number in range(models):
        world.deploy(f"model_{number}", **_settings(random(seed, "settings", number)))
    with world.running(), plant(world):
        for name in world.models:
            _schedule(world, name)
        violations, replayed = _live(world)
    return Story(
        seed, tuple(violations), tuple(world.faults.struck),
        sum(1 for run in world.cloud.executions if run.episode), replayed, tuple(world.told),
    )  # fmt: skip


def _settings(chance: Any) -> dict[str, Any]:
    """The parts of a model file that the controller looks at."""
    extra = chance.choice([{}, {}, {"on": ["drift", "code"]}, {"on": ["quality", "data"], "new_rows": 100},
                           {"on": ["drift", "schedule"], "every": "6h"}])  # fmt: skip
    return {
        "retraining": {
            "on": chance.choice([["drift", "quality"], ["drift", "quality"], ["drift"], ["quality"]]),
            "cooldown": chance.choice(["1h", "3h", "6h"]),
            "give_up_after": chance.choice([2, 5]),
            "budget": {"per_day": chance.choice([1, 2, 4, 8]), "per_month": chance.choice([0, 3, 8, 20])},
            "approval": chance.choice(["auto", "auto", "manual"]),
            **extra,
        },
        "serving": {"rollout": {"shadow": chance.choice([None, None, None, "1h"])}},
    }


def _schedule(world: World, name: str) -> None:
    """What the world has in store for one model."""
    engine, chance, faults = world.engine, world.chance("events", name), world.faults
    engine.after(timedelta(minutes=chance.uniform(0, 30)), lambda: world.first_version(name))
    for _ in range(chance.randint(1, 3)):
        begins, signal, curable = chance.uniform(2, 30), chance.choice(["drift", "quality"]), chance.random() < 0.75
        engine.after(timedelta(hours=begins), partial(world.cloud.trouble, name, signal, curable))
    for _ in range(chance.randint(0, 2)):
        good, bad = chance.randint(1, 4), chance.randint(1, 2) if faults.strikes("poisoned_capture", name) else 0
        engine.after(timedelta(hours=chance.uniform(3, 30)), partial(world.capture, name, good, bad))
    if world.models[name].spec["serving"]["rollout"]["shadow"]:
        engine.every(timedelta(hours=1), partial(world.compare, name))
    if every := world.models[name].spec["retraining"]["every"]:
        engine.every(timedelta(seconds=every), lambda: world.tick(name))
    if chance.random() < 0.3:
        engine.after(timedelta(hours=chance.uniform(4, 30)), lambda: world.redeploy(name))
    if chance.random() < 0.5:
        engine.after(timedelta(hours=chance.uniform(4, 30)), lambda: world.ask(name, "curiosity", f"{name}-asks"))
    if faults.strikes("storm", name):
        for number in range(25):
            when = timedelta(hours=8, minutes=chance.uniform(0, 60))
            engine.after(when, partial(world.ask, name, "to burn money", f"{name}-storm-{number}"))
    if faults.strikes("run_in_console", name):
        engine.after(timedelta(hours=chance.uniform(3, 30)), lambda: world.cloud.run_by_hand(name))
    if faults.strikes("feed_breaks", name):
        begins = chance.uniform(3, 20)
        engine.after(timedelta(hours=begins), lambda: world.break_feed(name))
        engine.after(timedelta(hours=begins + 5), lambda: world.break_feed(name, broken=False))
    if faults.strikes("pause_by_hand", name):
        begins = chance.uniform(3, 20)
        engine.after(timedelta(hours=begins), lambda: world.pause(name))
        engine.after(timedelta(hours=begins + 5), lambda: world.pause(name, paused=False))


def _live(world: World) -> tuple[list[Violation], bool]:
    """(violations, whether the events were replayed)."""
    passed = timedelta(0)
    while passed < TROUBLED:
        world.engine.run(STEP)
        passed += STEP
        if found := check(world, AT_ANY_TIME):
            return found, False
    world.engine.run(CALM)
    if found := check(world):
        return found, False
    return _replay(world)


def _replay(world: World) -> tuple[list[Violation], bool]:
    """I8: every event that was handled comes again, when nothing is under way; (violations, whether it could be done)."""
    # Off the hour, when the reconciler is at work.
    world.engine.run(timedelta(minutes=5))
    for _ in range(12):
        if _idle(world):
            break
        world.engine.run(timedelta(hours=1))
    else:
        return [], False
    before = state_of(world)
    handled = [message for message in world.account.messages if message.fate == "handled"]
    world.account.reconciles = False
    chance = world.chance("replay")
    for message in chance.sample(handled, len(handled)):
        world.account.replay(message, timedelta(minutes=chance.uniform(0, 20)))
    world.engine.run(timedelta(minutes=40))
    if state_of(world) != before:
        return [Violation("I8", "events that came again changed what had been done")], True
    return [], True


def _idle(world: World) -> bool:
    rollouts = [world.ledger.deployment(name) for name in world.models]
    open_episodes = any(not e.status.is_final for name in world.models for e in world.episodes(name))
    running = any(run.ended is None for run in world.cloud.executions)
    states = (world.cloud.hosting.endpoint(model.resources.endpoint) for model in world.models.values())
    waiting = any(message.fate == "waiting" for message in world.account.messages)
    at_work = world.account.at_work
    return not (
        open_episodes
        or any(rollout and rollout.is_open for rollout in rollouts)
        or running
        or waiting
        or at_work
        or any(s and s.status in ("Creating", "Updating") for s in states)
    )


def shrink(story: Story, models: int, level: str, plant: Plant = no_plant) -> Story:
    """The same failure with as few faults as can be found by leaving out ever smaller parts of them.

    Zeller and Hildebrandt, Simplifying and isolating failure-inducing input (2002), in its simplest form.
    """
    names = {violation.invariant for violation in story.violations}
    kept, spared = list(story.struck), frozenset[Fault]()
    size = max(1, len(kept) // 2)
    while True:
        start = 0
        while start < len(kept):
            part = kept[start : start + size]
            tried = play(story.seed, models, level, spared=spared | frozenset(part), plant=plant)
            if names & {violation.invariant for violation in tried.violations}:
                spared |= frozenset(part)
                kept = [fault for fault in tried.struck if fault not in spared]
            else:
                start += size
        if size == 1:
            return play(story.seed, models, level, spared=spared, plant=plant, keep_story=True)
        size //= 2
