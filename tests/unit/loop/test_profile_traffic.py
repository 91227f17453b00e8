"""Traffic becomes shards and rows, once per object however often it is delivered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from driftloop.data import lines
from driftloop.data.rows import read_rows
from driftloop.loop import profile_traffic
from driftloop.loop.sources import Source
from driftloop.monitoring.profile import Profile, merge, profile_columns
from driftloop.ports import NotFoundError, RetryableError, TerminalError
from driftloop.simulation.fakes import FakeModels
from tests.fakes import examples as ex
from tests.unit.loop.world import World

DAY = "2026-03-02"


@pytest.fixture
def world() -> World:
    made = World()
    made.serve()
    return made


def _shards(world: World, day: str = DAY) -> list[Profile]:
    keys = world.objects.keys(ex.LIVE, f"shards/{ex.NAME}/{ex.baseline().id}/{day}/")
    shards = [shard for key in keys for shard in json.loads(world.objects.read(ex.LIVE, key))]
    return [Profile.from_dict(profile, ex.baseline().bins) for shard in shards for profile in shard["hours"].values()]


def test_shards_sum_to_the_profile_of_the_rows(world: World) -> None:
    columns = ex.traffic(60)
    batch = world.profile(world.captured(columns))
    bins = ex.baseline().bins
    assert merge(bins, _shards(world)).to_dict() == profile_columns(bins, columns, ex.SCHEMA).to_dict()
    assert len(_shards(world)) == 24
    assert (batch.counted[ex.NAME], batch.quarantined[ex.NAME]) == (60, 0)


def test_rows_are_kept_as_they_came(world: World) -> None:
    columns = ex.traffic(60)
    world.profile(world.captured(columns))
    keys = world.objects.keys(ex.LIVE, f"rows/{ex.NAME}/{DAY}/")
    kept = read_rows(ex.SCHEMA, [world.objects.read(ex.LIVE, key) for key in keys])
    for name in (*ex.SCHEMA.payload, "score"):
        np.testing.assert_array_equal(kept[name], columns[name])


def test_a_retry_of_a_batch_writes_the_same_objects_again(world: World) -> None:
    batch = [world.captured(ex.traffic(9, seed=1), "a"), world.captured(ex.traffic(9, seed=2), "b")]
    world.profile(*batch)
    before = world.objects.keys(ex.LIVE, "")
    contents = [world.objects.read(ex.LIVE, key) for key in before]
    world.profile(*reversed(batch))
    assert world.objects.keys(ex.LIVE, "") == before
    assert [world.objects.read(ex.LIVE, key) for key in before] == contents


def test_rows_go_to_the_date_of_their_event(world: World) -> None:
    world.profile(world.captured(ex.traffic(30, days=3)))
    for prefix in (f"rows/{ex.NAME}/", f"shards/{ex.NAME}/{ex.baseline().id}/"):
        days = {key.removeprefix(prefix)[:10] for key in world.objects.keys(ex.LIVE, prefix)}
        assert days == {"2026-03-02", "2026-03-03", "2026-03-04"}


def test_what_cannot_be_read_is_kept_with_its_place(world: World) -> None:
    good = ex.capture(ex.traffic(7))
    bad = ex.record("t,never,north,1", "0.5")
    source = world.arrived(f"capture/{ex.BASE}/AllTraffic/2026/03/02/10/a.jsonl", good + b"garbage\n" + bad)
    batch = world.profile(source)
    assert (batch.counted[ex.NAME], batch.quarantined[ex.NAME]) == (7, 2)
    assert [(q["line"], q["offset"], q["source"]) for q in world.quarantined("capture")] == [
        (2, len(good), source.key),
        (3, len(good) + 8, source.key),
    ]
    assert "time 'never' is not ISO-8601" in world.quarantined("capture")[1]["reason"]


def test_a_poisoned_object_costs_the_others_of_its_batch_nothing(world: World) -> None:
    hostile = ex.record("t1,2026-03-02T10:00:00Z,\ud800,1\nt2,0001-01-01T00:00:00+23:00,x,1", "0.5\n0.5")
    poisoned = world.arrived(f"capture/{ex.BASE}/AllTraffic/2026/03/02/10/p.jsonl", hostile)
    batch = world.profile(poisoned, world.captured(ex.traffic(5)))
    assert (batch.counted[ex.NAME], batch.quarantined[ex.NAME]) == (5, 2)


def test_an_object_of_nothing_but_garbage_writes_no_shard(world: World) -> None:
    batch = world.profile(world.arrived(f"capture/{ex.BASE}/AllTraffic/2026/03/02/10/a.jsonl", b"x\ny\n"))
    assert (batch.counted[ex.NAME], batch.quarantined[ex.NAME]) == (0, 2)
    assert world.objects.keys(ex.LIVE, "shards/") == world.objects.keys(ex.LIVE, "rows/") == []


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An object of many parts, as objects beyond 4 MB are."""
    monkeypatch.setattr(lines, "PIECE", 1000)
    monkeypatch.setattr(profile_traffic, "HELD_CELLS", 200)
    good = ex.capture(ex.traffic(300)).splitlines(keepends=True)
    return b"".join(line + b"garbage\n" for line in good)


