"""Files of rows and of what a version answered to them, side by side; memory is bounded whatever their size."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice, zip_longest
from typing import TypeVar

from driftloop.data.lines import MAX_LINE
from driftloop.data.parsing import BadRowError, parse_row
from driftloop.data.records import CSV, Body, Encodings, capture_record, is_sampled
from driftloop.data.schema import Schema

ROWS_A_RECORD = 500
"""A record is one line, and a line has a limit."""
RECORDS_AN_OBJECT = 40
"""Some megabytes."""
_QUOTE = b'"'

Item = TypeVar("Item")


class UnpairedError(ValueError):
    """Answers that do not belong to the rows."""


def check_pairs(rows: Iterable[bytes], answers: Iterable[bytes], *, joined: bool = True) -> int:
    """How many rows there are, each with its answer; arguments as of ``capture_objects``. Raises UnpairedError."""
    return sum(1 for _ in _pairs(rows, answers, joined))


def capture_objects(
    rows: Iterable[bytes],
    answers: Iterable[bytes],
    name: str,
    at: datetime,
    share: float,
    *,
    joined: bool = True,
    inference_id: str = "",
) -> Iterator[bytes]:
    """Capture records of a share of the rows, some of them an object.

    Args:
        rows: blocks of a file of CSV: id, time and the features in order, no header.
        answers: blocks of a file with ``<id>,<probability>`` for each row, in order; only ``<probability>`` unless ``joined``.
        name: what the records' ids begin with; the same rows under the same name make the same objects.
        at: when they were answered.
        share: from 0 to 1; decided by the id of each record.
        joined: whether the answers have the ids of their rows.
        inference_id: what the client calls its request.

    Raises UnpairedError, after the objects that were in order.
    """
    records = _records(_pairs(rows, answers, joined), name, at, share, inference_id)
    for chunk in _chunks(records, RECORDS_AN_OBJECT):
        yield b"".join(chunk)


def first_fault(schema: Schema, rows: Iterable[bytes]) -> str:
    """What is wrong with the first row that no model takes; empty if all rows are well."""
    number = 0
    try:
        # Models take blank lines in ways of their own.
        for number, line in enumerate(_lines(rows, blank=True), start=1):  # noqa: B007 - where it ended is what is told
            parse_row(schema, next(csv.reader([line.decode("utf-8")], strict=True), []))
    except UnpairedError as error:
        return str(error)
    except (BadRowError, csv.Error, UnicodeDecodeError) as error:
        return f"row {number}: {error}"
    return ""


def _records(
    pairs: Iterator[tuple[bytes, bytes]], name: str, at: datetime, share: float, inference_id: str
) -> Iterator[bytes]:
    for number, chunk in enumerate(_chunks(pairs, ROWS_A_RECORD)):
        event_id = f"{name}-{number}"
        if is_sampled(event_id, share):
            asked, told = (b"\n".join(side) for side in zip(*chunk, strict=True))
            yield capture_record(Body(CSV, asked), Body(CSV, told), Encodings(), event_id, at, inference_id)


def _pairs(rows: Iterable[bytes], answers: Iterable[bytes], joined: bool) -> Iterator[tuple[bytes, bytes]]:
    """Rows and their probabilities."""
    for place, (row, answer) in enumerate(zip_longest(_lines(rows), _lines(answers)), start=1):
        if row is None or answer is None:
            raise UnpairedError(f"line {place}: there are more {'rows than answers' if row else 'answers than rows'}")
        if not joined:
            yield row, answer
            continue
        answered, _, score = answer.rpartition(b",")
        asked = row.partition(b",")[0]
        # Whoever joined them may have written quotes in another way.
        if asked != answered and _QUOTE not in asked + answered:
            raise UnpairedError(f"line {place}: row {_shown(asked)} has the answer of {_shown(answered)}")
        yield row, score


def _lines(blocks: Iterable[bytes], blank: bool = False) -> Iterator[bytes]:
    """Lines, however the blocks are cut; those that say nothing only if asked for."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        stripped = (line.rstrip(b"\r") for line in whole)
        yield from stripped if blank else filter(None, stripped)
        if len(rest) > MAX_LINE:
            raise UnpairedError(f"a line is longer than {MAX_LINE} bytes")
    if rest.rstrip(b"\r"):
        yield rest.rstrip(b"\r")


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while chunk := list(islice(items, size)):
        yield chunk


def _shown(text: bytes) -> str:
    return repr(text[:40].decode(errors="replace"))
