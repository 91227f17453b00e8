"""A version that serves and is rejected gives way to the one before, until that one serves or a person is needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from driftloop.loop.reconcile import APPROVALS_A_PASS, PATIENCE, _in_turn
from driftloop.ports import NotFoundError, RetryableError, RolloutPlan
from tests.fakes import examples as ex
from tests.unit.loop.world import World

V1, V2, V3 = (f"{ex.GROUP_ARN}/{number}" for number in (1, 2, 3))
CONFIG_1, CONFIG_2 = f"{ex.BASE}-v1", f"{ex.BASE}-v2"


@pytest.fixture
def world() -> World:
    """Version 2 serves, and version 1 did before."""
    world = World()
    for version in (1, 2):
        _serve(world, version)
    world.notifier.messages.clear()
    return world


def _serve(world: World, version: int) -> None:
    package = ex.package(version)
    world.hosting.add(package)
    world.deployer.decided(package.arn)
    _settle(world)


def _settle(world: World, failure: str = "", **more: str) -> str:
    world.hosting.settle(ex.BASE, failure=failure, **more)
    return world.confirmer.changed(ex.BASE)


def _reject(world: World, version: int = 2, reason: str = "it answers nonsense") -> str:
    world.hosting.add(replace(ex.package(version, approval="Rejected"), approval_reason=reason))
    return world.deployer.decided(f"{ex.GROUP_ARN}/{version}")


def _delete(world: World, arn: str) -> None:
    del world.hosting._packages[arn]  # people delete versions, never the kit


def _serving(world: World) -> tuple[int, str]:
    champion, state = world.ledger.champion(ex.NAME), world.hosting.endpoint(ex.BASE)
    assert champion
    assert state
    return champion.version, state.config


def test_the_version_before_takes_its_place(world: World) -> None:
    assert _reject(world) == f"version 1 is being rolled out to {ex.BASE}"
    # At once and without alarms: those that ring for version 2 must not stop the way back from it.
    assert world.hosting.rollouts[-1] == (CONFIG_1, RolloutPlan(100, 0, ()))
    assert _settle(world) == "version 1 serves"
    assert _serving(world) == (1, CONFIG_1)
    champion = world.ledger.champion(ex.NAME)
    assert champion
    assert champion.baseline_uri == ex.BASELINE_URI
    assert world.notifier.subjects == [f"[driftloop] {ex.NAME}: version 1 serves"]
    assert CONFIG_1 in world.hosting.plans, "what serves is not cleared away"
    # Windows that have ended before are still those of the version that served them.
    assert champion.at(champion.since).version == 2


def test_a_rejection_that_comes_twice_goes_back_once(world: World) -> None:
    _reject(world)
    assert "has been told to go back to version 1" in world.deployer.decided(V2)
    _settle(world)
    assert "neither serves" in world.deployer.decided(V2)
    assert len(world.hosting.rollouts) == 2


def test_the_next_version_follows_and_the_rejected_one_is_cleared_away(world: World) -> None:
    _reject(world)
    _settle(world)
    _serve(world, 3)
    assert _serving(world)[0] == 3
    assert set(world.hosting.plans) == {CONFIG_1, f"{ex.BASE}-v3"}
    assert "version 1 is being rolled out" in _reject(world, 3), "not the one that was rejected before"


def test_it_can_be_approved_again(world: World) -> None:
    _reject(world)
    _settle(world)
    _serve(world, 2)
    assert _serving(world) == (2, CONFIG_2)


def test_a_first_version_serves_on_and_people_are_told(world: World) -> None:
    world = World()
    _serve(world, 1)
    assert "it serves on: no version served before it" in _reject(world, 1)
    assert world.notifier.subjects[-1] == f"[driftloop] {ex.NAME}: rejected version 1 serves on"
    assert _serving(world) == (1, CONFIG_1)


def test_there_is_no_way_back_to_what_may_not_serve(world: World) -> None:
    world.hosting.add(ex.package(1, approval="Rejected"))
    assert "it serves on: version 1, which served before it, is Rejected" in _reject(world)
    _delete(world, V1)
    assert "which served before it, was deleted" in world.deployer.decided(V2)
    assert _serving(world) == (2, CONFIG_2)


def test_a_rejection_during_its_own_rollout_waits_for_the_end(world: World) -> None:
    world.hosting.add(ex.package(3))
    world.deployer.decided(V3)
    with pytest.raises(RetryableError, match="version 3 is being rolled out"):
        _reject(world, 3)
    _settle(world)
    assert "version 2 is being rolled out" in world.deployer.decided(V3)


def test_the_way_back_waits_for_another_rollout(world: World) -> None:
    world.hosting.add(ex.package(3))
    world.deployer.decided(V3)
    with pytest.raises(RetryableError, match="version 3 is on its way; the way back from 2 waits"):
        _reject(world)
    _settle(world, failure="an alarm rang")
    assert "version 1 is being rolled out" in world.deployer.decided(V2)


def test_a_way_back_that_fails_is_tried_until_it_succeeds(world: World) -> None:
    _reject(world)
    assert "the way back to version 1 failed and is tried again" in _settle(world, failure="no capacity")
    assert world.notifier.subjects == [f"[driftloop] {ex.NAME}: rejected version 2 serves on"]
    assert world.hosting.package(V1).approval == "Approved"
    world.reconciler.reconcile()
    assert len(world.hosting.rollouts) == 2, "not at once"
    world.clock.advance(minutes=PATIENCE / timedelta(minutes=1))
    world.reconciler.reconcile()
    assert world.hosting.rollouts[-1][0] == CONFIG_1
    assert _settle(world) == "version 1 serves"
    assert _serving(world) == (1, CONFIG_1)


def test_a_rejection_whose_event_is_lost_is_followed_by_the_next_pass(world: World) -> None:
    world.hosting.add(ex.package(2, approval="Rejected"))
    assert V2 in world.reconciler.reconcile().done[ex.NAME]
    assert _settle(world) == "version 1 serves"
    assert world.reconciler.reconcile().done == {}


@pytest.mark.parametrize("gone", [V1, V2])
def test_a_pass_asks_for_no_way_back_that_there_is_not(world: World, gone: str) -> None:
    world.hosting.add(ex.package(2, approval="Rejected"))
    _delete(world, gone)
    found = world.reconciler.reconcile()
    assert (found.done, found.failed, world.notifier.messages) == ({}, {}, [])


def test_every_model_has_its_turn() -> None:
    names = [f"m{number}" for number in range(3 * APPROVALS_A_PASS - 7)]
    hours = [_in_turn(names, ex.START + timedelta(hours=hour)) for hour in range(6)]
    assert max(map(len, hours)) <= APPROVALS_A_PASS
    assert hours[:3] == hours[3:]
    assert frozenset().union(*hours[:3]) == frozenset(names)
    assert _in_turn(names[:3], ex.START) == frozenset(names[:3])
    assert _in_turn([], ex.START) == frozenset()


def test_a_failed_endpoint_is_replaced_by_one_with_the_version_before(world: World) -> None:
    _reject(world)
    _settle(world, failure="no capacity", status="Failed")
    world.clock.advance(minutes=PATIENCE / timedelta(minutes=1))
    world.reconciler.reconcile()
    assert _settle(world) == "version 1 serves"


def test_an_approval_ends_a_way_back_of_which_the_endpoint_has_not_heard(world: World) -> None:
    _reject(world)
    _settle(world, failure="no capacity")
    world.hosting.add(ex.package(2))
    assert "nothing to do" in world.deployer.decided(V2)
    world.clock.advance(minutes=PATIENCE / timedelta(minutes=1))
    world.reconciler.reconcile()
    assert _serving(world) == (2, CONFIG_2)
    assert len(world.hosting.rollouts) == 2


def test_a_rejected_version_that_is_deleted_meanwhile_ends_the_way_back(world: World) -> None:
    _reject(world)
    _settle(world, failure="no capacity")
    _delete(world, V2)
    with pytest.raises(NotFoundError):
        world.deployer.decided(V2)
    world.clock.advance(minutes=PATIENCE / timedelta(minutes=1))
    world.reconciler.reconcile()
    deployment = world.ledger.deployment(ex.NAME)
    assert deployment
    assert not deployment.is_open
