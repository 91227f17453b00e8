"""SageMaker refuses a rollout for want of quota: people are told once, and it is tried until there is room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftloop.ports import Instances, Package, QuotaError, RetryableError, RolloutPlan, ServingPlan
from driftloop.retraining.episode import Episode, Status
from driftloop.simulation.fakes import FakeHosting, FakeModels
from tests.fakes import examples as ex
from tests.unit.loop.world import World

WAITS = "[driftloop] late_train: version {} waits for a quota"
PLACES = ["prepare", "create", "update"]


def _type(plan: ServingPlan) -> str:
    assert isinstance(plan.on, Instances)
    return plan.on.type


class _Full(FakeHosting):
    """There is no room at the given place for instances of a type."""

    def __init__(self) -> None:
        super().__init__()
        self.place, self.instance = "", "ml.m5.large"

    def _refuse(self, place: str, instance: str) -> None:
        if (place, instance) == (self.place, self.instance):
            raise QuotaError(f"{place}: the limit '{instance} for endpoint usage' is 1")

    def prepare(self, package: Package, plan: ServingPlan) -> None:
        self._refuse("prepare", _type(plan))
        super().prepare(package, plan)

    def create(self, endpoint: str, config: str) -> None:
        self._refuse("create", _type(self.plans[config]))
        super().create(endpoint, config)

    def update(self, endpoint: str, config: str, plan: RolloutPlan) -> None:
        self._refuse("update", _type(self.plans[config]))
        super().update(endpoint, config, plan)


@pytest.fixture
def hosting() -> _Full:
    return _Full()


@pytest.fixture
def world(hosting: _Full) -> World:
    return World(hosting=hosting)


def _approve(world: World, version: int, episode_id: str = "") -> str:
    package = ex.package(version, episode_id)
    world.hosting.add(package)
    return world.deployer.decided(package.arn)


def _refused(world: World, version: int, episode_id: str = "") -> None:
    with pytest.raises(QuotaError, match="for endpoint usage"):
        _approve(world, version, episode_id)


def _serves(world: World) -> int:
    world.hosting.settle(ex.BASE)
    world.confirmer.changed(ex.BASE)
    champion = world.ledger.champion(ex.NAME)
    assert champion is not None
    return champion.version


@pytest.fixture(params=PLACES)
def waiting(world: World, hosting: _Full, request: pytest.FixtureRequest) -> Episode:
    """A version has been approved and there is no room for it; for an update one serves already."""
    episode = world.in_status(Status.CANDIDATE)
    if request.param == "update":
        _approve(world, 1)
        _serves(world)
    hosting.place = request.param
    world.notifier.messages.clear()
    _refused(world, 2, episode.id)
    return episode


def test_people_are_told_what_is_missing_and_what_to_do(world: World, waiting: Episode) -> None:
    subject, message = world.notifier.messages[-1]
    assert subject == WAITS.format(2)
    assert "the limit 'ml.m5.large for endpoint usage' is 1" in message
    assert "have the quota raised" in message
    assert "serving.instance" in message


def test_people_are_told_once_however_often_it_is_tried(world: World, waiting: Episode) -> None:
    for _ in range(3):
        world.clock.advance(minutes=6)
        _refused(world, 2, waiting.id)
    assert world.notifier.subjects.count(WAITS.format(2)) == 1


def test_it_goes_on_by_itself_as_soon_as_there_is_room(world: World, hosting: _Full, waiting: Episode) -> None:
    hosting.place = ""
    assert "version 2 is being rolled out" in _approve(world, 2, waiting.id)
    assert _serves(world) == 2
    assert world.episode(waiting.id).status is Status.PROMOTED


def test_it_goes_on_when_the_queue_has_given_up(world: World, hosting: _Full, waiting: Episode) -> None:
    world.clock.advance(hours=13)
    assert "QuotaError" in world.reconciler.reconcile().failed[ex.NAME]
    hosting.place = ""
    world.clock.advance(hours=1)
    world.reconciler.reconcile()
    assert _serves(world) == 2


def test_a_model_file_that_asks_for_less_is_followed(world: World, waiting: Episode) -> None:
    world.models = FakeModels(ex.model(serving={"instance": "ml.c5.large"}))
    assert "version 2 is being rolled out" in _approve(world, 2, waiting.id)
    assert _type(world.hosting.plans[f"{ex.BASE}-v2"]) == "ml.c5.large"


def test_it_can_be_given_up(world: World, waiting: Episode) -> None:
    world.clock.advance(minutes=6)
    world.hosting.add(replace(ex.package(2, waiting.id, "Rejected"), approval_reason="too dear"))
    assert world.deployer.decided(f"{ex.GROUP_ARN}/2") == "version 2 was rejected: too dear"
    assert world.episode(waiting.id).status.is_final
    world.clock.advance(hours=1)
    world.reconciler.reconcile()
    assert world.ledger.busy([ex.NAME]) == {}


def test_the_version_that_serves_goes_on_meanwhile(world: World, hosting: _Full) -> None:
    _approve(world, 1)
    _serves(world)
    hosting.place = "update"
    _refused(world, 2)
    state, champion = world.hosting.endpoint(ex.BASE), world.ledger.champion(ex.NAME)
    assert state is not None
    assert champion is not None
    assert (state.status, state.config, champion.version) == ("InService", f"{ex.BASE}-v1", 1)
    assert f"{ex.BASE}-v1" in world.hosting.plans


def test_two_versions_that_wait_for_one_quota_are_told_of_once(world: World, hosting: _Full) -> None:
    hosting.place = "create"
    for _ in range(3):
        for version in (1, 2):
            _refused(world, version)
    assert world.notifier.subjects == [WAITS.format(1)]


def test_the_way_back_waits_for_a_quota_too(world: World, hosting: _Full) -> None:
    for version in (1, 2):
        _approve(world, version)
        _serves(world)
    hosting.place = "update"
    world.hosting.reject(f"{ex.GROUP_ARN}/2", "nonsense")
    with pytest.raises(QuotaError):
        world.deployer.decided(f"{ex.GROUP_ARN}/2")
    assert world.notifier.subjects[-1] == WAITS.format(1)
    hosting.place = ""
    assert "version 1 is being rolled out" in world.deployer.decided(f"{ex.GROUP_ARN}/2")
    assert _serves(world) == 1


def test_other_refusals_are_tried_again_without_a_word(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise RetryableError("create_endpoint: throttled")

    monkeypatch.setattr(world.hosting, "create", busy)
    with pytest.raises(RetryableError, match="throttled"):
        _approve(world, 1)
    assert world.notifier.messages == []
    assert f"{ex.BASE}-v1" in world.hosting.plans


def test_an_endpoint_that_finds_no_machines_later_is_told_and_taken_back(world: World) -> None:
    _approve(world, 1)
    world.hosting.settle(ex.BASE, status="Failed", failure="InsufficientInstanceCapacity")
    assert "the endpoint is Failed: InsufficientInstanceCapacity" in world.confirmer.changed(ex.BASE)
    assert world.notifier.messages[-1] == (
        "[driftloop] late_train: version 1 rolled back", "the endpoint is Failed: InsufficientInstanceCapacity",
    )  # fmt: skip
