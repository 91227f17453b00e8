"""From an approval to a version that serves, or to one that was rolled back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftloop.ports import (
    Asynchronous,
    Champion,
    Deployment,
    Instances,
    NotFoundError,
    Package,
    RetryableError,
    RolloutPlan,
    Scaling,
    Serverless,
    ServingPlan,
    TerminalError,
)
from driftloop.retraining.episode import Episode, Status
from driftloop.simulation.fakes import FakeHosting, FakeLedger, FakeModels
from tests.fakes import examples as ex
from tests.unit.loop.world import ANSWERED, KEY, World

WATCHED = (f"{ex.BASE}-errors", f"{ex.BASE}-shift")


@pytest.fixture
def world() -> World:
    return World()


def _approve(world: World, version: int = 1, episode_id: str = "") -> str:
    package = ex.package(version, episode_id)
    world.hosting.add(package)
    return world.deployer.decided(package.arn)


def _serve(world: World, version: int = 1, episode_id: str = "") -> None:
    _approve(world, version, episode_id)
    world.hosting.settle(ex.BASE)
    world.confirmer.changed(ex.BASE)


def _champion(world: World) -> Champion:
    champion = world.ledger.champion(ex.NAME)
    assert champion is not None
    return champion


def _previous(world: World) -> tuple[int, str]:
    before = _champion(world).previous
    assert before is not None
    assert before.previous is None
    return before.version, before.config


def _deployment(world: World) -> Deployment:
    deployment = world.ledger.deployment(ex.NAME)
    assert deployment is not None
    return deployment


def test_the_first_approval_creates_the_endpoint(world: World) -> None:
    assert _approve(world) == f"version 1 is being rolled out to {ex.BASE}"
    assert world.hosting.plans[f"{ex.BASE}-v1"] == ServingPlan(
        f"{ex.BASE}-v1", ex.ROLE, Instances("ml.m5.large", 1), "s3://live-bucket/capture", 100, KEY
    )
    assert world.confirmer.changed(ex.BASE) == "version 1 is on its way"
    assert world.ledger.champion(ex.NAME) is None
    world.hosting.settle(ex.BASE)
    assert world.confirmer.changed(ex.BASE) == "version 1 serves"
    assert _champion(world) == Champion(1, f"{ex.GROUP_ARN}/1", ex.BASELINE_URI, f"{ex.BASE}-v1", world.clock.now())
    assert _deployment(world).phase == "done"
    assert world.notifier.subjects == ["[driftloop] late_train: version 1 serves"]


def test_the_next_version_is_a_guarded_update(world: World) -> None:
    _serve(world)
    _approve(world, 2)
    assert world.hosting.rollouts == [(f"{ex.BASE}-v2", RolloutPlan(100, 600, WATCHED))]
    world.hosting.settle(ex.BASE)
    world.confirmer.changed(ex.BASE)
    assert (_champion(world).version, _previous(world)) == (2, (1, f"{ex.BASE}-v1"))


def test_several_instances_get_a_canary(world: World) -> None:
    world.models = FakeModels(ex.model(serving={"count": 3}))
    _serve(world)
    _approve(world, 2)
    assert world.hosting.rollouts[0][1].canary_percent == 10


@pytest.mark.parametrize(
    ("strategy", "plan"),
    [
        ("canary", RolloutPlan(10, 600, (*WATCHED, f"{ex.BASE}-latency"))),
        ("linear", RolloutPlan(25, 600, (*WATCHED, f"{ex.BASE}-latency"), linear=True)),
        ("all_at_once", RolloutPlan(100, 600, (*WATCHED, f"{ex.BASE}-latency"))),
    ],
)
def test_the_model_file_says_how_traffic_moves(world: World, strategy: str, plan: RolloutPlan) -> None:
    serving = {"count": 3, "max_latency": "2s", "rollout": {"strategy": strategy}}
    world.models = FakeModels(ex.model(serving=serving))
    _serve(world)
    _approve(world, 2)
    assert world.hosting.rollouts[0][1] == plan


def test_a_model_deployed_before_there_was_an_alarm_is_rolled_out_without_it(world: World) -> None:
    """SageMaker refuses alarms that do not exist."""
    old = ex.model()
    del old.spec["serving"]["rollout"]["tolerance"]  # type: ignore[attr-defined]
    world.models = FakeModels(old)
    _serve(world)
    _approve(world, 2)
    assert world.hosting.rollouts[0][1].alarms == (f"{ex.BASE}-errors",)


def test_without_instances_all_traffic_moves_at_once_and_sagemaker_watches_nothing(world: World) -> None:
    world.models = FakeModels(ex.model(serving={"mode": "serverless", "memory": "3GB", "concurrency": 7}))
    _serve(world)
    world.clock.advance(hours=1)
    _approve(world, 2)
    assert world.hosting.plans[f"{ex.BASE}-v2"].on == Serverless(3072, 7)
    assert world.hosting.rollouts[0][1] == RolloutPlan(100, 0, (), guarded=False)


def test_versions_with_a_queue_write_below_the_models_own_prefix_and_are_watched_by_sagemaker(world: World) -> None:
    world.models = FakeModels(ex.model(serving={"mode": "asynchronous", "count": 2}))
    _serve(world)
    _approve(world, 2)
    plan = world.hosting.plans[f"{ex.BASE}-v2"]
    place = f"s3://{ex.LIVE}/asynchronous/{ex.NAME}"
    assert plan.asynchronous == Asynchronous(f"{place}/answers", f"{place}/failures", ANSWERED)
    assert plan.on == Instances("ml.m5.large", 2)
    assert world.hosting.rollouts[0][1] == RolloutPlan(10, 600, WATCHED)


SCALED = {"count": 2, "max_count": 6, "requests": 900}


def test_the_number_of_instances_follows_the_requests_once_the_version_serves(world: World) -> None:
    world.models = FakeModels(ex.model(serving=SCALED))
    _approve(world, 1)
    assert world.scaler.following == {}, "there is nothing to scale yet"
    world.hosting.settle(ex.BASE)
    world.confirmer.changed(ex.BASE)
    assert world.scaler.following == {ex.BASE: Scaling(2, 6, 900)}


def test_the_number_stays_during_a_rollout_and_is_kept_by_it(world: World) -> None:
    world.models = FakeModels(ex.model(serving=SCALED))
    _serve(world)
    _approve(world, 2)
    assert world.scaler.following == {}
    assert world.hosting.rollouts[0][1].keep_count
    world.hosting.settle(ex.BASE)
    world.confirmer.changed(ex.BASE)
    assert world.scaler.following == {ex.BASE: Scaling(2, 6, 900)}


def test_the_number_follows_again_after_a_rollback_and_on_the_way_back(world: World) -> None:
    world.models = FakeModels(ex.model(serving=SCALED))
    _serve(world)
    _approve(world, 2)
    world.hosting.settle(ex.BASE, failure="the alarm rang")
    world.confirmer.changed(ex.BASE)
    assert world.scaler.following == {ex.BASE: Scaling(2, 6, 900)}


def test_a_file_that_scales_no_more_stops_it_with_the_next_version(world: World) -> None:
    world.models = FakeModels(ex.model(serving=SCALED))
    _serve(world)
    world.models = FakeModels(ex.model(serving={"count": 2}))
    _approve(world, 2)
    world.hosting.settle(ex.BASE)
    world.confirmer.changed(ex.BASE)
    assert world.scaler.following == {}
    assert not world.hosting.rollouts[0][1].keep_count


def test_an_approval_that_comes_twice_starts_one_rollout(world: World) -> None:
    _serve(world)
    _approve(world, 2)
    assert "updating already" in _approve(world, 2)
    world.hosting.settle(ex.BASE)
    world.confirmer.changed(ex.BASE)
    assert "not newer than champion 2" in _approve(world, 2)
    assert len(world.hosting.rollouts) == 1


def test_an_older_version_does_not_replace_a_newer_one(world: World) -> None:
    _serve(world, 3)
    assert "not newer than champion 3" in _approve(world, 2)


def test_an_approval_that_was_taken_back_does_nothing(world: World) -> None:
    package = ex.package(approval="PendingManualApproval")
    world.hosting.add(package)
    assert "is PendingManualApproval by now" in world.deployer.decided(package.arn)
    assert world.hosting.plans == {}


def _reject(world: World, episode_id: str, reason: str = "", version: int = 1) -> str:
    world.hosting.add(replace(ex.package(version, episode_id, "Rejected"), approval_reason=reason))
    return world.deployer.decided(f"{ex.GROUP_ARN}/{version}")


@pytest.mark.parametrize("status", [Status.STARTED, Status.CANDIDATE])
@pytest.mark.parametrize(("reason", "told"), [("it forgets Sundays", "it forgets Sundays"), ("", "no reason given")])
def test_a_rejected_version_ends_its_episode(world: World, status: Status, reason: str, told: str) -> None:
    waiting = world.in_status(status)  # a rejection may overtake the event that the pipeline has ended
    assert _reject(world, waiting.id, reason) == f"version 1 was rejected: {told}"
    ended = world.episode(waiting.id)
    assert (ended.status, ended.outcome) == (Status.REJECTED, f"version 1 was rejected: {told}")
    assert (ended.closed_at, ended.model_package_arn) == (world.clock.now(), f"{ex.GROUP_ARN}/1")
    assert world.hosting.plans == {}
    assert "nothing to do" in _reject(world, waiting.id, reason)
    assert world.episode(waiting.id) == ended


def test_after_a_rejection_others_may_start(world: World) -> None:
    waiting = world.in_status(Status.CANDIDATE)
    world.clock.advance(days=4)
    assert world.starter.handle(ex.request(cause="b", at=world.clock.now())).status is Status.MERGED
    _reject(world, waiting.id)
    world.clock.advance(days=4)
    assert world.starter.handle(ex.request(cause="c", at=world.clock.now())).status is Status.STARTED


def test_a_rejection_that_overtakes_the_record_of_the_start_waits(world: World) -> None:
    claimed = ex.episode(at=world.clock.now())
    world.ledger.claim(claimed, world.clock.now())
    with pytest.raises(RetryableError, match="is not recorded yet"):
        _reject(world, claimed.id)


@pytest.mark.parametrize("episode_id", ["", "manual"])
def test_a_rejected_version_that_nobody_waits_for(world: World, episode_id: str) -> None:
    assert _reject(world, episode_id) == (
        "version 1 is Rejected and neither serves nor does an episode wait for it: nothing to do"
    )


def test_the_loops_own_rejection_after_a_rollback_changes_nothing(world: World) -> None:
    waiting = world.in_status(Status.CANDIDATE)
    _serve(world)
    _approve(world, 2, waiting.id)
    # Its event may come while the rollback is still being recorded, and then comes again ...
    world.hosting.reject(f"{ex.GROUP_ARN}/2", "alarm")
    with pytest.raises(RetryableError, match="its rejection has to wait"):
        world.deployer.decided(f"{ex.GROUP_ARN}/2")
    assert world.episode(waiting.id).status is Status.ROLLING_OUT
    world.hosting.settle(ex.BASE, failure="alarm")
    world.confirmer.changed(ex.BASE)
    # ... or afterwards.
    ended = world.episode(waiting.id)
    assert ended.status is Status.ROLLED_BACK
    assert "nothing to do" in world.deployer.decided(f"{ex.GROUP_ARN}/2")
    assert world.episode(waiting.id) == ended


def test_a_version_that_is_approved_after_all_is_rolled_out(world: World) -> None:
    waiting = world.in_status(Status.CANDIDATE)
    _reject(world, waiting.id)
    assert "is being rolled out" in _approve(world, 1, waiting.id)
    assert world.episode(waiting.id).status is Status.REJECTED


@pytest.mark.parametrize("properties", [{}, {"episode_id": "x"}])
def test_a_version_without_baseline_is_refused(world: World, properties: dict[str, str]) -> None:
    package = replace(ex.package(), properties=properties)
    world.hosting.add(package)
    with pytest.raises(TerminalError, match="has no baseline_uri"):
        world.deployer.decided(package.arn)


def test_a_version_that_is_gone(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.deployer.decided(f"{ex.GROUP_ARN}/9")


def test_a_second_rollout_waits_for_the_first(world: World) -> None:
    _serve(world)
    _approve(world, 2)
    with pytest.raises(RetryableError, match="version 2 is still updating; version 3 has to wait"):
        _approve(world, 3)
    world.hosting.settle(ex.BASE)
    with pytest.raises(RetryableError, match="still updating"):
        _approve(world, 3)  # in service, but not confirmed: its episode would be forgotten
    world.confirmer.changed(ex.BASE)
    assert "version 3 is being rolled out" in _approve(world, 3)


def test_two_rollouts_at_once_only_one_is_recorded(world: World) -> None:
    class Raced(FakeLedger):
        def set_deployment(self, model: str, deployment: Deployment, expected: Deployment | None) -> bool:
            if deployment.version == 2 and deployment.phase == "prepared":
                super().set_deployment(model, ex.deployment(3, "prepared"), expected)
            return super().set_deployment(model, deployment, expected)

    world.ledger = Raced()
    with pytest.raises(RetryableError, match="another rollout"):
        _approve(world, 2)
    assert _deployment(world).version == 3
    assert world.hosting.endpoint(ex.BASE) is None


def test_an_endpoint_that_is_busy_is_left_alone(world: World) -> None:
    _serve(world)
    world.hosting.settle(ex.BASE, status="SystemUpdating")
    with pytest.raises(RetryableError, match="is SystemUpdating; version 2 has to wait"):
        _approve(world, 2)


def test_a_failed_endpoint_is_replaced(world: World) -> None:
    _approve(world)
    world.hosting.settle(ex.BASE, status="Failed", failure="no capacity")
    assert world.confirmer.changed(ex.BASE).startswith("version 1 rolled back: the endpoint is Failed: no capacity")
    _serve(world, 2)
    assert _champion(world).version == 2


def test_a_silent_rollback_is_recognised(world: World) -> None:
    episode = world.in_status(Status.CANDIDATE)
    _serve(world)
    _approve(world, 2, episode.id)
    world.hosting.settle(ex.BASE, failure="alarm tripped")
    assert "went back to driftloop-late-train-v1: alarm tripped" in world.confirmer.changed(ex.BASE)
    assert _champion(world).version == 1
    assert world.episode(episode.id).status is Status.ROLLED_BACK
    assert _deployment(world).phase == "rolled_back"
    assert list(world.hosting.rejected) == [f"{ex.GROUP_ARN}/2"]
    assert world.notifier.subjects[-1] == "[driftloop] late_train: version 2 rolled back"


def test_a_version_that_was_rolled_back_does_not_come_again(world: World) -> None:
    _serve(world)
    _approve(world, 2)
    world.hosting.settle(ex.BASE, failure="alarm tripped")
    world.confirmer.changed(ex.BASE)
    assert "is rolled_back already: nothing to do" in _approve(world, 2)
    assert len(world.hosting.rollouts) == 1


def test_a_rollback_that_failed_itself_is_told(world: World) -> None:
    _serve(world)
    _approve(world, 2)
    world.hosting.settle(ex.BASE, status="UpdateRollbackFailed", failure="no capacity")
    assert "the endpoint is UpdateRollbackFailed: no capacity" in world.confirmer.changed(ex.BASE)


def test_an_endpoint_that_is_gone(world: World) -> None:
    _approve(world)
    world.hosting.remove(ex.BASE)
    assert world.confirmer.changed(ex.BASE) == "version 1 rolled back: the endpoint is gone"


def test_a_confirmation_that_comes_twice_is_told_once(world: World) -> None:
    _serve(world)
    assert world.confirmer.changed(ex.BASE) == "no rollout is under way"
    assert len(world.notifier.messages) == 1


def test_an_event_before_the_first_deployment(world: World) -> None:
    assert world.confirmer.changed(ex.BASE) == "no rollout is under way"


def test_the_configuration_before_the_last_is_retired_and_no_other(world: World) -> None:
    for version in (1, 2, 3, 4):
        _serve(world, version)
    assert sorted(world.hosting.plans) == [f"{ex.BASE}-v3", f"{ex.BASE}-v4"]


class _Dying(FakeLedger):
    """Dies once at the given phase of a deployment."""

    def __init__(self, phase: str) -> None:
        super().__init__()
        self.phase = phase

    def set_deployment(self, model: str, deployment: Deployment, expected: Deployment | None) -> bool:
        if deployment.phase == self.phase and deployment.version == 3:
            self.phase = ""
            raise ConnectionError("died")
        return super().set_deployment(model, deployment, expected)


def test_a_confirmation_that_died_half_way_is_finished_and_keeps_the_way_back(world: World) -> None:
    world.ledger = _Dying("done")
    episode = world.in_status(Status.CANDIDATE)
    for version in (1, 2):
        _serve(world, version)
    with pytest.raises(ConnectionError):
        _serve(world, 3, episode.id)
    assert world.confirmer.changed(ex.BASE) == "version 3 serves"
    assert (_champion(world).version, _previous(world)) == (3, (2, f"{ex.BASE}-v2"))
    assert sorted(world.hosting.plans) == [f"{ex.BASE}-v2", f"{ex.BASE}-v3"]
    assert world.episode(episode.id).status is Status.PROMOTED
    assert world.notifier.subjects[-1] == "[driftloop] late_train: version 3 serves"


def test_a_deployment_that_died_after_telling_the_endpoint_is_confirmed(world: World) -> None:
    world.ledger = _Dying("updating")
    for version in (1, 2):
        _serve(world, version)
    with pytest.raises(ConnectionError):
        _approve(world, 3)
    assert _deployment(world).phase == "prepared"
    assert "was told of version 3 before" in _approve(world, 3)
    assert _deployment(world).phase == "updating"
    world.hosting.settle(ex.BASE)
    assert world.confirmer.changed(ex.BASE) == "version 3 serves"
    assert "not newer than champion 3" in _approve(world, 3)
    assert len(world.hosting.rollouts) == 2


def test_a_deployment_that_died_is_taken_up_again_before_its_confirmation(world: World) -> None:
    world.ledger = _Dying("updating")
    for version in (1, 2):
        _serve(world, version)
    with pytest.raises(ConnectionError):
        _approve(world, 3)
    world.hosting.settle(ex.BASE)
    assert "was told of version 3 before" in _approve(world, 3)
    assert len(world.hosting.rollouts) == 2  # the endpoint is not told again
    assert world.confirmer.changed(ex.BASE) == "version 3 serves"


def test_a_deployment_that_died_is_not_repeated_when_the_endpoint_went_back_meanwhile(world: World) -> None:
    """What is on its old configuration again looks like what was never told, and must not be told twice."""
    world.ledger = _Dying("updating")
    for version in (1, 2):
        _serve(world, version)
    with pytest.raises(ConnectionError):
        _approve(world, 3)
    world.hosting.settle(ex.BASE, failure="alarm tripped")
    assert "was told of version 3 before" in _approve(world, 3)
    assert "version 3 rolled back: the endpoint went back" in world.confirmer.changed(ex.BASE)
    assert (_champion(world).version, _deployment(world).phase) == (2, "rolled_back")
    assert len(world.hosting.rollouts) == 2


class _Throttled(FakeHosting):
    """An endpoint that nobody reaches for a while."""

    throttled = True

    def update(self, endpoint: str, config: str, plan: RolloutPlan) -> None:
        if self.throttled:
            raise RetryableError("update_endpoint: throttled")
        super().update(endpoint, config, plan)


@pytest.fixture
def half_way(world: World) -> Episode:
    """Version 2 is recorded as being rolled out, and the endpoint has not heard of it."""
    episode = world.in_status(Status.CANDIDATE)
    world.hosting = _Throttled()
    _serve(world)
    with pytest.raises(RetryableError, match="throttled"):
        _approve(world, 2, episode.id)
    assert (_deployment(world).version, _deployment(world).phase) == (2, "prepared")
    assert world.episode(episode.id).status is Status.ROLLING_OUT
    return episode


def test_a_rollout_that_the_endpoint_has_not_heard_of_can_be_rejected(world: World, half_way: Episode) -> None:
    with pytest.raises(RetryableError, match="version 2 is being rolled out just now; its rejection has to wait"):
        _reject(world, half_way.id, "not on a Friday", 2)
    world.clock.advance(minutes=2)
    assert _reject(world, half_way.id, "not on a Friday", 2) == "version 2 was rejected: not on a Friday"
    assert _deployment(world).phase == "rolled_back"
    ended = world.episode(half_way.id)
    assert (ended.status, ended.outcome) == (Status.ROLLED_BACK, "version 2 was rejected: not on a Friday")
    assert (_champion(world).version, world.hosting.rollouts) == (1, [])
    assert "nothing to do" in _reject(world, half_way.id, "not on a Friday", 2)
    assert world.episode(half_way.id) == ended


def test_an_approval_that_is_taken_back_before_the_endpoint_has_heard_of_it(world: World, half_way: Episode) -> None:
    world.hosting.add(replace(ex.package(2, half_way.id), approval="PendingManualApproval"))
    world.clock.advance(minutes=20)
    world.reconciler.reconcile()
    assert _deployment(world).phase == "rolled_back"
    ended = world.episode(half_way.id)
    assert (ended.status, ended.outcome) == (Status.ROLLED_BACK, "the approval of version 2 was taken back")
    assert (_champion(world).version, world.hosting.rollouts) == (1, [])


def test_a_rollout_of_a_version_that_was_deleted_meanwhile_comes_to_its_end(world: World) -> None:
    class Forgetful(FakeHosting):
        def reject(self, package_arn: str, reason: str) -> None:
            self._packages.pop(package_arn)
            super().reject(package_arn, reason)

    world.hosting = Forgetful()
    _serve(world)
    _approve(world, 2)
    world.hosting.settle(ex.BASE, failure="alarm")
    assert "version 2 rolled back" in world.confirmer.changed(ex.BASE)
    assert _deployment(world).phase == "rolled_back"


def test_a_rejection_after_the_endpoint_was_told_is_left_to_the_alarms(world: World) -> None:
    world.ledger = _Dying("updating")
    for version in (1, 2):
        _serve(world, version)
    with pytest.raises(ConnectionError):
        _approve(world, 3)
    world.clock.advance(minutes=2)
    assert "was told of version 3 before" in _reject(world, "", version=3)
    assert _deployment(world).phase == "updating"


@pytest.mark.parametrize("minutes", [0, 20])
def test_a_rollout_that_a_newer_version_overtook_ends_its_episode(
    world: World, half_way: Episode, minutes: int
) -> None:
    assert isinstance(world.hosting, _Throttled)
    world.hosting.throttled = False
    world.clock.advance(minutes=minutes)
    _serve(world, 3)  # of a run by hand
    assert _champion(world).version == 3
    world.clock.advance(minutes=20)
    for _ in range(2):
        world.reconciler.reconcile()
    assert world.episode(half_way.id).status.is_final
    assert world.ledger.busy([ex.NAME]) == {}


def test_an_event_while_the_endpoint_has_not_been_told_is_no_rollback(world: World) -> None:
    _serve(world)
    world.ledger.set_deployment(ex.NAME, ex.deployment(2, "prepared"), _deployment(world))
    assert world.confirmer.changed(ex.BASE) == "the endpoint has not been told of version 2 yet"
    assert _deployment(world).phase == "prepared"
    assert world.hosting.rejected == {}


def test_an_approval_may_overtake_the_end_of_the_pipeline(world: World) -> None:
    episode = world.in_status(Status.STARTED)
    _approve(world, 1, episode.id)
    assert world.episode(episode.id).status is Status.ROLLING_OUT
    world.end(episode.pipeline_execution_arn, "Succeeded")
    world.hosting.settle(ex.BASE)
    world.confirmer.changed(ex.BASE)
    assert world.episode(episode.id).status is Status.PROMOTED
    assert world.episode(episode.id).model_package_arn == f"{ex.GROUP_ARN}/1"


def test_an_approval_that_overtakes_the_record_of_the_start_waits(world: World) -> None:
    claimed = ex.episode(at=world.clock.now())
    world.ledger.claim(claimed, world.clock.now())
    with pytest.raises(RetryableError, match="is not recorded yet"):
        _approve(world, 1, claimed.id)
    world.starter.handle(ex.request(at=world.clock.now()))
    _approve(world, 1, claimed.id)
    assert world.episode(claimed.id).status is Status.ROLLING_OUT


def test_an_episode_that_moves_at_the_same_moment_is_not_left_behind(world: World) -> None:
    episode = world.in_status(Status.STARTED)

    class Raced(FakeHosting):
        def package(self, arn: str) -> Package:
            world.end(episode.pipeline_execution_arn, "Succeeded")
            return super().package(arn)

    world.hosting = Raced(ex.package(1, episode.id))
    world.deployer.decided(f"{ex.GROUP_ARN}/1")
    world.hosting.settle(ex.BASE)
    world.confirmer.changed(ex.BASE)
    assert world.episode(episode.id).status is Status.PROMOTED


class _Raced(FakeLedger):
    """Somebody else moves the episode first, for some times."""

    def __init__(self, *move: Status, times: int) -> None:
        super().__init__()
        self._move, self._times = move, times

    def move(self, episode: Episode, expected: Status) -> bool:
        if (expected, episode.status) == self._move and self._times:
            self._times -= 1
            return False
        return super().move(episode, expected)


def test_an_approval_that_meets_the_end_of_the_pipeline_looks_again_at_once(world: World) -> None:
    world.ledger = _Raced(Status.STARTED, Status.APPROVED, times=2)
    episode = world.in_status(Status.STARTED)
    _approve(world, 1, episode.id)
    assert world.episode(episode.id).status is Status.ROLLING_OUT


@pytest.mark.parametrize(
    ("before", "lost", "times"), [(Status.STARTED, Status.APPROVED, 3), (Status.APPROVED, Status.ROLLING_OUT, 1)]
)
def test_a_lost_race_for_the_episode_comes_back(world: World, before: Status, lost: Status, times: int) -> None:
    world.ledger = _Raced(before, lost, times=times)
    episode = world.in_status(Status.STARTED)
    with pytest.raises(RetryableError, match="the next delivery will see it"):
        _approve(world, 1, episode.id)
    world.end(episode.pipeline_execution_arn, "Succeeded")
    _approve(world, 1, episode.id)
    assert world.episode(episode.id).status is Status.ROLLING_OUT


def test_a_version_from_elsewhere_needs_no_episode(world: World) -> None:
    _serve(world, 1, "manual")
    assert _champion(world).version == 1