def test_a_large_object_is_written_part_by_part(world: World, large: bytes) -> None:
    source = world.arrived(f"capture/{ex.BASE}/AllTraffic/2026/03/02/10/a.jsonl", large)
    batch = world.profile(source)
    bad = large.count(b"garbage")
    assert (batch.counted[ex.NAME], batch.quarantined[ex.NAME]) == (300, bad)
    places = sorted((q["line"], q["offset"]) for q in world.quarantined("capture"))
    assert [line for line, _ in places] == list(range(2, 2 * bad + 1, 2))
    assert all(large[offset:].startswith(b"garbage") for _, offset in places)
    assert len(world.objects.keys(ex.LIVE, "shards/")) == 1
    columns = ex.traffic(300)
    bins = ex.baseline().bins
    assert merge(bins, _shards(world)).to_dict() == profile_columns(bins, columns, ex.SCHEMA).to_dict()
    keys = world.objects.keys(ex.LIVE, f"rows/{ex.NAME}/{DAY}/")
    assert len(keys) > 1
    world.profile(source)
    assert world.objects.keys(ex.LIVE, f"rows/{ex.NAME}/{DAY}/") == keys
    kept = read_rows(ex.SCHEMA, [world.objects.read(ex.LIVE, key) for key in [*keys, *keys]])
    assert sorted(kept["trip"]) == sorted(columns["trip"])


