"""A model that was removed begins anew."""

from __future__ import annotations

import pytest

from driftloop.loop.announce import EPISODE_CHANGED
from driftloop.ports import RetryableError
from driftloop.retraining.episode import Episode, Status
from driftloop.simulation.fakes import FakeLedger
from tests.fakes import examples as ex
from tests.unit.loop.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("status", [Status.STARTED, Status.CANDIDATE, Status.APPROVED, Status.ROLLING_OUT])
def test_what_was_under_way_ends_and_the_history_stays(world: World, status: Status) -> None:
    running = world.in_status(status)
    world.forgetter.forget(ex.NAME)
    ended = world.episode(running.id)
    assert (ended.status, ended.outcome) == (Status.FAILED, "the model was removed")
    assert ended.reason == running.reason


def test_the_first_version_of_the_next_life_is_rolled_out(world: World) -> None:
    world.serve(version=7)
    assert world.ledger.set_deployment(ex.NAME, ex.deployment(7, "done"), None)
    package = ex.package(1)
    world.hosting.add(package)
    assert "not newer than champion 7" in world.deployer.decided(package.arn)
    world.forgetter.forget(ex.NAME)
    world.forgetter.forget(ex.NAME)
    assert "is being rolled out" in world.deployer.decided(package.arn)


def test_a_retraining_may_start_at_once(world: World) -> None:
    world.in_status(Status.STARTED)
    world.forgetter.forget(ex.NAME)
    world.clock.advance(days=4)
    assert world.starter.handle(ex.request(cause="b", at=world.clock.now())).status is Status.STARTED


def test_the_end_is_announced_as_any_other_is(world: World) -> None:
    running = world.in_status(Status.STARTED)
    world.forgetter.forget(ex.NAME)
    kind, detail = world.events.sent[-1]
    assert (kind, detail["episode"], detail["status"]) == (EPISODE_CHANGED, running.id, "failed")
    assert world.notifier.subjects[-1] == "[driftloop] late_train: retraining failed"


class _Moving(FakeLedger):
    """Somebody else moves the episode between the look and the write."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def move(self, episode: Episode, expected: Status) -> bool:
        if episode.status is Status.FAILED and self.times:
            self.times -= 1
            return False
        return super().move(episode, expected)


@pytest.mark.parametrize("times", [2, 4])
def test_an_episode_that_moves_meanwhile_is_not_left_open(world: World, times: int) -> None:
    world.ledger = _Moving(times)
    running = world.in_status(Status.STARTED)
    if times == 4:
        with pytest.raises(RetryableError, match="delete the stack again"):
            world.forgetter.forget(ex.NAME)
        assert world.ledger.busy([ex.NAME]) != {}
    world.forgetter.forget(ex.NAME)
    assert world.episode(running.id).status is Status.FAILED
    assert world.ledger.busy([ex.NAME]) == {}


def test_a_version_that_waits_for_longer_than_decisions_look_back_ends_too(world: World) -> None:
    waiting = world.in_status(Status.CANDIDATE)
    world.clock.advance(days=100)
    world.forgetter.forget(ex.NAME)
    assert world.episode(waiting.id).status is Status.FAILED


def test_other_models_are_left_alone(world: World) -> None:
    running = world.in_status(Status.STARTED)
    world.serve()
    world.forgetter.forget("other_train")
    assert world.ledger.champion(ex.NAME) == ex.champion()
    assert world.episode(running.id) == running
