"""Faults that are put into sound windows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.detection.inject import INJECTORS, Injected, Trial, healthy, judge, summary, trials
from benchmarks.detection.stream import Stream
from driftloop.data.schema import Columns
from driftloop.data.windows import DAY, Window
from driftloop.monitoring.faults import FaultKind
from driftloop.monitoring.report import Verdict
from tests.unit.benchmarks.detection_streams import FIRST, small_stream, workshop

WINDOW = Window(FIRST, FIRST + DAY)


def _rows(stream: Stream) -> Columns:
    return stream.table(stream.rows(WINDOW))


def _injected(kind: FaultKind) -> Iterator[tuple[Columns, Injected]]:
    stream = small_stream()
    for seed in range(12):
        rows = _rows(stream)
        injected = INJECTORS[kind](stream.schema, rows, np.random.default_rng(seed))
        if injected is not None:
            yield rows, injected


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_fault_changes_its_columns_and_no_others(kind: FaultKind) -> None:
    found = list(_injected(kind))
    assert found
    for before, injected in found:
        assert injected.kind is kind
        if kind is FaultKind.DUPLICATED:
            assert len(injected.rows["usage"]) == 2 * len(before["usage"])
            continue
        changed = {n for n in before if [str(v) for v in before[n]] != [str(v) for v in injected.rows[n]]}
        assert changed == (set(injected.columns) or {"happened_at"})
        assert all(injected.rows[name].dtype == before[name].dtype for name in before)


def test_the_stream_itself_is_never_touched() -> None:
    stream = small_stream()
    before = {name: values.copy() for name, values in stream.columns.items()}
    for kind in FaultKind:
        list(_injected(kind))
    assert all((values == before[name]).all() for name, values in stream.columns.items())


def test_a_sound_window_is_not_broken() -> None:
    windows = [WINDOW, Window(FIRST + DAY, FIRST + 2 * DAY)]
    reports = healthy(small_stream(), [(workshop().train(FIRST), windows)])
    assert [report.verdict is Verdict.BROKEN_UPSTREAM for report in reports] == [False, False]


def test_trials_are_repeatable_and_counted() -> None:
    versions = [(workshop().train(FIRST), [WINDOW])]
    one, other = (trials(small_stream(), versions, 2, 4) for _ in range(2))
    assert summary(one) == summary(other)
    by_name = {item["name"]: item for item in summary(one)}
    assert {item["trials"] for item in by_name.values()} == {2}
    assert by_name["went missing"]["named_right"] == 2
    assert by_name["unseen categories"]["named_right"] == 2


def test_only_the_right_kind_in_the_right_column_counts() -> None:
    stream, version = small_stream(), workshop().train(FIRST)
    rows = _rows(stream)
    empty = rows | {"age": np.full(len(rows["age"]), np.nan)}
    report = judge(stream, version, WINDOW, empty)
    assert report.verdict is Verdict.BROKEN_UPSTREAM
    assert Trial(Injected(FaultKind.MISSING, ("age",), empty, ""), report).right
    assert not Trial(Injected(FaultKind.MISSING, ("price",), empty, ""), report).right
    wrong = Trial(Injected(FaultKind.CONSTANT, ("age",), empty, ""), report)
    assert not wrong.right
    assert wrong.named == "went missing"
    sound = judge(stream, version, WINDOW, rows)
    assert not Trial(Injected(FaultKind.MISSING, ("age",), rows, ""), sound).right
