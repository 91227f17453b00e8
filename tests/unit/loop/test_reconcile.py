"""Whatever was lost, crashed or refused: the next look at the world brings it to its end, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from driftloop.ports import RetryableError, Work
from driftloop.retraining.episode import Episode, Request, Status, Trigger, alarm_cause
from driftloop.simulation.fakes import FakeModels, FakePipelines
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


def _done(world: World) -> dict[str, str]:
    """What one run has done, without trouble."""
    found = world.reconciler.reconcile()
    assert (found.models, found.failed) == (len(world.models.all()[0]), {})
    return found.done


def _running(world: World) -> Episode | None:
    return world.ledger.busy([ex.NAME]).get(ex.NAME, Work()).episode


def _end(world: World, status: Status) -> None:
    """The running episode ends."""
    episode = _running(world)
    assert episode
    assert world.ledger.move(episode.moved(status, world.clock.now(), "not better"), episode.status)


class TestStandingAlarms:
    def test_a_world_at_rest_needs_nothing(self, world: World) -> None:
        assert _done(world) == {}

    def test_a_lost_event_is_made_up_for_once(self, world: World) -> None:
        _raise(world)
        done = _done(world)
        assert list(done) == [ex.NAME]
        assert ALARM in done[ex.NAME]
        assert [e.status for e in _episodes(world)] == [Status.STARTED]
        assert _done(world) == {}
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
            assert _done(world) == {}
        world.clock.advance(hours=1)
        assert list(_done(world)) == [ex.NAME]
        assert [e.status for e in _episodes(world)] == [Status.REJECTED, Status.STARTED]

    def test_the_budget_holds_however_long_it_stands(self, world: World) -> None:
        _raise(world)
        for _ in range(30 * 4):
            world.reconciler.reconcile()
            if _running(world):
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

    @pytest.mark.parametrize("minutes", [-4, 4])
    def test_the_answer_to_an_event_counts_though_clocks_differ(self, world: World, minutes: int) -> None:
        raised = world.clock.now() + timedelta(minutes=minutes)
        world.alarms.raise_(ALARM, raised)
        world.starter.handle(Request(ex.NAME, Trigger.DRIFT, alarm_cause(ALARM, raised), "3 of 3", raised))
        _end(world, Status.REJECTED)
        world.clock.advance(days=3)
        assert "started" in _done(world)[ex.NAME]
        assert len(world.pipelines.started) == 2

    def test_when_nothing_helps_a_person_is_asked_once(self, world: World) -> None:
        """The alarm never goes out, so no event of it comes either."""
        world.models = FakeModels(ex.model(retraining={"give_up_after": 2}))
        _raise(world)
        for _ in range(60):
            world.reconciler.reconcile()
            if _running(world):
                _end(world, Status.REJECTED)
            world.clock.advance(days=1)
        assert world.notifier.subjects.count("[driftloop] late_train: retraining refused") == 1

    def test_both_alarms_ask_for_one(self, world: World) -> None:
        _raise(world)
        _raise(world, f"{ex.BASE}-quality")
        world.reconciler.reconcile()
        assert len(_episodes(world)) == 1

    @pytest.mark.parametrize(("give_up_after", "runs"), [(20, [0, 3, 30, 42, 66, 96, 126]), (5, [0, 3, 30, 42, 66])])
    def test_an_alarm_that_stands_for_months_asks_less_and_less(
        self, world: World, give_up_after: int, runs: list[int]
    ) -> None:
        """Cooldown of three days, doubled after each further failure up to thirty days; twice in thirty days at most."""
        world.models = FakeModels(ex.model(retraining={"give_up_after": give_up_after}))
        _raise(world)
        days = []
        for day in range(150):
            world.reconciler.reconcile()
            if _running(world):
                _end(world, Status.REJECTED)
                days.append(day)
            world.clock.advance(days=1)
        assert days == runs
        assert len(world.pipelines.started) == len(runs)
        asked_a_person = [Status.REFUSED] if give_up_after == len(runs) else []
        assert [e.status for e in world.ledger.episodes(ex.NAME, ex.START)] == [
            *[Status.REJECTED] * len(runs), *asked_a_person,
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "name", [f"{ex.BASE}-errors", "driftloop-capture-dlq", "driftloop-gone-drift", "driftloop-drift"]
    )
    def test_other_alarms_are_for_people(self, world: World, name: str) -> None:
        _raise(world, name)
        assert _done(world) == {}
        assert not world.pipelines.started

    def test_a_signal_that_the_model_file_does_not_listen_to(self, world: World) -> None:
        world.models = FakeModels(ex.model(retraining={"on": ["quality"]}))
        _raise(world)
        assert _done(world) == {}

    def test_an_alarm_about_the_version_before_has_to_show_itself_again(self, world: World) -> None:
        _raise(world)
        world.ledger.set_champion(ex.NAME, ex.champion(2, since=world.clock.now()))
        world.clock.advance(days=4)
        assert _done(world) == {}
        world.clock.advance(hours=1)
        assert list(_done(world)) == [ex.NAME]


class TestHalfDone:
    def test_events_get_their_time(self, world: World) -> None:
        world.in_status(Status.ROLLING_OUT)
        world.clock.advance(minutes=14)
        assert _done(world) == {}

    def test_a_claim_without_a_start(self, world: World) -> None:
        world.pipelines.fault = RetryableError("throttled")
        with pytest.raises(RetryableError):
            world.starter.handle(ex.request(at=world.clock.now()))
        world.clock.advance(minutes=20)
        assert "never started: started" in _done(world)[ex.NAME]
        assert len(world.pipelines.started) == 1
        world.clock.advance(minutes=20)
        assert _done(world) == {}

    def test_a_pipeline_that_still_runs_is_left_alone(self, world: World) -> None:
        world.in_status(Status.STARTED)
        world.clock.advance(hours=5)
        assert _done(world) == {}

    @pytest.mark.parametrize(
        ("ended", "status"),
        [("Succeeded", Status.CANDIDATE), ("Failed", Status.FAILED), ("Stopped", Status.FAILED)],
    )
    def test_an_end_that_nobody_told(self, world: World, ended: str, status: Status) -> None:
        episode = world.in_status(Status.STARTED)
        world.pipelines.statuses[episode.pipeline_execution_arn] = ended
        world.clock.advance(minutes=20)
        assert str(status) in _done(world)[ex.NAME]
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
        episode = world.in_status(Status.CANDIDATE)
        world.hosting.add(ex.package(2, episode_id))
        world.clock.advance(minutes=20)
        assert _done(world) == {ex.NAME: f"the version of episode {episode.id} is gone: failed"}
        assert world.ledger.deployment(ex.NAME) is None

    @pytest.mark.parametrize("status", [Status.CANDIDATE, Status.APPROVED, Status.ROLLING_OUT])
    @pytest.mark.parametrize("named", [True, False])
    def test_an_episode_whose_version_was_deleted_ends(self, world: World, status: Status, named: bool) -> None:
        episode = world.in_status(status)
        if named:  # the ledger knows which version it was
            assert world.ledger.move(replace(episode, model_package_arn=ex.package(2).arn), status)
        world.clock.advance(minutes=20)
        assert "is gone: failed" in _done(world)[ex.NAME]
        ended = world.episode(episode.id)
        assert (ended.status, ended.outcome) == (Status.FAILED, "its version was deleted")
        assert world.notifier.subjects[-1] == "[driftloop] late_train: retraining failed"
        assert _running(world) is None
        assert _done(world) == {}

    def test_an_episode_whose_execution_was_deleted_ends(self, world: World) -> None:
        episode = world.in_status(Status.STARTED)
        world.pipelines.started.clear()
        world.clock.advance(minutes=20)
        assert _done(world) == {ex.NAME: f"the end of episode {episode.id} was not told: failed"}
        ended = world.episode(episode.id)
        assert ended.status is Status.FAILED
        assert ended.outcome == f"the pipeline is gone: {episode.pipeline_execution_arn} does not exist"
        assert _running(world) is None

    def test_an_approval_that_was_followed_half_way_is_told_again(self, world: World) -> None:
        """Whoever followed it died before the rollout was recorded."""
        episode = world.in_status(Status.APPROVED)
        world.hosting.add(ex.package(2, episode.id))
        world.clock.advance(minutes=20)
        assert _done(world) == {ex.NAME: f"{ex.GROUP_ARN}/2 is Approved: said again"}
        assert world.episode(episode.id).status is Status.ROLLING_OUT

    def test_an_approval_that_was_taken_back_is_followed(self, world: World) -> None:
        episode = world.in_status(Status.APPROVED)
        world.hosting.add(ex.package(2, episode.id, "Rejected"))
        world.clock.advance(minutes=20)
        world.reconciler.reconcile()
        assert world.episode(episode.id).status is Status.REJECTED

    @pytest.mark.parametrize("status", [Status.CANDIDATE, Status.APPROVED])
    def test_an_approved_version_that_is_older_than_the_champion_ends_its_episode(
        self, world: World, status: Status
    ) -> None:
        episode = world.in_status(status)
        world.hosting.add(ex.package(2, episode.id))
        world.ledger.set_champion(ex.NAME, ex.champion(3))
        world.clock.advance(minutes=20)
        assert f"{ex.GROUP_ARN}/2 is Approved" in _done(world)[ex.NAME]
        ended = world.episode(episode.id)
        assert ended.status is Status.REJECTED
        assert ended.outcome == "version 2 has to give way: version 3 serves already"
        assert ended.model_package_arn == f"{ex.GROUP_ARN}/2"
        assert _running(world) is None

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
        approved = replace(episode.moved(Status.APPROVED, world.clock.now()), model_package_arn=package.arn)
        assert world.ledger.move(approved, Status.CANDIDATE)
        assert world.ledger.move(approved.moved(Status.ROLLING_OUT, world.clock.now()), Status.APPROVED)
        world.clock.advance(minutes=20)
        world.reconciler.reconcile()
        deployment = world.ledger.deployment(ex.NAME)
        assert deployment
        assert (deployment.package_arn, deployment.phase) == (package.arn, "updating")


class TestRollouts:
    """Those that no episode is waiting for, or whose end or beginning got lost."""

    @pytest.mark.parametrize(("failure", "phase"), [("", "done"), ("5XX", "rolled_back")])
    def test_a_version_that_somebody_trained_by_hand(self, world: World, failure: str, phase: str) -> None:
        world.hosting.add(ex.package(2))
        world.deployer.decided(ex.package(2).arn)
        world.hosting.settle(ex.BASE)
        if failure:
            state = world.hosting.endpoint(ex.BASE)
            assert state
            world.hosting._endpoints[ex.BASE] = replace(state, config=f"{ex.BASE}-v1", failure=failure)
        world.clock.advance(minutes=14)
        assert _done(world) == {}
        world.clock.advance(minutes=1)
        assert "version 2" in _done(world)[ex.NAME]
        deployment = world.ledger.deployment(ex.NAME)
        assert deployment
        assert deployment.phase == phase
        assert _done(world) == {}

    def _half_way(self, world: World, episode_id: str = "") -> None:
        """Recorded, and not told to the endpoint."""
        deployment = replace(ex.deployment(2, "prepared", episode_id), started_at=world.clock.now())
        assert world.ledger.set_deployment(ex.NAME, deployment, None)

    def test_one_that_died_before_the_endpoint_was_told(self, world: World) -> None:
        world.hosting.add(ex.package(2))
        self._half_way(world)
        world.clock.advance(minutes=20)
        assert _done(world) == {ex.NAME: f"{ex.GROUP_ARN}/2 is Approved: said again"}
        assert world.hosting.endpoint(ex.BASE)

    def test_one_whose_version_was_deleted_before_the_endpoint_was_told(self, world: World) -> None:
        episode = world.in_status(Status.ROLLING_OUT)
        assert world.ledger.move(replace(episode, model_package_arn=f"{ex.GROUP_ARN}/2"), Status.ROLLING_OUT)
        self._half_way(world, episode.id)
        world.clock.advance(minutes=20)
        for _ in range(2):
            world.reconciler.reconcile()
        deployment = world.ledger.deployment(ex.NAME)
        assert deployment
        assert deployment.phase == "rolled_back"
        ended = world.episode(episode.id)
        assert ended.status is Status.ROLLED_BACK
        assert ended.outcome == "version 2 was deleted before the endpoint was told"
        assert world.ledger.busy([ex.NAME]) == {}

    @pytest.mark.parametrize(("phase", "status"), [("done", Status.PROMOTED), ("rolled_back", Status.ROLLED_BACK)])
    def test_one_that_ended_and_did_not_tell_its_episode(self, world: World, phase: str, status: Status) -> None:
        episode = world.in_status(Status.ROLLING_OUT)
        assert world.ledger.move(replace(episode, model_package_arn=f"{ex.GROUP_ARN}/2"), Status.ROLLING_OUT)
        assert world.ledger.set_deployment(ex.NAME, ex.deployment(2, phase, episode.id), None)
        world.clock.advance(minutes=20)
        assert _done(world) == {ex.NAME: f"episode {episode.id} was not told of the end of its rollout: {status}"}
        assert world.episode(episode.id).status is status
        assert _running(world) is None

    def test_while_one_is_under_way_nothing_is_asked_for(self, world: World) -> None:
        world.hosting.add(ex.package(2))
        world.deployer.decided(ex.package(2).arn)
        _raise(world)
        for _ in range(3):
            world.clock.advance(minutes=20)
            assert _done(world) == {ex.NAME: "version 2 is on its way"}
        assert not world.pipelines.started


class _Broken(FakePipelines):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def status(self, execution_arn: str) -> str:
        raise self.error


@pytest.mark.parametrize("error", [RetryableError("throttled"), KeyError("a bug"), ConnectionError("no way there")])
def test_a_model_in_trouble_does_not_keep_others_from_help(world: World, error: Exception) -> None:
    world.pipelines = _Broken(error)
    world.in_status(Status.STARTED)
    world.alarms.raise_("driftloop-other-train-drift", world.clock.now())
    world.clock.advance(minutes=20)
    found = world.reconciler.reconcile()
    assert found.models == 2
    assert found.failed == {ex.NAME: f"{type(error).__name__}: {error}"}
    assert list(found.done) == ["other_train"]
    assert "stands since" in found.done["other_train"]
