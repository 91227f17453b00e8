"""Rows of a file and what was answered to them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data.answers import (
    RECORDS_AN_OBJECT,
    ROWS_A_RECORD,
    UnpairedError,
    capture_objects,
    check_pairs,
    first_fault,
)
from driftloop.data.capture import decode_capture
from tests.fakes import examples as ex

AT = datetime(2026, 3, 9, 4, 0, tzinfo=UTC)


def file(count: int, start: int = 0) -> tuple[bytes, bytes]:
    """Rows, and answers that are their number over the count."""
    rows = [f"t{n},2026-03-02T10:00:00Z,north,{n % 100}" for n in range(start, start + count)]
    return "\n".join(rows).encode(), "\n".join(f"t{n},{n / 1e5}" for n in range(start, start + count)).encode()


@given(st.integers(0, 30), st.lists(st.integers(1, 40), max_size=30), st.booleans())
def test_how_files_are_cut_into_blocks_makes_no_difference(count: int, sizes: list[int], windows: bool) -> None:
    rows, answers = file(count)
    sent = rows.replace(b"\n", b"\r\n\r\n") if windows else rows
    blocks, place = [], 0
    for size in [*sizes, len(sent)]:
        blocks.append(sent[place : place + size])
        place += size
    assert check_pairs(blocks, [answers]) == count
    once, again = (list(capture_objects(each, [answers], "f", AT, 1)) for each in (blocks, [sent]))
    assert once == again
    assert len(once) == (1 if count else 0)


def test_captures_are_what_monitoring_reads() -> None:
    count = ROWS_A_RECORD * RECORDS_AN_OBJECT + 3
    rows, answers = file(count)
    objects = list(capture_objects([rows], [answers], "f", AT, 1))
    assert len(objects) == 2
    parts = [part for content in objects for part in decode_capture(ex.SCHEMA, [content])]
    assert (sum(part.rows for part in parts), sum(part.refused for part in parts)) == (count, 0)
    assert parts[-1].columns["trip"].tolist() == [f"t{n}" for n in range(count - 3, count)]
    assert parts[-1].columns["score"].tolist() == pytest.approx([n / 1e5 for n in range(count - 3, count)])


def test_answers_without_ids_belong_to_the_rows_in_their_order() -> None:
    rows, answers = file(3)
    scores = b"\r\n".join(line.partition(b",")[2] for line in answers.splitlines())
    assert check_pairs([rows], [scores], joined=False) == 3
    plain = list(capture_objects([rows], [scores], "f", AT, 1, joined=False))
    assert plain == list(capture_objects([rows], [answers], "f", AT, 1))
    for fewer, more in ((rows, scores + b"\n0.5"), (rows + b"\nt3,", scores)):
        with pytest.raises(UnpairedError, match="line 4: there are more"):
            check_pairs([fewer], [more], joined=False)


def test_a_share_is_the_same_records_each_time() -> None:
    rows, answers = file(ROWS_A_RECORD * 200)
    ids = []
    for _ in range(2):
        lines = b"".join(capture_objects([rows], [answers], "f", AT, 0.3)).splitlines()
        ids.append([json.loads(line)["eventMetadata"]["eventId"] for line in lines])
    assert ids[0] == ids[1]
    assert 30 < len(ids[0]) < 90
    assert list(capture_objects([rows], [answers], "f", AT, 0)) == []


@pytest.mark.parametrize(
    ("rows", "answers", "reason"),
    [
        (b"a,1\nb,2", b"a,0.5", "line 2: there are more rows than answers"),
        (b"a,1", b"a,0.5\nb,0.5", "line 2: there are more answers than rows"),
        (b"a,1\nb,2", b"b,0.5\na,0.5", "line 1: row 'a' has the answer of 'b'"),
        (b"", b"a,0.5", "line 1: there are more answers than rows"),
        (b"a" * 9_000_000, b"a,0.5", "a line is longer than"),
    ],
)
def test_answers_of_other_rows_are_refused(rows: bytes, answers: bytes, reason: str) -> None:
    with pytest.raises(UnpairedError, match=reason):
        check_pairs([rows], [answers])


def test_quotes_may_be_written_in_another_way() -> None:
    assert check_pairs([b'"a",1\nb,2'], [b'a,0.5\n"b",0.5']) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"t9,2026-03-02T10:00:00Z,north,abc", "row 3: .*abc"),
        (b"t9,yesterday,north,1", "row 3: .*yesterday"),
        (b"t9,2026-03-02T10:00:00Z,north", "row 3: "),
        (b"", "row 3: "),
        (b"\xff,2026-03-02T10:00:00Z,north,1", "row 3: "),
        (b't9,2026-03-02T10:00:00Z,"north,1', "row 3: "),
        (b"x" * 9_000_000, "a line is longer"),
    ],
)
def test_the_first_bad_row_is_named(line: bytes, reason: str) -> None:
    rows, _ = file(2)
    assert first_fault(ex.SCHEMA, [rows]) == ""
    found = first_fault(ex.SCHEMA, [rows, b"\n" + line, b"\n", rows])
    assert re.match(reason, found), found


def test_memory_is_bounded() -> None:
    """Blocks are taken as records are."""
    taken = 0

    def blocks(side: int) -> Iterator[bytes]:
        nonlocal taken
        for start in range(0, 10**9, 1000):
            taken += 1
            yield file(1000, start)[side] + b"\n"

    assert len(list(islice(capture_objects(blocks(0), blocks(1), "f", AT, 1), 2))) == 2
    assert taken <= 2 * (2 * RECORDS_AN_OBJECT * ROWS_A_RECORD // 1000 + 1)
