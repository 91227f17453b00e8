"""Whatever was lost, crashed or refused: the next look at the world brings it to its end, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from driftloop.ports import RetryableError
from driftloop.retraining.episode import Episode, Request, Status, Trigger, alarm_cause
from tests.fakes import FakePipelines
from tests.fakes import examples as ex
from tests.unit.loop.world import World

ALARM = f"{ex.BASE}-drift"


@pytest.fixture
def world() -> World:
    made = World()
    made.serve()
    return made


def _raise(world: World, name: str = ALARM) -> None:
    world.alarms.raise_(name, world.clock.now())


def _episodes(world: World) -> list[Episode]:
    return world.ledger.episodes(ex.NAME, ex.START - timedelta(days=30))


def _end(world: World, status: Status) -> None:
    """The running episode ends."""
    episode = world.ledger.running(ex.NAME)
    assert episode
    assert world.ledger.move(episode.moved(status, world.clock.now(), "not better"), episode.status)


class TestStandingAlarms:
    def test_a_world_at_rest_needs_nothing(self, world: World) -> None:
        assert world.reconciler.reconcile() == {}

    def test_a_lost_event_is_made_up_for_once(self, world: World) -> None:
        _raise(world)
        done = world.reconciler.reconcile()
        assert list(done) == [ex.NAME]
        assert ALARM in done[ex.NAME]
        assert [e.status for e in _episodes(world)] == [Status.STARTED]
        assert world.reconciler.reconcile() == {}
        assert len(world.pipelines.started) == 1

    def test_an_event_that_comes_after_all_changes_nothing(self, world: World) -> None:
        _raise(world)
        raised = world.clock.now()
        world.clock.advance(minutes=5)
        world.reconciler.reconcile()
        late = Request(ex.NAME, Trigger.DRIFT, alarm_cause(ALARM, raised), "3 of 3", raised)
        assert world.starter.handle(late) == _episodes(world)[0]
        assert len(world.pipelines.started) == 1

    def test_an_alarm_that_a_rejection_did_not_silence_asks_again_after_the_cooldown(self, world: World) -> None:
        _raise(world)
        world.reconciler.reconcile()
        _end(world, Status.REJECTED)
        for _ in range(3 * 24 - 1):
            world.clock.advance(hours=1)
            assert world.reconciler.reconcile() == {}
        world.clock.advance(hours=1)
        assert list(world.reconciler.reconcile()) == [ex.NAME]
        assert [e.status for e in _episodes(world)] == [Status.REJECTED, Status.STARTED]

    def test_the_budget_holds_however_long_it_stands(self, world: World) -> None:
        _raise(world)
        for _ in range(30 * 4):
            world.reconciler.reconcile()
            if world.ledger.running(ex.NAME):
                _end(world, Status.REJECTED)
            world.clock.advance(hours=6)
        assert len(world.pipelines.started) == 2

    def test_nothing_is_refused_on_record_while_it_waits(self, world: World) -> None:
        refused = world.starter.handle(ex.request(Trigger.SCHEDULE, "monday", world.clock.now()))
        _raise(world)
        world.reconciler.reconcile()
        _end(world, Status.FAILED)
        for _ in range(10):
            world.reconciler.reconcile()
        assert [e.id for e in _episodes(world) if e.status is Status.REFUSED] == [refused.id]

    def test_both_alarms_ask_for_one(self, world: World) -> None:
        _raise(world)
        _raise(world, f"{ex.BASE}-quality")
        world.reconciler.reconcile()
        assert len(_episodes(world)) == 1

    def test_an_alarm_that_stands_for_months_still_asks(self, world: World) -> None:
        _raise(world)
        started = 0
        for _ in range(4 * 30):
            world.reconciler.reconcile()
            if world.ledger.running(ex.NAME):
                _end(world, Status.REJECTED)
                started += 1
            world.clock.advance(days=1)
        assert started == len(world.pipelines.started) == 8

    @pytest.mark.parametrize(
        "name", [f"{ex.BASE}-errors", "driftloop-capture-dlq", "driftloop-gone-drift", "driftloop-drift"]
    )
    def test_other_alarms_are_for_people(self, world: World, name: str) -> None:
        _raise(world, name)
        assert world.reconciler.reconcile() == {}
        assert not world.pipelines.started

    def test_a_signal_that_the_model_file_does_not_listen_to(self, world: World) -> None:
        world.models = type(world.models)(ex.model(retraining={"on": ["quality"]}))
        _raise(world)
        assert world.reconciler.reconcile() == {}

    def test_an_alarm_about_the_version_before_has_to_show_itself_again(self, world: World) -> None:
        _raise(world)
        world.ledger.set_champion(ex.NAME, ex.champion(2, since=world.clock.now()))
        world.clock.advance(days=2, hours=23)
        assert world.reconciler.reconcile() == {}
        world.clock.advance(hours=1)
        assert list(world.reconciler.reconcile()) == [ex.NAME]


class TestHalfDone:
    def test_events_get_their_time(self, world: World) -> None:
        world.in_status(Status.ROLLING_OUT)
        world.clock.advance(minutes=14)
        assert world.reconciler.reconcile() == {}

    def test_a_claim_without_a_start(self, world: World) -> None:
        world.pipelines.fault = RetryableError("throttled")
        with pytest.raises(RetryableError):
            world.starter.handle(ex.request(at=world.clock.now()))
        world.clock.advance(minutes=20)
        assert "never started: started" in world.reconciler.reconcile()[ex.NAME]
        assert len(world.pipelines.started) == 1
        world.clock.advance(minutes=20)
        assert world.reconciler.reconcile() == {}

    def test_a_pipeline_that_still_runs_is_left_alone(self, world: World) -> None:
        world.in_status(Status.STARTED)
        world.clock.advance(hours=5)
        assert world.reconciler.reconcile() == {}

    @pytest.mark.parametrize(
        ("ended", "status"),
        [("Succeeded", Status.CANDIDATE), ("Failed", Status.FAILED), ("Stopped", Status.FAILED)],
    )
    def test_an_end_that_nobody_told(self, world: World, ended: str, status: Status) -> None:
        episode = world.in_status(Status.STARTED)
        world.pipelines.statuses[episode.pipeline_execution_arn] = ended
        world.clock.advance(minutes=20)
        assert str(status) in world.reconciler.reconcile()[ex.NAME]
        assert world.episode(episode.id).status is status

    @pytest.mark.parametrize(
        ("approval", "status"),
        [
            ("Approved", Status.ROLLING_OUT),
            ("Rejected", Status.REJECTED),
            ("PendingManualApproval", Status.CANDIDATE),
        ],
    )
    def test_a_decision_that_nobody_told(self, world: World, approval: str, status: Status) -> None:
        episode = world.in_status(Status.CANDIDATE)
        world.hosting.add(ex.package(2, episode.id, approval))
        world.clock.advance(minutes=20)
        world.reconciler.reconcile()
        assert world.episode(episode.id).status is status

    @pytest.mark.parametrize("episode_id", ["", "another"])
    def test_a_version_of_somebody_else_is_not_the_episodes(self, world: World, episode_id: str) -> None:
        world.in_status(Status.CANDIDATE)
        world.hosting.add(ex.package(2, episode_id))
        world.clock.advance(minutes=20)
        assert world.reconciler.reconcile() == {}

    def test_a_candidate_whose_version_is_gone_waits_for_a_person(self, world: World) -> None:
        world.in_status(Status.CANDIDATE)
        world.clock.advance(minutes=20)
        assert world.reconciler.reconcile() == {}

    @pytest.mark.parametrize(("failure", "status"), [("", Status.PROMOTED), ("5XX", Status.ROLLED_BACK)])
    def test_the_end_of_a_rollout_that_nobody_told(self, world: World, failure: str, status: Status) -> None:
        episode = world.in_status(Status.CANDIDATE)
        package = ex.package(2, episode.id)
        world.hosting.add(package)
        world.deployer.decided(package.arn)
        world.hosting.settle(ex.BASE)
        if failure:
            # The endpoint is back on a configuration that nobody asked for.
            state = world.hosting.endpoint(ex.BASE)
            assert state
            world.hosting._endpoints[ex.BASE] = replace(state, config=f"{ex.BASE}-v1", failure=failure)
        world.clock.advance(minutes=20)
        world.reconciler.reconcile()
        assert world.episode(episode.id).status is status

    def test_a_rollout_that_died_before_the_endpoint_was_told(self, world: World) -> None:
        episode = world.in_status(Status.CANDIDATE)
        package = ex.package(2, episode.id)
        world.hosting.add(package)
        rolling = replace(episode.moved(Status.ROLLING_OUT, world.clock.now()), model_package_arn=package.arn)
        assert world.ledger.move(rolling, Status.CANDIDATE)
        world.clock.advance(minutes=20)
        world.reconciler.reconcile()
        deployment = world.ledger.deployment(ex.NAME)
        assert deployment
        assert (deployment.package_arn, deployment.phase) == (package.arn, "updating")


class _Broken(FakePipelines):
    def status(self, execution_arn: str) -> str:
        raise RetryableError("throttled")


def test_a_model_in_trouble_does_not_keep_others_from_help(world: World) -> None:
    world.pipelines = _Broken()
    world.in_status(Status.STARTED)
    world.alarms.raise_("driftloop-other-train-drift", world.clock.now())
    world.clock.advance(minutes=20)
    done = world.reconciler.reconcile()
    assert done[ex.NAME] == "RetryableError: throttled"
    assert "stands since" in done["other_train"]
