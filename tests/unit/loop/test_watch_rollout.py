"""Traffic that arrives while a version is rolled out tells how it answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from driftloop.data.schema import Columns
from driftloop.loop.watch_rollout import RolloutWatch
from driftloop.monitoring.profile import profile_columns
from driftloop.ports import Deployment, TerminalError
from driftloop.promotion.shift import MIN_ROWS
from driftloop.simulation.fakes import FakeModels
from tests.fakes import examples as ex
from tests.unit.loop.world import World

NOON = ex.START + timedelta(days=1, hours=12)
ROLLOUT = replace(ex.deployment(2), started_at=NOON, expected=0.02)


class Watched(World):
    """Version 1 has answered for two days; version 2 is rolled out at noon of the second."""

    def roll_out(self, deployment: Deployment = ROLLOUT) -> None:
        """Record it."""
        assert self.ledger.set_deployment(ex.NAME, deployment, self.ledger.deployment(ex.NAME))

    def score(self, columns: Columns) -> float | None:
        """Of one batch of traffic."""
        watch = RolloutWatch(self.models, self.ledger, self.objects, self.clock, ex.LIVE)
        return watch.score(ex.NAME, profile_columns(ex.baseline().bins, columns, ex.SCHEMA))


@pytest.fixture
def world() -> Watched:
    world = Watched()
    world.serve()
    world.profile(world.captured(ex.traffic(4800, days=2, seed=1)))
    world.roll_out()
    return world


SINCE = ex.traffic(500, NOON, days=0.01, seed=2)
OPPOSITE = {**SINCE, "score": 1 - SINCE["score"]}


def test_a_version_that_answers_as_before_is_below_its_limit(world: Watched) -> None:
    score = world.score(SINCE)
    assert score is not None
    assert 0 < score < 0.6


def test_one_that_answers_otherwise_is_over_it(world: Watched) -> None:
    score = world.score(OPPOSITE)
    assert score is not None
    assert score > 2


def test_the_model_file_says_what_is_tolerated(world: Watched) -> None:
    world.models.replace(ex.model(serving={"rollout": {"tolerance": 0.9}}))
    score = world.score(OPPOSITE)
    assert score is not None
    assert score < 0.6


def test_only_traffic_before_the_rollout_is_compared_with(world: Watched) -> None:
    """From noon to noon: neither what the new version answers nor what was answered two days ago."""
    before = world.score(OPPOSITE)
    late = ex.traffic(4000, NOON, days=0.5, seed=3)
    early = ex.traffic(4000, NOON - timedelta(days=2), days=0.9, seed=4)
    world.profile(world.captured({**late, "score": np.ones(4000)}, "b"), world.captured(early, "c"))
    assert world.score(OPPOSITE) == before


@pytest.mark.parametrize(
    "deployment",
    [
        replace(ROLLOUT, phase="prepared"),
        replace(ROLLOUT, phase="rolled_back"),
        replace(ROLLOUT, phase="done"),
        replace(ROLLOUT, expected=None),
        replace(ROLLOUT, shadow="v2-shadow-of-v1", config="v2-shadow-of-v1"),
    ],
)
def test_nothing_is_said_of_anything_else(world: Watched, deployment: Deployment) -> None:
    world.roll_out(deployment)
    assert world.score(OPPOSITE) is None


def test_nothing_is_said_before_the_first_version_or_after_little_traffic(world: Watched) -> None:
    world.roll_out(replace(ROLLOUT, started_at=NOON + timedelta(days=9)))
    assert world.score(OPPOSITE) is None
    few = {name: values[: MIN_ROWS - 1] for name, values in OPPOSITE.items()}
    world.roll_out()
    assert world.score(few) is None
    new = Watched()
    new.roll_out()
    assert new.score(OPPOSITE) is None


def test_what_the_kit_takes_back_itself_is_watched_while_it_bakes() -> None:
    """The champion's place is taken at once, and its alarms are looked at for the bake time."""
    world = Watched(models=FakeModels(ex.model(serving={"mode": "serverless", "rollout": {"bake": "30m"}})))
    world.serve()
    world.profile(world.captured(ex.traffic(4800, days=2, seed=1)))
    world.roll_out(replace(ROLLOUT, phase="done"))
    world.ledger.set_champion(ex.NAME, ex.champion(2, NOON, ex.champion()))
    world.clock.advance(hours=11, minutes=20)
    score = world.score(OPPOSITE)
    assert score is not None
    assert score > 2
    world.clock.advance(minutes=20)
    assert world.score(OPPOSITE) is None


def test_shards_that_are_none_are_told(world: Watched) -> None:
    world.objects.write(ex.LIVE, f"shards/{ex.NAME}/{ex.baseline().id}/2026-03-03/x.json", b"{}x")
    with pytest.raises(TerminalError, match="holds no shards"):
        world.score(SINCE)
