"""A version is on its way: what it answers is compared with what was answered before."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from driftloop.data.records import capture_key
from driftloop.loop.watch_rollout import APART, AT_ONCE, OBJECTS, ROWS, SAMPLES, Look, RolloutWatch
from driftloop.ports import Deployment
from driftloop.promotion.shift import MIN_ROWS
from driftloop.simulation.fakes import FakeModels
from tests.fakes import examples as ex
from tests.unit.loop.world import World

NOON = ex.START + timedelta(days=10, hours=12)
ROLLOUT = replace(ex.deployment(2), started_at=NOON)
EVALUATION = f"evaluations/{ex.NAME}/2/evaluation.json"


class Watched(World):
    """Version 1 has answered for weeks, 120 rows an hour; version 2 is rolled out at noon."""

    def capture(self, at: datetime, rows: int = 120, wrong: bool = False, event: str = "") -> None:
        """A capture object."""
        columns = ex.traffic(rows, at, days=0.01, seed=int(at.timestamp()) % 10_000)
        if wrong:
            columns["score"] = 1 - columns["score"]
        key = capture_key("capture", ex.BASE, "AllTraffic", at, event or f"e{at:%H%M%S}")
        self.objects.write(ex.LIVE, key, ex.capture(columns))

    def evaluate(self, content: object) -> None:
        """The gate has written something."""
        self.objects.write(ex.ARTIFACTS, EVALUATION, json.dumps(content).encode())

    def roll_out(self, deployment: Deployment = ROLLOUT) -> None:
        """Record it."""
        assert self.ledger.set_deployment(ex.NAME, deployment, self.ledger.deployment(ex.NAME))

    def look(self) -> Look | None:
        """Ten minutes into the rollout, or whenever it is."""
        watch = RolloutWatch(self.models, self.ledger, self.hosting, self.objects, self.clock, ex.LIVE)
        look = watch.look(ex.BASE)
        while look and "still to be read" in look.reason:
            look = watch.look(ex.BASE)
        return look

    @property
    def score(self) -> float | None:
        """Of a look at a version that is on its way."""
        look = self.look()
        assert look is not None
        return look.score


def _world(minute: int = 31, event: str = "", **parts: object) -> Watched:
    world = Watched(models=FakeModels(ex.model(**parts)))
    world.serve()
    for back in range(SAMPLES):
        world.capture((NOON - APART * (back + 1) - timedelta(hours=1)).replace(minute=minute), event=event)
    package = ex.package(2)
    world.hosting.add(ex.package(1))
    uri = f"s3://{ex.ARTIFACTS}/{EVALUATION}"
    world.hosting.add(replace(package, properties={**package.properties, "evaluation_uri": uri}))
    world.evaluate({"difference": 0.02, "champion": {"model_data_url": ex.package(1).model_data_url}})
    world.roll_out()
    world.clock.advance(days=9, hours=11, minutes=10)
    assert world.clock.now() == NOON + timedelta(minutes=10)
    return world


@pytest.fixture
def world() -> Watched:
    return _world()


def test_a_version_that_answers_as_before_is_below_its_limit(world: Watched) -> None:
    world.capture(NOON + timedelta(minutes=3))
    look = world.look()
    assert look
    assert look.score is not None
    assert 0 < look.score < 0.6
    assert look.reason.startswith("version 2 is updating: 120 predictions are 0.0")


def test_one_that_answers_otherwise_is_over_it(world: Watched) -> None:
    world.capture(NOON + timedelta(minutes=3), wrong=True)
    assert world.score
    assert world.score > 2


def test_one_whose_answers_are_no_probabilities_is_over_it(world: Watched) -> None:
    at = NOON + timedelta(minutes=3)
    columns = ex.traffic(120, at, days=0.01)
    columns["score"] = np.full(120, 17.5)
    world.objects.write(ex.LIVE, capture_key("capture", ex.BASE, "AllTraffic", at, "e"), ex.capture(columns))
    assert world.score
    assert world.score > 5


def test_the_model_file_says_what_is_tolerated(world: Watched) -> None:
    world.capture(NOON + timedelta(minutes=3), wrong=True)
    world.models.replace(ex.model(serving={"rollout": {"tolerance": 0.9}}))
    assert world.score
    assert world.score < 0.6


def test_only_the_latest_answers_since_the_rollout_began_are_judged(world: Watched) -> None:
    """The old fleet answered before, and still does at first; files are other rows."""
    world.capture(NOON - timedelta(seconds=2), 2000, wrong=True)
    world.capture(NOON + timedelta(minutes=8), 2000, wrong=True, event=f"{'0123456789ab' * 2}-0")
    assert world.score is None
    world.capture(NOON + timedelta(minutes=1), 2000)
    sound = world.score
    assert sound
    assert sound < 1
    world.capture(NOON + timedelta(minutes=9), 2000, wrong=True)
    wrong = world.score
    assert wrong
    assert wrong > 2


def test_requests_of_one_row_are_read_together_up_to_a_number(world: Watched) -> None:
    """As mode serverless captures them."""
    for number in range(OBJECTS + 10):
        world.capture(NOON + timedelta(minutes=6, seconds=number / 10), 1, event=f"e{number}")
    look = world.look()
    assert look
    assert f": {OBJECTS} predictions are" in look.reason


def test_large_captures_are_read_as_far_as_needed(world: Watched) -> None:
    world.capture(NOON + timedelta(minutes=2), 3 * ROWS)
    look = world.look()
    assert look
    assert f": {ROWS} predictions are" in look.reason


def test_what_the_old_fleet_answered_is_left_out_if_there_is_enough_of_late(world: Watched) -> None:
    for minute in range(9):
        world.capture(NOON + timedelta(minutes=minute), 30, wrong=minute > 4)
    look = world.look()
    assert look
    assert ": 120 predictions are" in look.reason
    assert look.score
    assert look.score > 1


def test_a_look_reads_a_few_hours_of_the_week(world: Watched) -> None:
    watch = RolloutWatch(world.models, world.ledger, world.hosting, world.objects, world.clock, ex.LIVE)
    look = watch.look(ex.BASE)
    assert look == Look(
        None, f"version 2 is updating: {SAMPLES - AT_ONCE} hours of the week before are still to be read"
    )


def test_asynchronous_answers_are_named_as_files_and_judged_all_the_same() -> None:
    name = f"{'0123456789ab' * 2}-0"
    world = _world(event=name, serving={"mode": "asynchronous"})
    world.capture(NOON + timedelta(minutes=3), wrong=True, event=name)
    assert world.score
    assert world.score > 2


def test_quiet_hours_are_read_whole() -> None:
    world = _world(minute=55)
    world.capture(NOON + timedelta(minutes=3))
    assert world.score is not None


@pytest.mark.parametrize(
    ("evaluation", "why"),
    [
        ({"difference": 0.02, "champion": {"model_data_url": "s3://other"}}, "has not compared it with version 1"),
        ({"difference": None, "champion": {"model_data_url": "x"}}, "has not compared"),
        ({"champion": None}, "has not compared"),
        ([], "has not compared"),
        (
            {"difference": float("nan"), "champion": {"model_data_url": ex.package(1).model_data_url}},
            "has not compared",
        ),
    ],
)
def test_without_a_comparison_nothing_is_said(world: Watched, evaluation: object, why: str) -> None:
    world.capture(NOON + timedelta(minutes=3), wrong=True)
    world.evaluate(evaluation)
    look = world.look()
    assert look
    assert look.score is None
    assert why in look.reason


def test_what_is_too_little_is_told(world: Watched) -> None:
    world.capture(NOON + timedelta(minutes=3), MIN_ROWS - 1, wrong=True)
    look = world.look()
    assert look
    assert "99 answers since the rollout began are too few" in look.reason
    world.ledger.set_champion(ex.NAME, ex.champion(since=NOON - timedelta(days=3)))
    world.roll_out(replace(ROLLOUT, started_at=NOON + timedelta(seconds=1)))
    look = world.look()
    assert look
    assert "too little traffic of version 1" in look.reason


@pytest.mark.parametrize(
    "deployment",
    [
        replace(ROLLOUT, phase="rolled_back"),
        replace(ROLLOUT, phase="done"),
        replace(ROLLOUT, phase="shadowing", shadow="v2-shadow-of-v1", config="v2-shadow-of-v1"),
        replace(ROLLOUT, shadow="v2-shadow-of-v1", config="v2-shadow-of-v1"),
        replace(ROLLOUT, instead_of=f"{ex.GROUP_ARN}/3"),
    ],
)
def test_there_is_nothing_to_look_at_otherwise(world: Watched, deployment: Deployment) -> None:
    world.roll_out(deployment)
    assert world.look() is None


def test_it_waits_for_the_endpoint_to_be_told_and_for_a_version_before(world: Watched) -> None:
    world.roll_out(replace(ROLLOUT, phase="prepared"))
    assert world.look() == Look(None, "version 2 is prepared for its rollout")
    world.clock.advance(hours=1)
    assert world.look() is None
    new = Watched()
    assert new.look() is None
    new.roll_out()
    assert new.look() == Look(None, "version 2 is updating and there is none before it")


def test_a_version_without_an_entry_in_the_registry_is_not_judged(world: Watched) -> None:
    world.roll_out(replace(ROLLOUT, package_arn=f"{ex.GROUP_ARN}/9"))
    assert world.look() == Look(None, "version 2 is updating: it is not in the registry")


def test_what_the_kit_takes_back_itself_is_watched_while_it_bakes() -> None:
    """Its place is taken at once, and its alarms are looked at for the bake time."""
    world = _world(serving={"mode": "serverless", "rollout": {"bake": "30m"}})
    world.capture(NOON + timedelta(minutes=3), wrong=True)
    world.roll_out(replace(ROLLOUT, phase="done"))
    world.ledger.set_champion(ex.NAME, ex.champion(2, NOON, ex.champion()))
    assert world.score
    assert world.score > 2
    world.clock.advance(minutes=30)
    assert world.look() is None
