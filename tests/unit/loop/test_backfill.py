"""Past traffic is rebuilt hour by hour, for any baseline, and leaves the same objects however often."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.loop import backfill
from driftloop.loop.backfill import (
    HOUR,
    Plan,
    Rebuilder,
    Rebuilt,
    Task,
    by_hour,
    days,
    hour_of,
    hour_prefix,
    parts,
    plan,
)
from driftloop.loop.sources import Source
from driftloop.ports import NotFoundError
from tests.fakes import examples as ex
from tests.unit.loop.world import World

ARRIVED = datetime(2026, 3, 2, 10, tzinfo=UTC)


@dataclass
class FakeCaptures:
    """What was captured into a world."""

    world: World
    gone: set[str] = field(default_factory=set)
    """Keys that expire between being listed and being read."""

    def find(self, bucket: str, prefix: str) -> list[Source]:
        keys = self.world.objects.keys(bucket, prefix)
        found = [Source(bucket, key, None, "etag", len(self.world.objects.read(bucket, key))) for key in keys]
        return [Source(s.bucket, s.key, "9" if s.key in self.gone else s.version, s.etag, s.size) for s in found]


@pytest.fixture
def world() -> World:
    made = World()
    made.serve()
    for name in "abc":
        made.captured(ex.traffic(20, seed=ord(name)), name)
    return made


def _rebuilder(world: World, **captures: set[str]) -> Rebuilder:
    return Rebuilder(world.models, world.objects, FakeCaptures(world, **captures), ex.LIVE)


def _task(run: str = "r1", uri: str = ex.BASELINE_URI, hour: datetime = ARRIVED) -> Task:
    return Task(run, ex.NAME, uri, hour)


def _results(world: World) -> dict[str, bytes]:
    keys = [key for prefix in ("shards/", "rows/", "quarantine/") for key in world.objects.keys(ex.LIVE, prefix)]
    return {key: world.objects.read(ex.LIVE, key) for key in keys}


def test_an_hour_is_rebuilt_as_if_it_had_just_arrived(world: World) -> None:
    assert _rebuilder(world).rebuild(_task()) == Rebuilt(3, 60, 0)
    rebuilt = _results(world)
    other = World()
    other.serve()
    found = FakeCaptures(world).find(ex.LIVE, "capture/")
    for source in found:
        other.objects.write(ex.LIVE, source.key, world.objects.read(ex.LIVE, source.key))
    other.profile(*found)
    assert rebuilt == _results(other)


def test_rebuilding_again_changes_nothing(world: World) -> None:
    rebuilder = _rebuilder(world)
    rebuilder.rebuild(_task())
    before = _results(world)
    rebuilder.rebuild(_task("r2"))
    assert _results(world) == before


def test_traffic_is_counted_for_the_baseline_that_was_named(world: World) -> None:
    text = ex.baseline().to_json() + b"\n"
    world.objects.write(ex.ARTIFACTS, "evaluations/new/baseline.json", text)
    _rebuilder(world).rebuild(_task(uri=f"s3://{ex.ARTIFACTS}/evaluations/new/baseline.json"))
    places = {key.split("/")[2] for key in world.objects.keys(ex.LIVE, "shards/")}
    assert len(places) == 1
    assert places != {ex.baseline().id}


def test_a_receipt_says_what_was_done(world: World) -> None:
    world.arrived(f"{hour_prefix(ex.BASE, ARRIVED)}bad.jsonl", b"no JSON\n")
    _rebuilder(world).rebuild(_task())
    (key,) = world.objects.keys(ex.LIVE, backfill.receipts(ex.NAME, "r1"))
    assert key == f"backfills/{ex.NAME}/r1/2026-03-02T10.json"
    content = world.objects.read(ex.LIVE, key)
    assert json.loads(content) == {"objects": 4, "rows": 60, "quarantined": 1}
    assert backfill.sum_receipts([content, content]) == Rebuilt(8, 120, 2)


def test_only_the_hour_is_read(world: World) -> None:
    assert _rebuilder(world).rebuild(_task(hour=ARRIVED + HOUR)) == Rebuilt()
    assert _results(world) == {}


def test_an_object_that_has_expired_meanwhile_is_left_out(world: World) -> None:
    gone = {f"{hour_prefix(ex.BASE, ARRIVED)}b.jsonl"}
    assert _rebuilder(world, gone=gone).rebuild(_task()) == Rebuilt(2, 40, 0)


def test_a_baseline_or_a_model_that_is_not_there(world: World) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.json"):
        _rebuilder(world).rebuild(_task(uri=f"s3://{ex.ARTIFACTS}/gone.json"))
    with pytest.raises(NotFoundError, match="'other' is not deployed"):
        _rebuilder(world).rebuild(Task("r", "other", ex.BASELINE_URI, ARRIVED))


def test_large_hours_are_rebuilt_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "PART_OBJECTS", 2)
    assert _rebuilder(world).rebuild(_task()) == Rebuilt(3, 60, 0)
    assert len(world.objects.keys(ex.LIVE, f"rows/{ex.NAME}/")) == 2


def _source(key: str, size: int = 1) -> Source:
    return Source(ex.LIVE, key, None, "e", size)


@given(st.lists(st.integers(0, 100)))
def test_parts_hold_everything_in_order_and_no_more_than_fits(sizes: list[int]) -> None:
    found = [_source(f"{number:04d}", size * 1024 * 1024) for number, size in enumerate(sizes)]
    cut = list(parts(found))
    assert [source for part in cut for source in part] == found
    for part in cut:
        assert len(part) == 1 or sum(source.size for source in part) <= backfill.PART_BYTES


def test_keys_are_read_as_they_are_written() -> None:
    assert hour_of(hour_prefix(ex.BASE, ARRIVED) + "x.jsonl") == ARRIVED
    elsewhere = ARRIVED.astimezone(tz=datetime.now().astimezone().tzinfo)
    assert hour_prefix(ex.BASE, elsewhere) == "capture/driftloop-late-train/AllTraffic/2026/03/02/10/"


def test_objects_outside_of_the_range_and_other_keys_are_left_out() -> None:
    keys = [f"{hour_prefix(ex.BASE, ARRIVED + HOUR * number)}x" for number in range(-1, 3)]
    found = [*map(_source, keys), _source("capture/driftloop-late-train/AllTraffic/readme.txt")]
    assert list(by_hour(found, ARRIVED, ARRIVED + 2 * HOUR)) == [ARRIVED, ARRIVED + HOUR]


@pytest.mark.parametrize(("hours", "count"), [(1, 1), (14, 1), (15, 2), (38, 2), (39, 3)])
def test_dates_of_a_range(hours: int, count: int) -> None:
    found = days(ARRIVED, ARRIVED + hours * HOUR)
    assert found == [ARRIVED.replace(hour=0) + timedelta(days=number) for number in range(count)]


@pytest.mark.parametrize(("above", "spark"), [(None, False), (10**6, False), (100, True)])
def test_a_plan_counts_and_chooses(world: World, above: int | None, spark: bool) -> None:
    spec = ex.spec()
    spec["monitoring"]["spark_above"] = above
    made = plan(FakeCaptures(world), ex.LIVE, ex.BASE, (ARRIVED - HOUR, ARRIVED + HOUR), spec)
    assert (made.objects, list(made.hours)) == (3, [ARRIVED])
    assert made.size == sum(len(world.objects.read(ex.LIVE, key)) for key in world.objects.keys(ex.LIVE, "capture/"))
    assert made.on_spark is spark
    assert made.tasks("r", ex.NAME, "uri") == [Task("r", ex.NAME, "uri", ARRIVED)]


def test_nothing_is_never_too_much() -> None:
    assert not Plan({}, 1).on_spark
