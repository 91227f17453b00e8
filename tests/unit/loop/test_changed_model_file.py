"""The model file changes after a version was trained and before somebody approves it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from driftloop.monitoring.report import Verdict
from driftloop.ports import Instances, ServingPlan, TerminalError
from driftloop.simulation.fakes import FakeModels
from tests.fakes import examples as ex
from tests.unit.loop.world import KEY, World

ADDED = {"line": "category", "delay": "number", "seats": "integer"}
REORDERED = {"delay": "number", "line": "category"}


@pytest.fixture
def world() -> World:
    made = World()
    made.objects.write(ex.ARTIFACTS, ex.BASELINE_KEY, ex.baseline().to_json())
    return made


def _change(world: World, **parts: Any) -> None:
    world.models = FakeModels(ex.model(**parts))


def _columns(features: dict[str, Any]) -> dict[str, Any]:
    return {**ex.raw_spec()["data"], "features": features}


def _serve(world: World) -> None:
    world.hosting.add(ex.package())
    world.deployer.decided(f"{ex.GROUP_ARN}/1")
    world.hosting.settle(ex.BASE)
    assert world.confirmer.changed(ex.BASE) == "version 1 serves"


def test_it_is_served_as_the_model_file_says_by_now(world: World) -> None:
    _change(world, serving={"instance": "ml.c5.large", "count": 3, "capture": "50%"})
    _serve(world)
    assert world.hosting.plans == {
        f"{ex.BASE}-v1": ServingPlan(
            f"{ex.BASE}-v1", ex.ROLE, Instances("ml.c5.large", 3), "s3://live-bucket/capture", 50, KEY
        )
    }  # fmt: skip


@pytest.mark.parametrize(
    "parts",
    [{"gate": {"margin": 0.5}}, {"gate": {"slices": ["line"]}}, {"data": _columns(ADDED)}],
    ids=["gate", "slices", "columns"],
)
def test_a_person_who_approves_it_has_the_last_word(world: World, parts: dict[str, Any]) -> None:
    _change(world, **parts)
    _serve(world)
    champion = world.ledger.champion(ex.NAME)
    assert champion is not None
    assert (champion.version, champion.baseline_uri) == (1, ex.BASELINE_URI)


def test_slices_that_its_baseline_does_not_know_are_not_judged(world: World) -> None:
    _serve(world)
    world.profile(world.captured(ex.traffic(50, seed=1), "before"))
    _change(world, gate={"slices": ["line"]})
    world.profile(world.captured(ex.traffic(50, seed=2), "after"))
    report = world.detector.detect(ex.NAME, world.clock.now())
    assert report is not None
    assert (report.rows, report.slices) == (100, [])


def test_traffic_of_other_columns_is_kept_for_later_and_not_put_aside(world: World) -> None:
    _change(world, data=_columns(ADDED))
    _serve(world)
    batch = world.traffic_batch()
    with pytest.raises(TerminalError, match="other columns than the model file declares: seats"):
        batch.add(world.captured(ex.traffic(30)))
    batch.flush()
    assert (batch.counted, batch.quarantined) == ({}, {})
    assert world.quarantined("capture") == []


def test_traffic_that_was_kept_is_counted_when_the_old_columns_are_declared_again(world: World) -> None:
    _change(world, data=_columns(ADDED))
    _serve(world)
    source = world.captured(ex.traffic(30))
    with pytest.raises(TerminalError):
        world.profile(source)
    _change(world)
    assert world.profile(source).counted == {ex.NAME: 30}


def test_traffic_that_was_kept_is_put_aside_when_a_version_with_the_new_columns_serves(world: World) -> None:
    _change(world, data=_columns(ADDED))
    _serve(world)
    source = world.captured(ex.traffic(30))
    with pytest.raises(TerminalError):
        world.profile(source)
    baseline = ex.baseline()
    bins = {**baseline.bins, "seats": baseline.bins["delay"]}
    counts = {**baseline.reference.counts, "seats": baseline.reference.counts["delay"]}
    renewed = replace(baseline, bins=bins, reference=replace(baseline.reference, counts=counts), text=b"")
    world.objects.write(ex.ARTIFACTS, "renewed.json", renewed.to_json())
    champion = replace(ex.champion(2), baseline_uri=f"s3://{ex.ARTIFACTS}/renewed.json")
    world.ledger.set_champion(ex.NAME, champion)
    batch = world.profile(source)
    assert (batch.counted[ex.NAME], batch.quarantined[ex.NAME]) == (0, 30)
    assert {item["reason"] for item in world.quarantined("capture")} == {"has 4 cells where the model file declares 5"}


def test_traffic_of_other_columns_costs_the_other_models_of_a_batch_nothing(world: World) -> None:
    _serve(world)
    world.ledger.set_champion("other_train", ex.champion())
    world.models = FakeModels(ex.model(data=_columns(ADDED)), ex.model("other_train"))
    batch = world.traffic_batch()
    with pytest.raises(TerminalError, match="seats"):
        batch.add(world.captured(ex.traffic(30)))
    batch.add(world.captured(ex.traffic(5), base="driftloop-other-train"))
    batch.flush()
    assert batch.counted == {"other_train": 5}


def test_no_window_is_judged_while_no_traffic_can_be_counted(world: World) -> None:
    _change(world, data=_columns(ADDED))
    _serve(world)
    report = world.detector.detect(ex.NAME, world.clock.now())
    assert report is not None
    assert (report.verdict, report.rows) == (Verdict.NOT_ENOUGH_DATA, 0)


def test_rows_in_another_order_are_put_aside_with_the_cell_that_does_not_fit(world: World) -> None:
    _change(world, data=_columns(REORDERED))
    _serve(world)
    batch = world.profile(world.captured(ex.traffic(30)))
    assert (batch.counted[ex.NAME], batch.quarantined[ex.NAME]) == (0, 30)
    assert all(item["reason"].endswith("is not a number") for item in world.quarantined("capture"))
