"""Late labels find their predictions; those that never will are put aside."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from driftloop.data.rows import read_rows, select
from driftloop.data.schema import Columns
from driftloop.loop import join_labels
from driftloop.loop.join_labels import WAITS
from driftloop.loop.sources import Source
from driftloop.ports import RetryableError, TerminalError
from driftloop.simulation.fakes import FakeModels
from tests.fakes import examples as ex
from tests.unit.loop.world import World

COLUMNS = ex.traffic(40)


@pytest.fixture
def world() -> World:
    made = World()
    made.serve()
    return made


def _labelled(world: World) -> Columns:
    keys = world.objects.keys(ex.LIVE, f"labelled/{ex.NAME}/")
    return read_rows(ex.SCHEMA, [world.objects.read(ex.LIVE, key) for key in keys], label=True)


def _arrived(world: World, content: bytes, name: str = "a") -> Source:
    return world.arrived(f"labels/{ex.NAME}/{name}.jsonl", content)


def test_labels_meet_their_predictions(world: World) -> None:
    world.profile(world.captured(COLUMNS))
    batch = world.join(_arrived(world, ex.labels(COLUMNS)))
    labelled = _labelled(world)
    for name in (*ex.SCHEMA.payload, "score", "late"):
        np.testing.assert_array_equal(labelled[name], COLUMNS[name])
    assert (batch.joined[ex.NAME], batch.quarantined[ex.NAME]) == (40, 0)


def test_predictions_of_two_dates_in_one_object_are_both_found(world: World) -> None:
    columns = ex.traffic(40, ex.START - timedelta(days=1), days=2)
    world.profile(world.captured(columns))
    assert world.join(_arrived(world, ex.labels(columns))).joined[ex.NAME] == 40
    assert len(world.objects.keys(ex.LIVE, "labelled/")) == 2


def test_a_label_without_prediction_waits_and_is_then_put_aside(world: World) -> None:
    source = _arrived(world, ex.labels(select(COLUMNS, np.arange(2))) + ex.label_line("nobody", 1))
    world.profile(world.captured(COLUMNS))
    for delivery in range(1, WAITS):
        with pytest.raises(RetryableError, match=r"1 labels of .* have no prediction yet"):
            world.join(source, delivery)
    assert world.objects.keys(ex.LIVE, "labelled/") == []
    assert world.quarantined("labels") == []
    batch = world.join(source, WAITS)
    assert (batch.joined[ex.NAME], batch.quarantined[ex.NAME]) == (2, 1)
    assert [(q["reason"], q["content"]) for q in world.quarantined("labels")] == [
        ("no prediction has this id", "nobody")
    ]


def test_a_label_that_overtook_its_prediction_is_joined_in_time(world: World) -> None:
    source = _arrived(world, ex.labels(COLUMNS))
    with pytest.raises(RetryableError, match="40 labels"):
        world.join(source, 1)
    world.profile(world.captured(COLUMNS))
    assert world.join(source, 2).joined[ex.NAME] == 40
    assert world.quarantined("labels") == []


def test_a_label_that_comes_twice_writes_the_same_file_again(world: World) -> None:
    world.profile(world.captured(COLUMNS))
    source = _arrived(world, ex.labels(COLUMNS))
    world.join(source)
    keys = world.objects.keys(ex.LIVE, "labelled/")
    content = world.objects.read(ex.LIVE, keys[0])
    world.join(source, 2)
    assert world.objects.keys(ex.LIVE, "labelled/") == keys
    assert world.objects.read(ex.LIVE, keys[0]) == content


def test_a_label_that_never_comes_leaves_its_row_out(world: World) -> None:
    world.profile(world.captured(COLUMNS))
    world.join(_arrived(world, ex.labels(select(COLUMNS, np.arange(10)))))
    assert _labelled(world)["trip"].tolist() == COLUMNS["trip"][:10].tolist()


def test_contradicting_labels_are_put_aside(world: World) -> None:
    world.profile(world.captured(COLUMNS))
    row = COLUMNS["trip"][0]
    world.join(_arrived(world, ex.label_line(row, 1) + ex.label_line(row, 0) + b"garbage\n"))
    assert _labelled(world)["late"].tolist() == [1]
    assert [q["line"] for q in world.quarantined("labels")] == [2, 3]


def test_predictions_that_were_delivered_twice_are_joined_once(world: World) -> None:
    one, two = world.captured(COLUMNS, "a"), world.captured(ex.traffic(5, seed=8), "b")
    world.profile(one)
    world.profile(one, two)
    assert world.join(_arrived(world, ex.labels(COLUMNS))).joined[ex.NAME] == 40
    assert len(_labelled(world)["trip"]) == 40


def test_labels_that_are_late_by_days_are_not_found_any_more(world: World) -> None:
    world.profile(world.captured(COLUMNS))
    world.clock.advance(days=5)
    assert world.join(_arrived(world, ex.labels(COLUMNS)), WAITS).quarantined[ex.NAME] == 40


def test_a_warm_function_reads_each_rows_file_once(world: World) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        columns = ex.traffic(10, seed=seed)
        world.profile(world.captured(columns, name))
        world.join(_arrived(world, ex.labels(columns), name))
    rows = world.objects.keys(ex.LIVE, "rows/")
    assert [world.objects.reads[key] for key in rows] == [1, 1]


def test_what_a_warm_function_keeps_is_bounded(world: World) -> None:
    world.profile(world.captured(COLUMNS))
    world.join(_arrived(world, ex.labels(COLUMNS)))
    world.clock.advance(days=10)
    # A label that it has not seen a prediction for makes it look again, and what is too old by now is let go.
    world.join(_arrived(world, ex.label_line("nobody", 1), "b"), WAITS)
    assert len(join_labels._ROWS) == 0
    assert [len(places) for _, places in join_labels._KNOWN.values()] == [0]


def test_a_warm_function_looks_for_predictions_only_if_it_misses_one(world: World) -> None:
    world.profile(world.captured(COLUMNS))
    first, second = select(COLUMNS, np.arange(2)), select(COLUMNS, np.arange(2, 4))
    world.join(_arrived(world, ex.labels(first), "a"))
    world.objects.reads.clear()
    assert world.join(_arrived(world, ex.labels(second), "b")).joined[ex.NAME] == 2
    assert not [key for key in world.objects.reads if key.startswith("rows/")]


def test_rows_from_before_a_change_of_columns_stop_nothing(world: World) -> None:
    world.profile(world.captured(COLUMNS))
    features = {"line": "category", "delay": "number", "seats": "integer"}
    data = {"id": "trip", "time": "departure", "label": "late", "label_delay": "12h", "features": features}
    world.models = FakeModels(ex.model(data=data))
    batch = world.join(_arrived(world, ex.labels(COLUMNS)), WAITS)
    assert (batch.joined[ex.NAME], batch.quarantined[ex.NAME]) == (0, 40)


@pytest.mark.parametrize("key", ["labels/a.jsonl", "capture/driftloop-late-train/x/a.jsonl", "x"])
def test_a_key_that_is_no_label_file(world: World, key: str) -> None:
    with pytest.raises(TerminalError, match="is not a label key"):
        world.label_batch().add(Source(ex.LIVE, key, None, "e", 1), 1)
