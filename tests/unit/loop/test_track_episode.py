"""A pipeline has ended, or so an event says."""

from __future__ import annotations

import pytest

from driftloop.loop.track_episode import REJECTION_STEP
from driftloop.ports import RetryableError
from driftloop.retraining.episode import Episode, Status
from driftloop.simulation.fakes import FakeLedger
from tests.fakes import examples as ex
from tests.unit.loop.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def started(world: World) -> Episode:
    return world.in_status(Status.STARTED)


def _ended(world: World, arn: str, status: str = "Succeeded") -> Episode:
    episode = world.end(arn, status)
    assert episode is not None
    return episode


def test_success_makes_a_candidate(world: World, started: Episode) -> None:
    episode = _ended(world, started.pipeline_execution_arn)
    assert episode.status is Status.CANDIDATE
    assert world.episode(started.id) == episode
    assert world.notifier.subjects == [
        "[driftloop] late_train: retraining started",
        "[driftloop] late_train: retraining candidate",
    ]


def test_the_gate_rejects(world: World, started: Episode) -> None:
    arn = started.pipeline_execution_arn
    world.pipelines.failures[arn] = (REJECTION_STEP, "the champion is better by 0.01")
    episode = _ended(world, arn, "Failed")
    assert (episode.status, episode.outcome) == (Status.REJECTED, "the champion is better by 0.01")
    assert world.notifier.subjects[-1] == "[driftloop] late_train: retraining rejected"


@pytest.mark.parametrize(
    ("status", "failure", "outcome"),
    [
        ("Failed", ("Train", "out of memory"), "step Train failed: out of memory"),
        ("Failed", ("", ""), "step unknown failed: no reason given"),
        ("Stopped", ("", ""), "the pipeline was stopped"),
    ],
)
def test_failures_say_what_failed(
    world: World, started: Episode, status: str, failure: tuple[str, str], outcome: str
) -> None:
    world.pipelines.failures[started.pipeline_execution_arn] = failure
    episode = _ended(world, started.pipeline_execution_arn, status)
    assert (episode.status, episode.outcome) == (Status.FAILED, outcome)
    assert episode.closed_at == world.clock.now()


def test_an_event_that_comes_twice_is_told_once(world: World, started: Episode) -> None:
    first = _ended(world, started.pipeline_execution_arn, "Stopped")
    assert _ended(world, started.pipeline_execution_arn, "Stopped") == first
    assert len(world.notifier.messages) == 2


def test_an_end_that_was_overtaken_by_the_rollout_changes_nothing(world: World, started: Episode) -> None:
    approved = started.moved(Status.APPROVED, world.clock.now())
    assert world.ledger.move(approved, Status.STARTED)
    assert _ended(world, started.pipeline_execution_arn) == approved
    rolling = approved.moved(Status.ROLLING_OUT, world.clock.now())
    assert world.ledger.move(rolling, Status.APPROVED)
    assert _ended(world, started.pipeline_execution_arn) == rolling
    assert world.episode(started.id) == rolling


def test_an_event_about_an_execution_that_runs_changes_nothing(world: World, started: Episode) -> None:
    for status in ("Stopped", "Failed", "Succeeded"):
        assert world.tracker.ended(started.pipeline_execution_arn, status) == started
    assert world.episode(started.id) == started


def test_of_an_execution_that_was_deleted_the_event_is_believed(world: World, started: Episode) -> None:
    world.pipelines.started.clear()
    episode = world.tracker.ended(started.pipeline_execution_arn, "Succeeded")
    assert episode is not None
    assert episode.status is Status.CANDIDATE


def test_an_end_that_overtakes_the_record_of_the_start_waits(world: World) -> None:
    claimed = ex.episode(at=world.clock.now())
    world.ledger.claim(claimed, world.clock.now())
    arn = world.pipelines.start(ex.BASE, {}, claimed.token)
    with pytest.raises(RetryableError, match="ended before its start was recorded"):
        world.end(arn, "Succeeded")
    world.starter.handle(ex.request(at=world.clock.now()))
    assert _ended(world, arn).status is Status.CANDIDATE


def test_an_execution_that_was_started_by_hand_is_nobodys(world: World, started: Episode) -> None:
    assert world.end(started.pipeline_execution_arn[:-1] + "z", "Succeeded") is None
    assert world.episode(started.id) == started


def test_a_foreign_pipeline_is_an_error(world: World) -> None:
    with pytest.raises(ValueError, match="not a resource"):
        world.end("arn:aws:sagemaker:eu-central-1:1:pipeline/other/execution/x", "Failed")


class _Raced(FakeLedger):
    """Somebody else moves the episode between the look and the write."""

    def move(self, episode: Episode, expected: Status) -> bool:
        if episode.status is Status.CANDIDATE:
            super().move(ex.episode(at=episode.opened_at).moved(Status.FAILED, ex.START), Status.STARTED)
        return super().move(episode, expected)


def test_a_lost_race_reports_what_is_true(world: World) -> None:
    world.ledger = _Raced()
    started = world.in_status(Status.STARTED)
    assert _ended(world, started.pipeline_execution_arn).status is Status.FAILED
