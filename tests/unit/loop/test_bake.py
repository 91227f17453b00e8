"""Where SageMaker does not take a version back that misbehaves while it bakes, the kit does."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from driftloop.loop.reconcile import PATIENCE
from driftloop.ports import RaisedAlarm, RetryableError, TerminalError
from driftloop.simulation.fakes import FakeModels
from tests.fakes import examples as ex
from tests.unit.loop.world import World

ERRORS = f"{ex.BASE}-errors"
V1, V2 = (f"{ex.GROUP_ARN}/{number}" for number in (1, 2))


def _world(versions: int = 2, mode: str = "serverless") -> World:
    world = World(models=FakeModels(ex.model(serving={"mode": mode, "rollout": {"bake": "10m"}})))
    for version in range(1, versions + 1):
        _approve(world, version)
        _settle(world)
        world.clock.advance(days=int(version < versions))
    return world


def _approve(world: World, version: int) -> None:
    package = ex.package(version)
    world.hosting.add(package)
    world.deployer.decided(package.arn)


def _settle(world: World) -> None:
    world.hosting.settle(ex.BASE)
    world.confirmer.changed(ex.BASE)


def _ring(world: World, minutes: float = 3, name: str = ERRORS) -> str:
    return world.deployer.rang(RaisedAlarm(name, world.clock.now() + timedelta(minutes=minutes), "2 of 3 minutes"))


def _serving(world: World) -> int:
    champion = world.ledger.champion(ex.NAME)
    assert champion
    return champion.version


def test_an_alarm_within_the_bake_time_brings_the_version_before() -> None:
    world = _world()
    assert _ring(world) == f"alarm {ERRORS} rang while version 2 was baking: 2 of 3 minutes"
    assert world.hosting.package(V2).approval == "Rejected"
    world.deployer.decided(V2)  # the registry's event
    _settle(world)
    assert _serving(world) == 1


@pytest.mark.parametrize("minutes", [10, 10.1])
def test_an_alarm_after_the_bake_time_is_for_people(minutes: float) -> None:
    world = _world()
    rejected = "baking" in _ring(world, minutes)
    assert rejected == (minutes <= 10)


def test_an_alarm_from_before_the_rollout_is_not_the_versions_fault() -> None:
    assert "nothing to do" in _ring(_world(), minutes=-1)


def test_a_first_version_has_nothing_to_give_way_to() -> None:
    world = _world(versions=1)
    assert "nothing to do" in _ring(world)
    assert world.hosting.package(V1).approval == "Approved"


def test_other_alarms_and_fleets_that_sagemaker_watches_are_left_alone() -> None:
    assert "nothing to do" in _ring(_world(), name=f"{ex.BASE}-drift")
    assert "nothing to do" in _ring(_world(mode="realtime"))


def test_the_way_back_is_not_taken_back() -> None:
    world = _world()
    _ring(world)
    world.deployer.decided(V2)
    _settle(world)
    assert "nothing to do" in _ring(world)
    assert (_serving(world), world.hosting.package(V1).approval) == (1, "Approved")


def test_an_alarm_that_overtakes_the_end_of_the_rollout_comes_again() -> None:
    world = _world(versions=1)
    world.clock.advance(days=1)
    _approve(world, 2)
    with pytest.raises(RetryableError, match="is on its way"):
        _ring(world)
    _settle(world)
    assert "was baking" in _ring(world)


def test_the_reconciler_does_it_if_the_alarms_event_is_lost() -> None:
    world = _world()
    world.alarms.raise_(ERRORS, world.clock.now() + timedelta(minutes=3), "2 of 3 minutes")
    world.clock.advance(minutes=PATIENCE.total_seconds() / 60)
    assert world.reconciler.reconcile().done == {}, "its event may still come"
    world.clock.advance(hours=1)
    assert "was baking" in world.reconciler.reconcile().done[ex.NAME]
    world.deployer.decided(V2)
    _settle(world)
    world.reconciler.reconcile()
    assert _serving(world) == 1


def test_the_next_version_waits_until_the_last_one_is_baked() -> None:
    world = _world()
    package = ex.package(3)
    world.hosting.add(package)
    world.clock.advance(minutes=10)
    with pytest.raises(RetryableError, match="version 2 is still baking"):
        world.deployer.decided(package.arn)
    world.clock.advance(minutes=1)
    assert "is being rolled out" in world.deployer.decided(package.arn)


def test_a_version_serves_on_if_the_one_before_may_not() -> None:
    world = _world()
    world.hosting.reject(V1, "by a person, long ago")
    assert "nothing to do" in _ring(world)
    world.alarms.raise_(ERRORS, world.clock.now() + timedelta(minutes=3), "2 of 3 minutes")
    world.clock.advance(hours=1)
    world.reconciler.reconcile()
    assert world.hosting.package(V2).approval == "Approved"


@pytest.mark.parametrize(("before", "after"), list(permutations(["realtime", "serverless", "asynchronous"], 2)))
def test_a_mode_that_was_changed_is_refused_before_anything_is(before: str, after: str) -> None:
    world = _world(versions=1, mode=before)
    world.models = FakeModels(ex.model(serving={"mode": after}))
    world.clock.advance(days=1)
    with pytest.raises(TerminalError, match="write the old mode again"):
        _approve(world, 2)
    assert world.hosting.rollouts == []
