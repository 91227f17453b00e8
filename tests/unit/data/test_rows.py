"""Rows as CSV: what is written is read back, and what was delivered twice is read once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data.parsing import BadRowError, Cell, to_columns
from driftloop.data.rows import (
    by_date,
    concatenate,
    latest_by_id,
    read_outcomes,
    read_rows,
    select,
    write_rows,
)
from driftloop.data.schema import Columns
from tests.fakes.examples import SCHEMA, START, traffic

Example = tuple[Cell | np.datetime64, ...]
NAMES = (*SCHEMA.payload, "score")
PRINTABLE = st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(' ,"')
TEXT = st.text(PRINTABLE, max_size=20).map(str.strip)
MISSING = {"nan", "NaN", "NA", "null", "None"}
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)).map(lambda t: np.datetime64(t, "s"))  # noqa: DTZ001
ROWS = st.lists(
    st.tuples(
        TEXT.filter(bool),
        TIMES,
        TEXT.filter(lambda text: text not in MISSING),
        st.floats(allow_infinity=False),
        st.floats(0, 1),
        st.integers(0, 1),
    ),
    max_size=12,
)


def _columns(rows: list[Example]) -> Columns:
    columns = to_columns(SCHEMA, [list(row[:4]) for row in rows])
    columns["score"] = np.array([row[4] for row in rows], dtype=np.float64)
    columns["late"] = np.array([row[5] for row in rows], dtype=np.int8)
    return columns


def _same(left: Columns, right: Columns, names: tuple[str, ...] = NAMES) -> None:
    for name in names:
        np.testing.assert_array_equal(left[name], right[name])
        assert left[name].dtype == right[name].dtype


@given(ROWS)
def test_rows_survive_the_round_trip_exactly(rows: list[Example]) -> None:
    columns = _columns(rows)
    _same(read_rows(SCHEMA, [write_rows(SCHEMA, {"a": columns})]), columns)
    _same(read_rows(SCHEMA, [write_rows(SCHEMA, {"a": columns}, label=True)], label=True), columns, (*NAMES, "late"))


@given(ROWS)
def test_the_short_way_reads_the_same_outcomes(rows: list[Example]) -> None:
    columns = _columns(rows)
    content = write_rows(SCHEMA, {"a": columns}, label=True)
    _same(read_outcomes(SCHEMA, content), columns, ("trip", "departure", "score", "late"))


def test_the_short_way_keeps_ids_that_end_like_times() -> None:
    columns = select(traffic(2), np.arange(2))
    columns["trip"] = np.array(["A", "AZ"], dtype=object)
    assert read_outcomes(SCHEMA, write_rows(SCHEMA, {"a": columns}, label=True))["trip"].tolist() == ["A", "AZ"]


def test_an_object_that_was_delivered_twice_is_read_once() -> None:
    one, two = traffic(5, seed=1), traffic(5, seed=2)
    files = [write_rows(SCHEMA, {"a": one}), write_rows(SCHEMA, {"a": one, "b": two}), write_rows(SCHEMA, {"b": two})]
    assert read_rows(SCHEMA, files)["trip"].tolist() == [*one["trip"], *two["trip"]]


def test_an_object_whose_rows_span_midnight_is_read_whole() -> None:
    columns = traffic(10, START, days=2)
    files = [write_rows(SCHEMA, {"a": part}) for part in by_date(columns, "departure").values()]
    assert len(files) == 2
    _same(read_rows(SCHEMA, [*files, *files]), columns)


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n", b"object,trip,departure,line,delay\n", b"object,departure,trip,line,delay,score\n"],
    ids=["empty", "foreign", "no-score", "other-order"],
)
def test_a_file_of_other_columns_is_refused(content: bytes) -> None:
    with pytest.raises(BadRowError, match="header differs"):
        read_rows(SCHEMA, [content])


def test_no_files_give_no_rows() -> None:
    assert {name: len(values) for name, values in read_rows(SCHEMA, [], label=True).items()} == dict.fromkeys(
        (*NAMES, "late", "object"), 0
    )


@given(ids=st.lists(st.sampled_from(["a", "b", "c", "c\u0301"]), max_size=10))
def test_the_last_row_of_an_id_wins(ids: list[str]) -> None:
    columns = {"trip": np.array(ids, dtype=object), "place": np.arange(len(ids))}
    latest = latest_by_id(columns, "trip")
    expected = {row_id: place for place, row_id in enumerate(ids)}
    assert dict(zip(latest["trip"].tolist(), latest["place"].tolist(), strict=True)) == expected
    assert latest["place"].tolist() == sorted(latest["place"].tolist())


def test_rows_are_split_by_event_date() -> None:
    columns = traffic(9, START, days=3)
    parts = by_date(columns, "departure")
    assert list(parts) == [(START + timedelta(days=day)).strftime("%Y-%m-%d") for day in range(3)]
    _same(concatenate(list(parts.values())), columns)


def test_writing_is_deterministic() -> None:
    one, two = traffic(3, seed=1), traffic(3, seed=2)
    assert write_rows(SCHEMA, {"a": one, "b": two}) == write_rows(SCHEMA, {"b": two, "a": one})


def test_times_are_written_in_utc() -> None:
    columns = select(traffic(1, datetime(2026, 3, 2, 7, tzinfo=UTC)), np.arange(1))
    assert b"2026-03-02T07:00:00Z" in write_rows(SCHEMA, {"a": columns})


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content + b"x\n",
        lambda content: content.replace(b",0.", b",ten"),
        lambda content: content + b"\xff",
    ],
    ids=["broken off", "a short line", "no score", "no text"],
)
def test_a_damaged_file_is_refused(damage: Callable[[bytes], bytes]) -> None:
    content = damage(write_rows(SCHEMA, {"a": traffic(9)}, label=True))
    with pytest.raises(BadRowError, match="not a whole file of rows"):
        read_rows(SCHEMA, [content], label=True)
    with pytest.raises(BadRowError, match="not a whole file of labelled rows"):
        read_outcomes(SCHEMA, content)
