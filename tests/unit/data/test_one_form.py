"""Lines that are one form with blanks filled in: taken whole, and never where a line is anything else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.data.cell_columns import UnusualError
from driftloop.data.columns import columns_of
from driftloop.data.line_by_line import decode_lines
from driftloop.data.one_form import rows_of_one_form
from driftloop.data.parsing import BadRowError
from driftloop.data.schema import Schema
from tests.fakes.examples import SCHEMA, record

SCHEMAS = {output: replace(SCHEMA, output=output) for output in ("probability", "number", "class")}
ROW = "t1,2026-03-02T10:00:00Z,north,1.5"


def _line(row: str = ROW, score: str = "0.5", compact: bool = True, **metadata: str) -> bytes:
    value: dict[str, Any] = json.loads(record(row, score))
    value["eventMetadata"].update(metadata)
    separators = (",", ":") if compact else None
    return json.dumps(value, separators=separators, ensure_ascii=False).encode() + b"\n"


GOOD = _line()


def _taken(schema: Schema, content: bytes) -> bool:
    """Whether the lines were taken, and then just as line by line."""
    try:
        table = rows_of_one_form(schema, content, content.count(b"\n"))
    except (UnusualError, BadRowError, ValueError):
        return False
    if table is None:
        return False
    columns = columns_of(table)
    slow = decode_lines(schema, content, len(content))
    assert not slow.quarantined
    assert columns.keys() == slow.columns.keys()
    for name, values in slow.columns.items():
        assert columns[name].dtype == values.dtype
        # repr tells -0.0 from 0.0.
        assert list(map(repr, columns[name].tolist())) == list(map(repr, values.tolist())), name
    return True


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GOOD * 3, id="compact"),
        pytest.param(_line(compact=False) * 3, id="spaced"),
        pytest.param(GOOD[:-1], id="no-end"),
        pytest.param(_line(inferenceId="7") + _line(inferenceId=""), id="inference-id"),
        pytest.param(_line(eventId="Zürich") + GOOD, id="other-letters-in-an-id"),
        pytest.param(_line("t 1,2026-03-02T10:00:00Z,Zürich,-1e5", "1") + GOOD, id="other-letters"),
        pytest.param(_line("t1,2026-03-02T10:00:00Z,NA,null") + GOOD, id="missing"),
        pytest.param(_line("t1,2026-03-02T10:00:00Z,,") + GOOD, id="empty"),
        pytest.param(_line("nan,2026-03-02T10:00:00Z,north,NA") + GOOD, id="an-id-like-a-missing-value"),
        pytest.param(_line("t1,2026-03-02T10:00:00+02:00,x,1") + GOOD, id="other-times"),
        pytest.param(_line(eventId="a,b") + GOOD, id="comma-in-an-event"),
        pytest.param(
            GOOD + _line("t1,2026-03-02T10:00:00Z,,1") + _line(f"t1,2026-03-02T10:00:00Z,{'n' * 120},1"), id="longer"
        ),
        pytest.param(GOOD + _line(eventId="data") + _line(eventId="nan"), id="ids-like-other-things"),
    ],
)
def test_lines_of_one_form_are_taken(content: bytes) -> None:
    assert _taken(SCHEMA, content)


def test_a_first_line_in_which_a_key_looks_like_a_blank_is_left_alone() -> None:
    assert not _taken(SCHEMA, _line(eventId="data") + GOOD)


@pytest.mark.parametrize("score", ["0.5", "1", "late", "very late", " late", ""])
def test_predictions_by_kind(score: str) -> None:
    number = score in ("0.5", "1")
    for output, schema in SCHEMAS.items():
        assert _taken(schema, _line(score=score) + _line(score=score)) == (
            number or (output == "class" and score != "")
        )


OTHER = {
    "comma and quote change places": GOOD.replace(b':"t1,', b':,t1"'),
    "quote in front of a blank": GOOD.replace(b':"t1,2026', b':"t1"2026').replace(b'1.5","', b'1.5,,"'),
    "comma and quote change places behind": GOOD.replace(b'north,1.5","enc', b'north"1.5,,"enc'),
    "quote within an id": GOOD.replace(b'"eventId":"6e', b'"eventId":,6"e'),
    "other type": GOOD.replace(b"text/csv", b"text/tsv", 1),
    "other key": GOOD.replace(b"INPUT", b"OTHER"),
    "space": GOOD.replace(b'"mode":', b'"mode": ', 1),
    "escape": GOOD.replace(b"north", b"no\\u0072th"),
    "control character": GOOD.replace(b"north", b"no\trth"),
    "control character in an id": GOOD.replace(b"6e8d", b"6e\x018d"),
    "no UTF-8": GOOD.replace(b"6e8d", b"6e\xff8d"),
    "mark": b"\xef\xbb\xbf" + GOOD,
    "blank line": b"\n" + GOOD,
    "windows": GOOD[:-1] + b"\r\n",
    "two on a line": GOOD[:-1] + GOOD,
    "two rows": _line(f"{ROW}\n{ROW}", "0.5,0.5"),
    "more cells": _line(f"{ROW},1"),
    "fewer cells": _line("t1,2026-03-02T10:00:00Z,north"),
    "no row": _line(""),
    "no score": _line(score=""),
    "two scores": _line(score="0.5,0.5"),
    "no probability": _line(score="1.5"),
    "score is missing": _line(score="nan"),
    "score with a space": _line(score=" 0.5"),
    "id is missing": _line(",2026-03-02T10:00:00Z,north,NA"),
    "id with a space": _line(" t1,2026-03-02T10:00:00Z,north,1.5"),
    "id not printable": _line("t\u200b1,2026-03-02T10:00:00Z,north,1.5"),
    "infinity": _line("t1,2026-03-02T10:00:00Z,north,inf"),
    "a cell too long": _line("t1,2026-03-02T10:00:00Z,north,0." + "1" * 140_000),
    "a cell that moved from the row to the score": _line("t1,2026-03-02T10:00:00Z,north", "0.5,0.5"),
    "a cell that moved from the score to the row": _line(f"{ROW},0.5", ""),
    "mark before an id": _line(f"\ufeff{ROW}"),
    "other number": GOOD.replace(b'"eventVersion":"0"', b'"eventVersion":"1"'),
    "cut off": GOOD[:-9],
    "keys twice": GOOD.replace(b'"mode":"INPUT"', b'"mode":"INPUT","mode":"INPUT"'),
    "garbage": b"garbage\n",
    "number for an id": GOOD.replace(b'"eventVersion":"0"', b'"eventVersion":0'),
}


@pytest.mark.parametrize("other", OTHER.values(), ids=list(OTHER))
def test_other_lines_are_left_alone(other: bytes) -> None:
    assert other != GOOD
    for content in (GOOD + other + GOOD, GOOD + other, other + GOOD):
        assert not _taken(SCHEMA, content)


def test_a_key_that_is_twice_in_every_line_is_left_alone() -> None:
    assert not _taken(SCHEMA, OTHER["keys twice"] * 3)


def test_a_line_that_ends_in_a_blank_is_left_alone() -> None:
    value = json.loads(record(ROW, "1"))
    swapped = {"eventVersion": "0", "eventMetadata": value["eventMetadata"], "captureData": value["captureData"]}
    output = swapped["captureData"]["endpointOutput"]
    output["data"] = output.pop("data")
    assert not _taken(SCHEMA, json.dumps(swapped).encode() + b"\n")


def test_an_answer_in_front_of_its_request_is_left_alone() -> None:
    value = json.loads(record(ROW, "1"))
    value["captureData"] = dict(reversed(value["captureData"].items()))
    assert not _taken(SCHEMA, (json.dumps(value).encode() + b"\n") * 2)


EDITS = st.sampled_from([b'"', b",", b":", b"{", b"}", b"\\", b"\n", b" ", b"", b'","', b'":"', b"\x00", b"\xff"])


@st.composite
def _edited(draw: st.DrawFn) -> bytes:
    """Lines of one form, of which some bytes changed places or were changed."""
    metadata: dict[str, Any] = draw(st.sampled_from([{}, {"inferenceId": "7"}]))
    count = draw(st.integers(1, 4))
    content = bytearray(b"".join(_line(eventId=draw(st.sampled_from(["a", "data"])), **metadata) for _ in range(count)))
    marks = [place for place, byte in enumerate(content) if byte in b'",:{}\n']
    for _ in range(draw(st.integers(0, 2))):
        a, b = draw(st.sampled_from(marks)), draw(st.sampled_from(marks))
        content[a], content[b] = content[b], content[a]
    if draw(st.booleans()):
        place = draw(st.integers(0, len(content)))
        content[place : place + draw(st.integers(0, 3))] = draw(EDITS)
    return bytes(content)


@settings(max_examples=500, deadline=None)
@given(_edited(), st.sampled_from(list(SCHEMAS)))
def test_what_is_taken_is_what_line_by_line_gives(content: bytes, output: str) -> None:
    _taken(SCHEMAS[output], content)
