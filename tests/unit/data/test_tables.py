"""Labelled rows as CSV: faults with their lines, days, and rows that are added to a file."""

from __future__ import annotations

import numpy as np
import pytest

from driftloop.data.rows import select
from driftloop.data.schema import Columns
from driftloop.data.tables import BadTableError, add_rows, history_tables, read_table, write_table
from tests.fakes.examples import SCHEMA

HEADER = "trip,departure,line,delay,late"
TEXT = f"""{HEADER}
A,2026-03-02T23:00:00Z,north,1.5,0
B,2026-03-03T01:00:00Z,"so,uth",,1
C,2026-03-02T22:00:00Z,,0.1,1
"""


def rows() -> Columns:
    return read_table(SCHEMA, TEXT.encode())


def test_what_is_written_is_read_back() -> None:
    assert write_table(SCHEMA, rows()) == TEXT.encode()
    assert (
        write_table(SCHEMA, read_table(SCHEMA, b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())) == TEXT.encode()
    )


def test_message_is_short_and_faults_are_all_there() -> None:
    text = f"{HEADER}\n" + "x\n" * 8
    with pytest.raises(BadTableError, match=r"line 6: .* and 3 more$") as caught:
        read_table(SCHEMA, text.encode())
    assert [fault.split(":")[0] for fault in caught.value.faults] == [f"line {number}" for number in range(2, 10)]


def test_lines_are_those_of_the_file_even_if_cells_hold_line_ends() -> None:
    text = f'{HEADER}\n"A\nB",2026-03-02T23:00:00Z,north,1,0\n\nC,2026-03-02T23:00:00Z,north,1,9\n'
    with pytest.raises(BadTableError) as caught:
        read_table(SCHEMA, text.encode())
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["line 3", "line 5"]


def test_repeated_ids_are_faults_only_if_asked() -> None:
    text = TEXT + "A,2026-03-04T00:00:00Z,north,1,0\n"
    assert len(read_table(SCHEMA, text.encode())["trip"]) == 4
    with pytest.raises(BadTableError, match="line 5: id 'A' is on line 2 already"):
        read_table(SCHEMA, text.encode(), unique=True)


def test_history_is_one_table_a_day_in_order_of_time() -> None:
    tables = history_tables(SCHEMA, "late_train", rows())
    assert {key: table["trip"].tolist() for key, table in tables.items()} == {
        "history/late_train/2026-03-02.csv": ["C", "A"],
        "history/late_train/2026-03-03.csv": ["B"],
    }


def test_order_of_the_file_does_not_matter() -> None:
    first = history_tables(SCHEMA, "m", rows())
    second = history_tables(SCHEMA, "m", select(rows(), np.array([2, 1, 0])))
    assert {k: write_table(SCHEMA, v) for k, v in first.items()} == {
        k: write_table(SCHEMA, v) for k, v in second.items()
    }


def test_added_rows_take_the_place_of_those_with_their_ids() -> None:
    new = select(rows(), np.array([0, 1]))
    new["late"] = np.array([1, 1], dtype=np.int8)
    old = write_table(SCHEMA, select(rows(), np.array([0, 2])))
    both = add_rows(SCHEMA, old, new)
    assert both["trip"].tolist() == ["C", "A", "B"]
    assert both["late"].tolist() == [1, 1, 1]
    assert write_table(SCHEMA, add_rows(SCHEMA, write_table(SCHEMA, both), new)) == write_table(SCHEMA, both)
