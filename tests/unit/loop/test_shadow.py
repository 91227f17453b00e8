"""A version answers unheard beside the one that serves, before it is rolled out or not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from driftloop.loop import compare_shadow
from driftloop.loop.compare_shadow import Comparer
from driftloop.loop.reconcile import PATIENCE
from driftloop.names import SHADOW, VARIANT
from driftloop.ports import Deployment, QuotaError, RetryableError, RolloutPlan, Usage
from driftloop.retraining.episode import Status
from driftloop.simulation.fakes import FakeModels, FakeUsages
from tests.fakes import examples as ex
from tests.unit.loop.world import World

V1, V2, V3 = (f"{ex.GROUP_ARN}/{number}" for number in (1, 2, 3))
ALONE, BESIDE, SERVED = f"{ex.BASE}-v1", f"{ex.BASE}-v2-shadow-of-v1", f"{ex.BASE}-v2"
UNWATCHED = RolloutPlan(100, 0, ())
FAILS = Usage(100, 50, 0.1)


class Shadows(World):
    """A model whose versions are shadows for six hours."""

    usages = FakeUsages()

    @property
    def comparer(self) -> Comparer:
        return Comparer(self.models, self.ledger, self.hosting, self.objects, self.usages, self, self.clock, ex.LIVE)

    def compare(self) -> str:
        """What the schedule does every hour."""
        return self.comparer.compare(ex.NAME)

    def settle(self, failure: str = "", **more: str) -> str:
        """The endpoint has done what it was told, and says so."""
        self.hosting.settle(ex.BASE, failure=failure, **more)
        return self.confirmer.changed(ex.BASE)

    @property
    def rollout(self) -> Deployment:
        """The latest one."""
        found = self.ledger.deployment(ex.NAME)
        assert found is not None
        return found

    @property
    def config(self) -> str:
        """What the endpoint is on."""
        state = self.hosting.endpoint(ex.BASE)
        assert state is not None
        return state.config

    @property
    def told(self) -> list[str]:
        """Configurations that the endpoint was told of since it was created."""
        return [config for config, _ in self.hosting.rollouts]

    @property
    def serving(self) -> int:
        """Number of the champion."""
        champion = self.ledger.champion(ex.NAME)
        assert champion is not None
        return champion.version

    def captured_as(self, variant: str, scores: list[float], hour: int = 1) -> None:
        """Rows that a variant was asked in an hour of the second day."""
        columns = ex.traffic(len(scores)) | {"score": scores}
        moment = ex.START + timedelta(days=1, hours=hour)
        key = f"capture/{ex.BASE}/{variant}/{moment:%Y/%m/%d/%H}/a.jsonl"
        self.objects.write(ex.LIVE, key, ex.capture(columns))  # type: ignore[arg-type]

    def report(self) -> Any:
        """What compare_shadow wrote."""
        return json.loads(self.objects.read(ex.LIVE, f"shadows/{ex.NAME}/2.json"))


@pytest.fixture
def world() -> Shadows:
    """Version 1 serves and version 2, of an episode, has been approved."""
    world = Shadows(models=FakeModels(ex.model(serving={"rollout": {"shadow": "6h"}})))
    world.usages = FakeUsages()
    episode = world.in_status(Status.CANDIDATE)
    world.hosting.add(ex.package(1))
    world.deployer.decided(V1)
    assert world.settle() == "version 1 serves"
    world.hosting.add(ex.package(2, episode.id))
    world.deployer.decided(V2)
    world.notifier.messages.clear()
    return world


@pytest.fixture
def shadowing(world: Shadows) -> Shadows:
    """Version 2 is the shadow of version 1."""
    world.settle()
    return world


def _status(world: Shadows) -> Status:
    [episode] = world.ledger.episodes(ex.NAME, ex.START)
    return episode.status


def _reject(world: Shadows, number: int = 2) -> str:
    package = world.hosting.package(f"{ex.GROUP_ARN}/{number}")
    world.hosting.add(replace(package, approval="Rejected", approval_reason="no"))
    return world.deployer.decided(package.arn)


def _wait(world: Shadows, **period: float) -> None:
    world.clock.advance(**period)
    world.reconciler.reconcile()


def test_the_first_version_has_nothing_to_be_the_shadow_of(world: Shadows) -> None:
    assert ALONE in world.hosting.plans
    assert not world.hosting.plans[ALONE].shadow_of


def test_it_answers_beside_the_one_that_serves(world: Shadows) -> None:
    # No alarm watches: those that ring are of the version that serves before and after.
    assert world.hosting.rollouts == [(BESIDE, UNWATCHED)]
    assert world.hosting.plans[BESIDE].shadow_of == ALONE
    assert world.settle() == "version 2 is the shadow of the one that serves"
    assert (world.serving, world.rollout.phase, _status(world)) == (1, "shadowing", Status.ROLLING_OUT)
    assert world.notifier.subjects == [f"[driftloop] {ex.NAME}: version 2 is a shadow"]
    assert "already" in world.confirmer.changed(ex.BASE)
    assert "is shadowing already" in world.deployer.decided(V2)


def test_after_its_time_it_is_rolled_out(shadowing: Shadows) -> None:
    shadowing.clock.advance(hours=5)
    assert "so far" in shadowing.compare()
    assert shadowing.report()["over"] is False
    assert shadowing.told == [BESIDE]
    shadowing.clock.advance(hours=1)
    assert shadowing.compare().startswith("version 2: serve, 0 rows of both are too few")
    assert shadowing.hosting.rollouts[-1] == (SERVED, RolloutPlan(100, 600, (f"{ex.BASE}-errors", f"{ex.BASE}-shift")))
    assert not shadowing.hosting.plans[SERVED].shadow_of
    assert shadowing.settle() == "version 2 serves"
    assert (shadowing.serving, _status(shadowing)) == (2, Status.PROMOTED)
    assert BESIDE not in shadowing.hosting.plans, "nothing needs it any more"
    assert {ALONE, SERVED} <= shadowing.hosting.plans.keys()
    assert shadowing.compare() == f"{ex.NAME} has no shadow to look at: nothing to do"


def test_one_that_fails_goes_and_the_one_that_serves_stays(shadowing: Shadows) -> None:
    shadowing.usages.found[ex.BASE, SHADOW] = FAILS
    shadowing.clock.advance(hours=6)
    assert shadowing.compare().startswith("version 2: reject, the shadow failed on 50 of 100 requests")
    shadowing.deployer.decided(V2)  # the registry's event
    assert shadowing.hosting.rollouts[-1] == (ALONE, UNWATCHED)
    assert _status(shadowing) is Status.ROLLED_BACK
    assert "has been told" in shadowing.deployer.decided(V2)
    shadowing.settle()
    assert (shadowing.serving, shadowing.config, shadowing.rollout.phase) == (1, ALONE, "done")
    assert shadowing.hosting.plans.keys() == {ALONE}
    assert "neither serves" in shadowing.deployer.decided(V2)
    assert f"[driftloop] {ex.NAME}: version 2 rolled back" in shadowing.notifier.subjects


def test_a_person_may_reject_it_before(shadowing: Shadows) -> None:
    assert _reject(shadowing) == "version 2 was rejected: no"
    shadowing.settle()
    assert (shadowing.serving, shadowing.config, _status(shadowing)) == (1, ALONE, Status.ROLLED_BACK)


def test_a_person_may_take_the_approval_back(shadowing: Shadows) -> None:
    shadowing.hosting.hold(V2, "let me think")
    assert shadowing.deployer.decided(V2) == "the approval of version 2 was taken back"
    shadowing.settle()
    assert shadowing.config == ALONE


def test_a_person_may_delete_it(shadowing: Shadows) -> None:
    del shadowing.hosting._packages[V2]
    assert shadowing.deployer.decided(V2) == "version 2 was deleted"
    shadowing.settle()
    assert (shadowing.config, _status(shadowing)) == (ALONE, Status.ROLLED_BACK)


def test_others_wait_for_it(shadowing: Shadows) -> None:
    shadowing.hosting.add(ex.package(3))
    with pytest.raises(RetryableError, match="version 2 is still shadowing; version 3 has to wait"):
        shadowing.deployer.decided(V3)


def test_one_that_cannot_be_started_is_rolled_back(world: Shadows) -> None:
    world.settle(failure="its container does not start")
    assert (world.serving, world.rollout.phase, _status(world)) == (1, "rolled_back", Status.ROLLED_BACK)
    assert "neither serves" in world.deployer.decided(V2)
    assert world.config == ALONE


def test_a_rollout_that_goes_back_leaves_no_shadow(shadowing: Shadows) -> None:
    shadowing.clock.advance(hours=6)
    shadowing.compare()
    shadowing.settle(failure="an alarm rang")
    assert (shadowing.config, _status(shadowing)) == (BESIDE, Status.ROLLED_BACK)
    shadowing.deployer.decided(V2)
    shadowing.settle()
    assert (shadowing.serving, shadowing.config) == (1, ALONE)
    assert shadowing.told == [BESIDE, SERVED, ALONE]


def test_a_way_out_that_fails_is_tried_again(shadowing: Shadows) -> None:
    _reject(shadowing)
    shadowing.settle(failure="no capacity")
    assert shadowing.notifier.subjects[-1] == f"[driftloop] {ex.NAME}: rejected version 2 is a shadow still"
    _wait(shadowing, hours=1)
    shadowing.settle()
    assert shadowing.config == ALONE


@pytest.mark.parametrize("verdict", ["serve", "reject"])
def test_lost_events_are_made_good(world: Shadows, verdict: str) -> None:
    world.hosting.settle(ex.BASE)
    _wait(world, hours=1)
    assert world.rollout.phase == "shadowing"
    _wait(world, hours=1)
    assert world.told == [BESIDE], "its time is not over"
    world.clock.advance(hours=6)
    if verdict == "reject":
        world.usages.found[ex.BASE, SHADOW] = FAILS
        world.compare()
    else:
        assert world.ledger.set_deployment(ex.NAME, replace(world.rollout, phase="compared"), world.rollout)
    _wait(world, hours=1)
    assert world.told == [BESIDE, ALONE if verdict == "reject" else SERVED]
    world.hosting.settle(ex.BASE)
    _wait(world, hours=1)
    assert world.serving == (1 if verdict == "reject" else 2)
    assert world.rollout.phase == "done"


def test_a_deletion_that_nobody_told_of_is_found(shadowing: Shadows) -> None:
    del shadowing.hosting._packages[V2]
    shadowing.clock.advance(minutes=PATIENCE.total_seconds() / 60)
    found: list[str] = []
    reconciler = replace(shadowing.reconciler, decisions=_Heard(shadowing, found))
    reconciler.reconcile()
    assert found == [V2]
    assert shadowing.told[-1] == ALONE


class _Heard:
    def __init__(self, world: Shadows, found: list[str]) -> None:
        self._world, self._found = world, found

    def tell(self, package_arn: str, approval: str) -> None:
        self._found.append(package_arn)
        self._world.deployer.decided(package_arn)


def test_whoever_dies_between_two_calls_is_followed_by_the_next(
    shadowing: Shadows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rollout was written down and the endpoint not told; or it was told, and that was not written down."""
    shadowing.clock.advance(hours=6)
    update = shadowing.hosting.update

    def dies(*_: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(shadowing.hosting, "update", dies)
    with pytest.raises(RuntimeError):
        shadowing.compare()
    assert (shadowing.rollout.config, shadowing.rollout.phase) == (SERVED, "prepared")
    monkeypatch.setattr(shadowing.hosting, "update", update)
    shadowing.deployer.decided(V2)
    assert shadowing.told == [BESIDE, SERVED]
    before = replace(shadowing.rollout, phase="prepared")
    assert shadowing.ledger.set_deployment(ex.NAME, before, shadowing.rollout)
    assert "was told of version 2 before" in shadowing.deployer.decided(V2)
    assert shadowing.told == [BESIDE, SERVED]


def test_no_room_for_a_shadow(world: Shadows, monkeypatch: pytest.MonkeyPatch) -> None:
    world.settle(failure="no")
    world.hosting.add(ex.package(3))

    def full(*_: object) -> None:
        raise QuotaError("ml.m5.large: 2 of 2")

    with monkeypatch.context() as patch:
        patch.setattr(world.hosting, "update", full)
        with pytest.raises(QuotaError):
            world.deployer.decided(V3)
    assert world.notifier.subjects[-1] == f"[driftloop] {ex.NAME}: version 3 waits for a quota"
    assert f"{ex.BASE}-v3-shadow-of-v1" not in world.hosting.plans, "the model file may ask for less by then"
    world.deployer.decided(V3)
    assert world.told[-1] == f"{ex.BASE}-v3-shadow-of-v1"


def _second_stage(world: Shadows, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The rollout after the shadow is written down, and the endpoint is not told."""
    world.clock.advance(hours=6)

    def fails(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(world.hosting, "update", fails)
        with pytest.raises(type(error)):
            world.compare()
    assert (world.rollout.config, world.rollout.phase) == (SERVED, "prepared")


@pytest.mark.parametrize("what", ["rejected", "taken back", "deleted"])
def test_a_decision_between_the_shadow_and_its_rollout(
    shadowing: Shadows, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    _second_stage(shadowing, monkeypatch, RuntimeError("killed"))
    if what == "rejected":
        with pytest.raises(RetryableError, match="rolled out just now"):
            _reject(shadowing)
    elif what == "taken back":
        shadowing.hosting.hold(V2, "let me think")
    else:
        del shadowing.hosting._packages[V2]
    shadowing.clock.advance(hours=1)
    found: list[str] = []
    replace(shadowing.reconciler, decisions=_Heard(shadowing, found)).reconcile()
    assert set(found) == {V2}
    shadowing.settle()
    assert (shadowing.serving, shadowing.config, shadowing.rollout.phase) == (1, ALONE, "done")
    assert _status(shadowing) is Status.ROLLED_BACK


def test_no_room_after_the_shadow(shadowing: Shadows, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the endpoint has must not be deleted, and people make room."""
    kept: dict[str, bool] = {}
    retire = shadowing.hosting.retire
    monkeypatch.setattr(
        shadowing.hosting, "retire", lambda name, keep_model=False: (kept.update({name: keep_model}), retire(name))
    )
    _second_stage(shadowing, monkeypatch, QuotaError("ml.m5.large: 2 of 2"))
    assert kept == {SERVED: True}
    assert shadowing.notifier.subjects[-1] == f"[driftloop] {ex.NAME}: version 2 waits for a quota"
    shadowing.deployer.decided(V2)
    shadowing.settle()
    assert shadowing.serving == 2


def test_no_room_for_the_way_out(shadowing: Shadows, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise QuotaError("ml.m5.large: 2 of 2")

    with monkeypatch.context() as patch:
        patch.setattr(shadowing.hosting, "update", full)
        with pytest.raises(QuotaError):
            _reject(shadowing)
    assert ALONE in shadowing.hosting.plans, "it serves"
    shadowing.deployer.decided(V2)
    shadowing.settle()
    assert shadowing.config == ALONE


def test_what_serves_may_have_been_deleted_from_the_registry(shadowing: Shadows) -> None:
    del shadowing.hosting._packages[V1]
    _reject(shadowing)
    shadowing.settle()
    assert (shadowing.serving, shadowing.config) == (1, ALONE)


def test_a_rejection_of_what_serves_does_not_wait_for_days(shadowing: Shadows) -> None:
    """Version 2 serves and version 3 is its shadow."""
    shadowing.clock.advance(hours=6)
    shadowing.compare()
    shadowing.settle()
    shadowing.hosting.add(ex.package(3))
    shadowing.deployer.decided(V3)
    shadowing.settle()
    with pytest.raises(RetryableError, match="the way back from 2 waits"):
        _reject(shadowing, 2)
    shadowing.deployer.decided(V3)
    shadowing.settle()
    shadowing.deployer.decided(V2)
    shadowing.settle()
    assert (shadowing.serving, shadowing.config) == (1, ALONE)


def test_a_shadow_that_nobody_compares_does_not_stay(shadowing: Shadows) -> None:
    _wait(shadowing, hours=8)
    assert shadowing.told == [BESIDE]
    _wait(shadowing, hours=1)
    assert shadowing.told == [BESIDE, SERVED]
    shadowing.settle()
    assert shadowing.serving == 2


def test_a_second_persons_approval_counts_to_the_end(shadowing: Shadows) -> None:
    """Somebody writes into the version's model card while it is a shadow."""
    shadowing.models.replace(
        ex.model(serving={"rollout": {"shadow": "6h"}}, retraining={"on": ["drift"], "approval": "second_person"})
    )
    shadowing.hosting.add(replace(shadowing.hosting.package(V2), decided_by=""))
    shadowing.clock.advance(hours=6)
    shadowing.compare()
    assert shadowing.told[-1] == SERVED


def test_a_model_file_without_shadows_ends_those_that_are_under_way(shadowing: Shadows) -> None:
    shadowing.models.replace(ex.model())
    shadowing.compare()
    assert shadowing.told[-1] == SERVED


def test_both_are_compared_row_by_row(shadowing: Shadows) -> None:
    evaluation = f"evaluations/{ex.NAME}/2/evaluation.json"
    shadowing.objects.write(ex.ARTIFACTS, evaluation, _evaluated(1))
    package = shadowing.hosting.package(V2)
    properties = {**package.properties, "evaluation_uri": f"s3://{ex.ARTIFACTS}/{evaluation}"}
    shadowing.hosting.add(replace(package, properties=properties))
    for hour, wrong in ((1, 0.3), (4, 0.5)):
        shadowing.captured_as(VARIANT, [0.2] * 30, hour)
        shadowing.captured_as(SHADOW, [wrong] * 25, hour)
    shadowing.captured_as(SHADOW, [0.9] * 25, 9)  # later than it is looked at
    shadowing.usages.found |= {(ex.BASE, VARIANT): Usage(60, 0, 0.01), (ex.BASE, SHADOW): Usage(50, 1, 0.02)}
    shadowing.clock.advance(hours=6)
    assert "reject, answers to the same 50 rows differ by 0.2000" in shadowing.compare()
    report = shadowing.report()
    assert (report["version"], report["over"], report["verdict"]) == (2, True, "reject")
    assert report["served"] == {"requests": 60, "errors": 0, "latency": 0.01}
    assert report["shadow"] == {"requests": 50, "errors": 1, "latency": 0.02}
    assert report["pairs"]["rows"] == 50
    assert report["pairs"]["mean_probability"]["shadow"] == pytest.approx(0.4)
    assert report["pairs"]["expected_difference"] == 0.01


def _evaluated(champion: int) -> bytes:
    """What the gate wrote about version 2 against another one."""
    archive = ex.package(champion).model_data_url
    return json.dumps({"difference": 0.01, "champion": {"model_data_url": archive}}).encode()


def test_the_gate_has_to_have_compared_with_the_version_that_serves(shadowing: Shadows) -> None:
    evaluation = f"evaluations/{ex.NAME}/2/evaluation.json"
    shadowing.objects.write(ex.ARTIFACTS, evaluation, _evaluated(7))
    package = shadowing.hosting.package(V2)
    properties = {**package.properties, "evaluation_uri": f"s3://{ex.ARTIFACTS}/{evaluation}"}
    shadowing.hosting.add(replace(package, properties=properties))
    shadowing.clock.advance(hours=1)
    shadowing.compare()
    assert shadowing.report()["pairs"]["expected_difference"] is None


def test_answers_of_an_earlier_shadow_are_not_its_own(shadowing: Shadows) -> None:
    """It began at one o'clock and five minutes."""
    begun = replace(shadowing.rollout, started_at=shadowing.rollout.started_at + timedelta(minutes=5))
    assert shadowing.ledger.set_deployment(ex.NAME, begun, shadowing.rollout)
    folder = f"capture/{ex.BASE}/{{}}/2026/03/03/01"
    for variant, name, score in (
        (VARIANT, "06-00-000-a", 0.2),
        (SHADOW, "04-59-999-a", 0.9),
        (SHADOW, "05-00-000-b", 0.2),
    ):
        columns = ex.traffic(30) | {"score": [score] * 30}
        shadowing.objects.write(ex.LIVE, f"{folder.format(variant)}/{name}.jsonl", ex.capture(columns))  # type: ignore[arg-type]
    shadowing.clock.advance(hours=1)
    shadowing.compare()
    assert (shadowing.report()["pairs"]["rows"], shadowing.report()["pairs"]["mean_difference"]) == (30, 0)


def test_not_all_traffic_is_read_for_a_row_without_a_partner(
    shadowing: Shadows, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadowing.captured_as(SHADOW, [0.2] * 30)
    other = ex.capture(ex.traffic(30, seed=5))
    for number in range(20):
        shadowing.objects.write(ex.LIVE, f"capture/{ex.BASE}/{VARIANT}/2026/03/03/01/{number:02}.jsonl", other)
    monkeypatch.setattr(compare_shadow, "MAX_ROWS", 60)
    read: list[str] = []
    blocks = shadowing.objects.blocks
    monkeypatch.setattr(
        shadowing.objects, "blocks", lambda bucket, key, version=None: read.append(key) or blocks(bucket, key, version)
    )
    shadowing.clock.advance(hours=1)
    shadowing.compare()
    assert len(read) == 1 + 6, "the shadow's, and five times as many rows of the other"


def test_an_id_that_is_asked_twice_is_compared_once(shadowing: Shadows) -> None:
    shadowing.captured_as(VARIANT, [0.2] * 30)
    for _ in range(2):
        shadowing.captured_as(SHADOW, [0.2] * 30)
    key = f"capture/{ex.BASE}/{VARIANT}/2026/03/03/01"
    shadowing.objects.write(ex.LIVE, f"{key}/b.jsonl", shadowing.objects.read(ex.LIVE, f"{key}/a.jsonl"))
    shadowing.clock.advance(hours=1)
    shadowing.compare()
    assert shadowing.report()["pairs"]["rows"] == 30


def test_captures_of_a_shadow_are_no_traffic(shadowing: Shadows) -> None:
    shadowing.serve()
    source = shadowing.arrived(f"capture/{ex.BASE}/{SHADOW}/2026/03/02/10/a.jsonl", ex.capture(ex.traffic(30)))
    batch = shadowing.profile(source)
    assert not batch.counted
    assert not shadowing.objects.keys(ex.LIVE, "shards/")
    assert not shadowing.objects.keys(ex.LIVE, "rows/")


def test_the_next_version_waits_until_the_shadow_before_it_has_gone(shadowing: Shadows) -> None:
    """Otherwise its own rollout would begin on a configuration with that shadow, and go back to it."""
    shadowing.clock.advance(hours=6)
    shadowing.compare()
    shadowing.settle(failure="an alarm rang")
    shadowing.hosting.add(ex.package(3))
    with pytest.raises(RetryableError, match="version 1 is still prepared; version 3 has to wait"):
        shadowing.deployer.decided(V3)
    shadowing.deployer.decided(V2)
    shadowing.settle()
    shadowing.deployer.decided(V3)
    assert shadowing.told[-2:] == [ALONE, f"{ex.BASE}-v3-shadow-of-v1"]