def test_no_row_is_lost_if_parts_are_cut_in_other_places_later(
    world: World, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = world.arrived(f"capture/{ex.BASE}/AllTraffic/2026/03/02/10/a.jsonl", large)
    world.profile(source)
    monkeypatch.setattr(lines, "PIECE", 700)
    world.profile(source)
    keys = world.objects.keys(ex.LIVE, f"rows/{ex.NAME}/{DAY}/")
    for order in (keys, keys[::-1]):
        kept = read_rows(ex.SCHEMA, [world.objects.read(ex.LIVE, key) for key in order])
        assert set(kept["trip"]) == set(ex.traffic(300)["trip"])


def test_an_object_that_breaks_off_is_not_counted(world: World, large: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    source = world.arrived(f"capture/{ex.BASE}/AllTraffic/2026/03/02/10/a.jsonl", large)
    whole = world.objects.blocks

    def breaks_off(*where: str) -> Iterator[bytes]:
        yield from islice(whole(*where), 20)
        raise ConnectionError

    batch = world.traffic_batch()
    monkeypatch.setattr(world.objects, "blocks", breaks_off)
    with pytest.raises(ConnectionError):
        batch.add(source)
    batch.flush()
    assert batch.counted[ex.NAME] == 0
    assert world.objects.keys(ex.LIVE, "shards/") == []


def test_before_the_first_version_traffic_waits() -> None:
    world = World()
    with pytest.raises(RetryableError, match="has no version yet"):
        world.profile(world.captured(ex.traffic(5)))


def test_traffic_of_the_first_rollout_counts_against_its_baseline(world: World) -> None:
    first = World(objects=world.objects)
    first.ledger.set_deployment(ex.NAME, ex.deployment(phase="updating"), None)
    first.profile(first.captured(ex.traffic(5)))
    assert sum(shard.rows for shard in _shards(first)) == 5


def test_a_missing_baseline_costs_the_other_models_of_a_batch_nothing(world: World) -> None:
    world.ledger.set_champion("other_train", ex.champion().__class__(1, "arn", "s3://x/gone.json", "c", ex.START))
    batch = world.traffic_batch()
    batch.add(world.captured(ex.traffic(5)))
    with pytest.raises(NotFoundError, match=r"gone\.json"):
        batch.add(world.captured(ex.traffic(5), base="driftloop-other-train"))
    batch.flush()
    assert batch.counted == {ex.NAME: 5}
    assert sum(shard.rows for shard in _shards(world)) == 5


def test_a_warm_function_reads_a_baseline_once(world: World) -> None:
    for name in "abc":
        world.profile(world.captured(ex.traffic(5), name))
    assert world.objects.reads[ex.BASELINE_KEY] == 1


@pytest.mark.parametrize("key", ["capture/x", "labels/late_train/a", "capture/foreign/AllTraffic/a.jsonl", "a"])
def test_a_key_that_is_no_capture(world: World, key: str) -> None:
    with pytest.raises(TerminalError, match="is not a"):
        world.traffic_batch().add(Source(ex.LIVE, key, None, "e", 1))


def test_a_model_that_is_not_deployed(world: World) -> None:
    with pytest.raises(NotFoundError, match="'gone' is not deployed"):
        world.profile(world.captured(ex.traffic(5), base="driftloop-gone"))


def test_an_object_that_is_gone(world: World) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        world.traffic_batch().add(Source(ex.LIVE, f"capture/{ex.BASE}/AllTraffic/x.jsonl", None, "e", 1))


def test_garbage_is_counted_in_full_and_told_in_short(world: World) -> None:
    content = ex.record("x\n" * 5000, "0\n" * 5000)
    batch = world.profile(world.arrived(f"capture/{ex.BASE}/AllTraffic/2026/03/02/10/a.jsonl", content))
    assert (batch.counted[ex.NAME], batch.quarantined[ex.NAME]) == (0, 5000)
    told = world.quarantined("capture")
    assert (len(told), sum(item["rows"] for item in told)) == (1001, 5000)
    assert told[-1]["reason"] == "4000 more rows or records from here on cannot be read either"


def test_an_object_that_comes_twice_in_a_batch_is_counted_once(world: World) -> None:
    source = world.captured(ex.traffic(30))
    assert world.profile(source, source).counted[ex.NAME] == 30


@pytest.mark.parametrize(
    ("features", "other"),
    [
        ({"track": "category", "delay": "number"}, "line, track"),
        ({"line": "category", "delay": "category"}, "delay"),
        ({"line": "category", "delay": "number", "seats": "integer"}, "seats"),
        ({"line": "category"}, "delay"),
    ],
    ids=["renamed", "retyped", "added", "removed"],
)
def test_a_baseline_of_other_columns_is_named(world: World, features: dict[str, str], other: str) -> None:
    world.models = FakeModels(ex.model(data={**ex.raw_spec()["data"], "features": features}))
    with pytest.raises(TerminalError, match=f"other columns than the model file declares: {other}; once a version"):
        world.profile(world.captured(ex.traffic(30)))
