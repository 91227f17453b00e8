"""One door: every request starts at most one pipeline, and none is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from driftloop.ports import NotFoundError, RetryableError, TerminalError
from driftloop.retraining.episode import Episode, Request, Status, Trigger
from tests.fakes import FakeLedger
from tests.fakes import examples as ex
from tests.unit.loop.world import World


@pytest.fixture
def world() -> World:
    return World()


def _request(world: World, cause: str = "alarm@1", trigger: Trigger = Trigger.DRIFT) -> Request:
    return ex.request(trigger, cause, world.clock.now())


def test_a_request_starts_a_pipeline(world: World) -> None:
    episode = world.starter.handle(_request(world))
    assert (episode.status, episode.rule) == (Status.STARTED, "start")
    assert world.episode(episode.id) == episode
    pipeline, parameters = world.pipelines.started[episode.pipeline_execution_arn]
    assert pipeline == ex.BASE
    assert parameters == {
        "WindowStart": "2025-12-25T00:00:00Z",
        "WindowEnd": "2026-02-23T00:00:00Z",
        "HoldoutEnd": "2026-03-02T00:00:00Z",
        "EpisodeId": episode.id,
        "Trigger": "drift",
        "ApprovalStatus": "Approved",
    }
    assert world.notifier.subjects == ["[driftloop] late_train: retraining started"]


def test_people_approve_where_the_model_file_says_so(world: World) -> None:
    world.models = type(world.models)(ex.model(retraining={"approval": "manual"}))
    episode = world.starter.handle(_request(world))
    assert world.pipelines.started[episode.pipeline_execution_arn][1]["ApprovalStatus"] == "PendingManualApproval"


def test_a_duplicate_event_starts_one_pipeline(world: World) -> None:
    first = world.starter.handle(_request(world))
    assert world.starter.handle(_request(world)) == first
    assert len(world.pipelines.started) == 1
    assert len(world.notifier.messages) == 1


def test_a_duplicate_after_the_end_changes_nothing(world: World) -> None:
    first = world.starter.handle(_request(world))
    rejected = first.moved(Status.REJECTED, world.clock.now(), "not better")
    world.ledger.move(rejected, Status.STARTED)
    world.clock.advance(days=20)
    assert world.starter.handle(_request(World())) == rejected
    assert len(world.pipelines.started) == 1


def test_of_two_alarms_one_starts(world: World) -> None:
    drift, quality = _request(world, "drift@1"), _request(world, "quality@1", Trigger.QUALITY)
    assert world.starter.handle(drift).status is Status.STARTED
    refused = world.starter.handle(quality)
    assert (refused.status, refused.rule) == (Status.REFUSED, "alone")
    assert world.episode(refused.id) == refused
    assert len(world.pipelines.started) == 1


class _Overtaken(FakeLedger):
    """Another request claims between this one's decision and its claim."""

    def __init__(self, rival: Episode) -> None:
        super().__init__()
        self.rival: Episode | None = rival

    def claim(self, episode: Episode, now: object) -> bool:
        rival, self.rival = self.rival, None
        if rival:
            assert super().claim(rival, ex.START)
        return super().claim(episode, ex.START)


def test_of_two_alarms_at_once_the_loser_comes_back_and_is_refused(world: World) -> None:
    world.ledger = _Overtaken(ex.episode(cause="rival", at=world.clock.now()))
    with pytest.raises(RetryableError, match="came first"):
        world.starter.handle(_request(world))
    assert world.pipelines.started == {}
    assert world.ledger.episode(ex.NAME, _request(world).episode_id) is None
    assert world.starter.handle(_request(world)).rule == "alone"


def test_a_crash_between_claim_and_start_is_made_good(world: World) -> None:
    claimed = ex.episode(at=world.clock.now())
    assert world.ledger.claim(claimed, world.clock.now())
    world.clock.advance(hours=3)
    episode = world.starter.handle(_request(World()))
    assert episode.status is Status.STARTED
    assert len(world.pipelines.started) == 1


def test_a_crash_between_start_and_its_record_starts_nothing_twice(world: World) -> None:
    claimed = ex.episode(at=world.clock.now())
    assert world.ledger.claim(claimed, world.clock.now())
    arn = world.pipelines.start(ex.BASE, {}, claimed.token)
    world.clock.advance(days=1)
    assert world.starter.handle(_request(World())).pipeline_execution_arn == arn
    assert len(world.pipelines.started) == 1


def test_a_retry_asks_for_the_same_windows(world: World) -> None:
    world.pipelines.fault = RetryableError("throttled")
    request = _request(world)
    with pytest.raises(RetryableError, match="throttled"):
        world.starter.handle(request)
    assert world.episode(request.episode_id).status is Status.REQUESTED
    world.clock.advance(days=1)
    episode = world.starter.handle(request)
    assert world.pipelines.started[episode.pipeline_execution_arn][1]["HoldoutEnd"] == "2026-03-02T00:00:00Z"


def test_a_pipeline_that_cannot_start_fails_the_episode_and_frees_the_model(world: World) -> None:
    world.pipelines.fault = TerminalError("no such pipeline")
    failed = world.starter.handle(_request(world))
    assert (failed.status, failed.outcome) == (Status.FAILED, "no such pipeline")
    assert world.notifier.subjects == ["[driftloop] late_train: retraining failed"]
    assert world.starter.handle(_request(world, "by hand", Trigger.MANUAL)).status is Status.STARTED


@pytest.mark.parametrize("trigger", [Trigger.SCHEDULE])
def test_an_unwanted_request_is_refused_and_recorded(world: World, trigger: Trigger) -> None:
    refused = world.starter.handle(_request(world, trigger=trigger))
    assert (refused.status, refused.rule) == (Status.REFUSED, "wanted")
    assert world.episode(refused.id).outcome == "the model file does not retrain on schedule"
    assert world.starter.handle(_request(world, trigger=trigger)) == refused


def test_a_refusal_holds_no_lease(world: World) -> None:
    world.starter.handle(_request(world, trigger=Trigger.SCHEDULE))
    assert world.starter.handle(_request(world, "other")).status is Status.STARTED


def test_a_replayed_old_event_is_refused(world: World) -> None:
    old = replace(_request(world), at=world.clock.now() - timedelta(days=3))
    assert world.starter.handle(old).rule == "fresh"


def test_drift_faked_to_burn_money_meets_the_budget(world: World) -> None:
    for number in range(40):
        episode = world.starter.handle(_request(world, f"alarm@{number}"))
        if episode.status is Status.STARTED:
            world.ledger.move(episode.moved(Status.REJECTED, world.clock.now()), Status.STARTED)
        world.clock.advance(hours=16)
    assert len(world.pipelines.started) == 2  # the model file's budget per month


def test_a_model_that_is_not_deployed(world: World) -> None:
    with pytest.raises(NotFoundError, match="'gone' is not deployed"):
        world.starter.handle(replace(_request(world), model="gone"))
