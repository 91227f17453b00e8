"""The order of the rules: where all of them object, the first one answers; without it the second one; and so on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from driftloop.retraining.decision import RULES, Decision, Policy
from driftloop.retraining.episode import Episode, Status, Trigger
from driftloop.retraining.evidence import Evidence, Pause
from tests.fakes.examples import START
from tests.unit.retraining.cases import DAY, HOUR, POLICY, ask, run, watch


def _vain() -> list[Episode]:
    """Four retrainings of the last day that brought nothing, the last of them half an hour ago."""
    ends = [START - timedelta(minutes=30) - n * HOUR for n in range(4)]
    return [run(Status.REJECTED, end - HOUR, end) for end in ends]


_STRICT = replace(
    POLICY, on=frozenset({Trigger.MANUAL}), cooldown=HOUR, give_up_after=4, new_rows=1, per_day=4, per_month=4,
    cost=1.0, cost_per_month=4.0,
)  # fmt: skip
_BAD_NEWS = Evidence(START, 0, Pause("ann", START, "why"), watch("broken upstream"))


@dataclass(frozen=True)
class _World:
    """All rules object."""

    policy: Policy = _STRICT
    at: datetime = START - 9 * DAY
    evidence: Evidence = _BAD_NEWS
    runs: list[Episode] = field(default_factory=_vain)
    running: tuple[Episode, ...] = (run(Status.STARTED, START - 5 * HOUR),)
    trigger: Trigger = Trigger.SCHEDULE

    def decide(self) -> Decision:
        return ask(
            *self.runs, *self.running, trigger=self.trigger, policy=self.policy, evidence=self.evidence, at=self.at
        )

    def with_policy(self, **changes: object) -> _World:
        return replace(self, policy=replace(self.policy, **changes))  # type: ignore[arg-type]

    def with_evidence(self, **changes: object) -> _World:
        return replace(self, evidence=replace(self.evidence, **changes))  # type: ignore[arg-type]

    def served(self) -> _World:
        """An alarm asks, about the second version."""
        return replace(self.with_evidence(champion_version=2), trigger=Trigger.DRIFT)

    def cooled_down(self) -> _World:
        return replace(self, runs=[replace(r, closed_at=r.closed_at - HOUR) for r in self.runs if r.closed_at])

    def successful(self) -> _World:
        return replace(self, runs=[replace(r, status=Status.PROMOTED) for r in self.runs])


REMEDIES: dict[str, Callable[[_World], _World]] = {
    "wanted": lambda world: world.with_policy(on=frozenset(Trigger)),
    "fresh": lambda world: replace(world, at=START),
    "served": _World.served,
    "resumed": lambda world: world.with_evidence(pause=None),
    "alone": lambda world: replace(world, running=()),
    "sound": lambda world: world.with_evidence(watch=watch("stable")),
    "of_this_version": lambda world: world.with_evidence(champion_since=START - 9 * DAY),
    "hopeful": lambda world: world.with_policy(give_up_after=5),
    "cooled_down": _World.cooled_down,
    "backed_off": _World.successful,
    "learned_enough": lambda world: world.with_policy(new_rows=0),
    "within_day": lambda world: world.with_policy(per_day=5),
    "within_month": lambda world: world.with_policy(per_month=5),
    "affordable": lambda world: world.with_policy(cost_per_month=5.0),
}
"""Rule -> how its objection is met, in the order in which the rules are to be asked."""


def test_this_table_is_about_all_rules_in_their_order() -> None:
    assert list(REMEDIES) == list(RULES)


@pytest.mark.parametrize("place", range(len(REMEDIES)), ids=list(REMEDIES))
def test_the_first_objection_decides(place: int) -> None:
    world = _World()
    for remedy in list(REMEDIES.values())[:place]:
        world = remedy(world)
    rule = list(REMEDIES)[place]
    assert world.decide().rule == rule
    assert REMEDIES[rule](world).decide().rule != rule


def test_when_all_are_met_it_starts() -> None:
    world = _World()
    for remedy in REMEDIES.values():
        world = remedy(world)
    assert world.decide().start


# Successes, which meet the back-off, leave nothing to lose hope about.
@pytest.mark.parametrize("rule", [rule for rule in REMEDIES if rule != "hopeful"])
def test_each_objection_is_enough(rule: str) -> None:
    """All but one are met, and that one decides."""
    world = _World()
    for name, remedy in REMEDIES.items():
        if name != rule:
            world = remedy(world)
    assert world.decide().rule == rule
