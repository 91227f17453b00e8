"""What detect_drift leaves for the decisions about retraining."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from driftloop.data.schema import Columns
from driftloop.retraining.decision import BROKEN, LOOK_BACK
from driftloop.retraining.episode import Status, Trigger
from driftloop.retraining.evidence import Watch
from tests.fakes import examples as ex
from tests.unit.loop.world import World

DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    made = World()
    made.serve()
    return made


def _detect(world: World) -> Watch:
    report = world.detector.detect(ex.NAME, world.clock.now())
    watch = world.ledger.watch(ex.NAME)
    assert report is not None
    assert watch is not None
    assert (watch.window_end, watch.version) == (report.window.end, report.version)
    assert (watch.verdict, list(watch.reasons)) == (report.verdict, report.reasons)
    return watch


def _label(world: World, columns: Columns, name: str = "a") -> None:
    world.join(world.arrived(f"labels/{ex.NAME}/{name}.jsonl", ex.labels(columns)))


def _every(columns: Columns, step: int) -> Columns:
    return {name: values[::step] for name, values in columns.items()}


def test_the_verdict_of_the_latest_window(world: World) -> None:
    assert world.ledger.watch(ex.NAME) is None
    world.profile(world.captured(ex.traffic(100, seed=3)))
    watch = _detect(world)
    assert (watch.window_end, watch.version, watch.verdict) == (ex.START + DAY, 1, "stable")
    assert watch.reasons == ("every score is below its limit",)


def test_without_a_version_nothing_is_seen() -> None:
    world = World()
    assert world.detector.detect(ex.NAME, world.clock.now()) is None
    assert world.ledger.watch(ex.NAME) is None


def test_labelled_rows_are_counted_again_as_labels_arrive(world: World) -> None:
    columns = ex.traffic(200, ex.START - DAY, days=2, seed=3)
    world.profile(world.captured(columns))
    world.clock.advance(hours=12)
    assert set(_detect(world).labelled.values()) == {0}
    _label(world, _every(columns, 2))
    assert _detect(world).labelled == {ex.START - DAY: 50, ex.START: 50}
    _label(world, columns, "b")
    _label(world, columns, "again")
    assert _detect(world).labelled == {ex.START - DAY: 100, ex.START: 100}


def test_windows_before_those_that_are_judged_now_are_remembered(world: World) -> None:
    columns = ex.traffic(100, ex.START, seed=3)
    world.profile(world.captured(columns))
    world.clock.advance(hours=12)
    _label(world, columns)
    assert _detect(world).labelled[ex.START] == 100
    world.clock.advance(days=30)
    watch = _detect(world)
    assert watch.labelled[ex.START] == 100
    assert watch.labelled_since(ex.START) == 100
    assert watch.labelled_since(ex.START + DAY) == 0


def test_windows_of_more_than_ninety_days_ago_are_forgotten(world: World) -> None:
    end = ex.START + DAY
    known = {end - LOOK_BACK - DAY: 1, end - LOOK_BACK: 2, end - LOOK_BACK + DAY: 3}
    world.ledger.set_watch(ex.NAME, Watch(ex.START, 1, "stable", (), known))
    labelled = _detect(world).labelled
    assert min(labelled) == end - LOOK_BACK + DAY
    assert labelled[end - LOOK_BACK + DAY] == 3


def test_months_of_windows_do_not_make_it_grow(world: World) -> None:
    for _ in range(120):
        _detect(world)
        world.clock.advance(days=1)
    watch = world.ledger.watch(ex.NAME)
    assert watch is not None
    assert watch.window_end - min(watch.labelled) < LOOK_BACK
    assert len(watch.labelled) == LOOK_BACK.days - 1


# From the feed to the decision


def _broken(world: World) -> None:
    columns = ex.traffic(100)
    columns["delay"] = np.full(100, np.nan)
    world.profile(world.captured(columns))


def test_a_feed_that_is_broken_upstream_teaches_nobody(world: World) -> None:
    _broken(world)
    assert _detect(world).verdict == BROKEN
    for trigger in (Trigger.QUALITY, Trigger.MANUAL):
        refused = world.starter.handle(ex.request(trigger, "now", world.clock.now()))
        assert (refused.status, refused.rule) == (Status.REFUSED, "sound")
        assert "delay is missing in 100% of rows" in refused.outcome
    assert world.pipelines.started == {}


def test_a_fault_of_long_ago_is_no_reason_any_more(world: World) -> None:
    _broken(world)
    _detect(world)
    world.clock.advance(days=4, hours=1)  # the windows that an alarm looks at are all later ones
    assert world.starter.handle(ex.request(at=world.clock.now())).status is Status.STARTED


def test_a_feed_that_is_sound_again(world: World) -> None:
    _broken(world)
    _detect(world)
    world.profile(world.captured(ex.traffic(100, ex.START + DAY, seed=3), "b"))
    world.clock.advance(days=1)
    assert _detect(world).verdict != BROKEN
    assert world.starter.handle(ex.request(at=world.clock.now())).status is Status.STARTED
