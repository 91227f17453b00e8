"""One door: every request starts at most one pipeline, and none is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from driftloop.ports import NotFoundError, RetryableError, TerminalError
from driftloop.retraining.episode import Episode, Request, Status, Trigger
from driftloop.retraining.evidence import Pause
from driftloop.simulation.fakes import FakeLedger, FakeModels
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
    world.models = FakeModels(ex.model(retraining={"approval": "manual"}))
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
    merged = world.starter.handle(quality)
    assert (merged.status, merged.rule, merged.into) == (Status.MERGED, "alone", drift.episode_id)
    assert world.episode(merged.id) == merged
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


def test_of_two_alarms_at_once_the_loser_comes_back_and_is_merged(world: World) -> None:
    world.ledger = _Overtaken(ex.episode(cause="rival", at=world.clock.now()))
    with pytest.raises(RetryableError, match="came first"):
        world.starter.handle(_request(world))
    assert world.pipelines.started == {}
    assert world.ledger.episode(ex.NAME, _request(world).episode_id) is None
    merged = world.starter.handle(_request(world))
    assert (merged.status, merged.rule) == (Status.MERGED, "alone")
    assert world.pipelines.started == {}


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


def test_a_version_that_waits_for_a_person_is_never_forgotten(world: World) -> None:
    waiting = world.in_status(Status.CANDIDATE)
    for days in (80, 20, 100):
        world.clock.advance(days=days)
        answer = world.starter.handle(ex.request(cause=str(days), at=world.clock.now()))
        assert (answer.status, answer.rule, answer.into) == (Status.MERGED, "alone", waiting.id)


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


def test_what_is_too_early_is_put_off_and_the_time_is_recorded(world: World) -> None:
    first = world.starter.handle(_request(world))
    world.ledger.move(first.moved(Status.REJECTED, world.clock.now()), Status.STARTED)
    world.clock.advance(days=1)
    deferred = world.starter.handle(_request(world, "alarm@2"))
    until = world.clock.now() + timedelta(days=2)
    assert (deferred.status, deferred.rule, deferred.until) == (Status.DEFERRED, "cooled_down", until)
    assert deferred.outcome == "cooldown after the last episode until 2026-03-06T01:00:00Z"
    assert world.episode(deferred.id) == deferred
    assert world.starter.handle(_request(world, "alarm@2")) == deferred
    world.clock.time = until
    assert world.starter.handle(_request(world, "alarm@3")).status is Status.STARTED


def test_a_schedule_that_is_too_early_is_refused_as_nobody_asks_again(world: World) -> None:
    world.models = FakeModels(ex.model(retraining={"on": ["schedule"], "every": "1d"}))
    world.serve()
    first = world.starter.handle(_request(world, trigger=Trigger.MANUAL))
    world.ledger.move(first.moved(Status.REJECTED, world.clock.now()), Status.STARTED)
    refused = world.starter.handle(_request(world, "monday", Trigger.SCHEDULE))
    assert (refused.status, refused.rule) == (Status.REFUSED, "cooled_down")
    assert refused.until == world.clock.now() + timedelta(days=3)


def test_a_schedule_does_not_ask_for_the_first_version(world: World) -> None:
    """It fires as soon as it is deployed, when nobody has brought any rows yet."""
    world.models = FakeModels(ex.model(retraining={"on": ["drift", "schedule"], "every": "1d"}))
    refused = world.starter.handle(_request(world, "first", Trigger.SCHEDULE))
    assert (refused.status, refused.rule) == (Status.REFUSED, "served")
    world.serve()
    assert world.starter.handle(_request(world, "second", Trigger.SCHEDULE)).status is Status.STARTED


def test_a_pause_stops_everybody_until_it_ends(world: World) -> None:
    world.ledger.set_pause(ex.NAME, Pause("ann", world.clock.now(), "stock-taking"))
    for number, trigger in enumerate((Trigger.DRIFT, Trigger.MANUAL)):
        refused = world.starter.handle(_request(world, str(number), trigger))
        assert (refused.status, refused.rule) == (Status.REFUSED, "resumed")
        assert "paused by ann" in refused.outcome
    other = replace(_request(world), model="other_train")
    assert world.starter.handle(other).status is Status.STARTED
    world.ledger.set_pause(ex.NAME, None)
    assert world.starter.handle(_request(world, "after")).status is Status.STARTED


def test_an_alarm_that_is_older_than_its_champion_waits(world: World) -> None:
    world.ledger.set_champion(ex.NAME, ex.champion(4, since=world.clock.now() - timedelta(days=1)))
    deferred = world.starter.handle(_request(world))
    assert (deferred.status, deferred.rule) == (Status.DEFERRED, "of_this_version")
    assert deferred.outcome == "the alarm may tell of windows before version 4 until 2026-03-06T02:00:00Z"
    assert world.starter.handle(_request(world, "by hand", Trigger.MANUAL)).status is Status.STARTED


def test_an_episode_keeps_who_asked_and_what_was_trained(world: World) -> None:
    model = ex.model()
    world.models = FakeModels(replace(model, resources=replace(model.resources, revision="a1b2c3")))
    asked = replace(_request(world), by="arn:aws:iam::123456789012:user/ann")
    episode = world.starter.handle(asked)
    assert (episode.by, episode.revision) == (asked.by, "a1b2c3")
    assert world.episode(episode.id) == episode
    merged = world.starter.handle(replace(asked, cause="again"))
    assert (merged.by, merged.revision) == (asked.by, "")


@pytest.mark.parametrize("days", [-2, -1, 1, 2])
def test_a_late_or_early_request_counts_from_its_decision(world: World, days: int) -> None:
    """Budgets and windows go by this clock and not by the one of whoever asked."""
    asked = replace(_request(world), at=world.clock.now() + timedelta(days=days))
    episode = world.starter.handle(asked)
    assert (episode.opened_at, episode.begun_at) == (world.clock.now(), world.clock.now())
    _, parameters = world.pipelines.started[episode.pipeline_execution_arn]
    assert parameters["HoldoutEnd"] == "2026-03-02T00:00:00Z"


def test_requests_that_are_delivered_late_do_not_get_around_the_budget_of_a_day(world: World) -> None:
    world.models = FakeModels(ex.model(retraining={"cooldown": "0h", "budget": {"per_day": 2, "per_month": 30}}))
    for number in range(8):
        late = replace(_request(world, str(number), Trigger.MANUAL), at=world.clock.now() - timedelta(hours=25))
        episode = world.starter.handle(late)
        if episode.status is Status.STARTED:
            world.ledger.move(episode.moved(Status.REJECTED, world.clock.now()), Status.STARTED)
        world.clock.advance(hours=1)
    assert len(world.pipelines.started) == 2


def test_asking_what_would_happen_changes_nothing(world: World) -> None:
    model = world.models.get(ex.NAME)
    for _ in range(2):
        assert world.starter.decide(model, _request(world), world.clock.now()).start
    assert world.ledger.episodes(ex.NAME, ex.START) == []
    assert (world.events.sent, world.pipelines.started) == ([], {})


@pytest.mark.parametrize(("budget", "reason"), [
    ({"per_month": 0}, "the model file's budget is 0 retrainings in 30 days"),
    ({"per_day": 0}, "the model file's budget is 0 retrainings in a day"),
    (
        {"cost": 3.0, "cost_per_month": 0.0},
        "0 retrainings in 30 days cost about 0.00; one more for 3.00 exceeds 0.00",
    ),
])  # fmt: skip
@pytest.mark.parametrize("trigger", [Trigger.DRIFT, Trigger.MANUAL])
def test_a_budget_of_zero_lets_nobody_retrain_and_says_so(
    world: World, budget: dict[str, float], reason: str, trigger: Trigger
) -> None:
    world.models = FakeModels(ex.model(retraining={"budget": budget}))
    refused = world.starter.handle(_request(world, trigger=trigger))
    assert (refused.status, refused.outcome, refused.until) == (Status.REFUSED, reason, None)
    assert world.pipelines.started == {}


def test_a_model_that_an_older_version_of_the_kit_deployed(world: World) -> None:
    old = ex.model()
    retraining = dict(old.spec["retraining"])
    del retraining["give_up_after"], retraining["new_rows"]
    retraining["budget"] = {"per_month": 2}
    world.models = FakeModels(replace(old, spec={**old.spec, "retraining": retraining}))
    assert world.starter.handle(_request(world)).status is Status.STARTED
