"""Capture records of one row each that differ only in their payloads and metadata: read without taking the JSON apart.

A line is then a form with blanks filled in. That what stands around the blanks is the same in all lines is seen by comparing
bytes; the payloads are cut out and read by Arrow as CSV. Other threads go on meanwhile.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from arro3.core import Schema as ArrowSchema

from driftloop.data import arrow_stream as arrow
from driftloop.data.arrow_columns import (
    CATEGORY,
    MISSING_NAMES,
    NUMBER,
    TEXT,
    UnusualError,
    arrow_schema,
    checked_scores,
    payload_columns,
    payload_kinds,
)
from driftloop.data.decoded import SCORE
from driftloop.data.lines import MAX_LINE
from driftloop.data.plain_records import plain_payloads
from driftloop.data.schema import Columns, Schema
from driftloop.data.typed_rows import CLASS, csv_score

_BLANKS = frozenset({b"data", b"eventId", b"inferenceId", b"inferenceTime"})
"""Keys whose values differ from line to line."""
_MISSING = re.compile(f",(?:{MISSING_NAMES})(?=,)".encode())
_NEWLINE, _SPACE, _QUOTE, _COMMA = b'\n ",'
_MARK = 1
"""Quotation mark of the CSV: a character that no line has."""

Values = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Form:
    """What a line is but for the blanks."""

    texts: tuple[bytes, ...]
    """Before, between and after the blanks, with the quotation marks around these."""
    request: int
    """Which blank is the payload."""
    response: int


@dataclass(frozen=True)
class _Blanks:
    """Where the blanks of some lines begin and end: a row for each line."""

    data: bytes
    begins: Values
    ends: Values

    def as_csv(self, blank: int) -> bytes | None:
        """One blank of all lines, followed by a quoted cell that makes them equally long; None if they differ too much."""
        begins, sizes = self.begins[:, blank], self.ends[:, blank] - self.begins[:, blank]
        # A comma, two marks and a line end are added.
        width = int(sizes.max()) + 4
        too_long = width > csv.field_size_limit() or len(sizes) * width > 2 * len(self.data)
        if too_long or begins[-1] + width > len(self.data):
            return None
        lines = _windows(self.data, width)[begins].view(np.uint8).reshape(-1, width)
        rows = np.arange(len(sizes))
        lines[rows, sizes], lines[rows, sizes + 1] = _COMMA, _MARK
        lines[:, -2:] = _MARK, _NEWLINE
        return lines.tobytes()


def rows_of_one_form(schema: Schema, data: bytes) -> Columns | None:
    """Payload columns and score of whole lines; None if they are not of one form.

    Raises UnusualError, BadRowError or ValueError if they seem to be, but not all rows are surely good.
    """
    form = _form(data) if b"\\" not in data and len(data) < MAX_LINE else None
    blanks = _blanks(form, data) if form else None
    if form is None or blanks is None:
        return None
    payloads, predictions = blanks.as_csv(form.request), blanks.as_csv(form.response)
    if payloads is None or predictions is None:
        return None
    scores = _scores(schema.output, predictions, len(blanks.ends))
    try:
        return _read(schema, payloads, scores)
    except UnusualError:
        plainer = _MISSING.sub(b",", payloads)
        if plainer == payloads:
            raise
    return _read(schema, plainer, scores)


def _form(data: bytes) -> _Form | None:
    """What the first line is but for the blanks; None if it is no record of the usual shape, or ends in a blank."""
    cells = io.BytesIO(data).readline().removesuffix(b"\n").split(b'"')
    places = [place for place in range(3, len(cells), 2) if cells[place - 2] in _BLANKS]
    if not places or places[-1] >= len(cells) - 2:
        return None
    for number, place in enumerate(places):
        cells[place] = b"%d" % number
    # Refused if a key was taken for a blank: a number is no key that a record may have.
    payloads = plain_payloads(b'"'.join(cells))
    if payloads is None or payloads.quotes:
        return None
    for place in places:
        cells[place] = b"\n"
    return _Form(tuple(b'"'.join(cells).split(b"\n")), int(payloads.inputs[0]), int(payloads.outputs[0]))


def _blanks(form: _Form, data: bytes) -> _Blanks | None:
    """The blanks of all lines; None if a line is not the form, or has control characters."""
    content = np.frombuffer(data, np.uint8)
    found = np.flatnonzero(content == _QUOTE)
    *marks, line = accumulate(text.count(b'"') for text in form.texts)
    rows, rest = divmod(len(found), line)
    if rest or np.count_nonzero(content < _SPACE) != rows - 1 + data.endswith(b"\n"):
        return None
    if not data.isascii():
        data.decode()  # Raises UnicodeDecodeError where reading JSON would.
    quotes = found.reshape(rows, line)
    ends = quotes[:, marks]
    # What stands at each place has as many quotation marks as are counted from there to the next: nothing is left over.
    same = (
        data.startswith(form.texts[0])
        and all(_stands(text, data, ends[:, place]) for place, text in enumerate(form.texts[1:-1]))
        and _stands(form.texts[-1] + b"\n" + form.texts[0], data, ends[:-1, -1])
        and data[ends[-1, -1] :].removesuffix(b"\n") == form.texts[-1]
    )
    return _Blanks(data, quotes[:, np.subtract(marks, 1)] + 1, ends) if same else None


def _stands(text: bytes, data: bytes, places: Values) -> bool:
    """Whether a text stands at all of some places, which ascend."""
    if not len(places):
        return True
    inside = bool(places[-1] + len(text) <= len(data))
    return inside and _windows(data, len(text))[places].tobytes() == text * len(places)


def _windows(data: bytes, width: int) -> Values:
    """What stands at each place of some bytes, ``width`` bytes long. No copy."""
    return np.ndarray(len(data) - width + 1, f"V{width}", data, strides=(1,))


def _read(schema: Schema, text: bytes, scores: Values) -> Columns:
    with arrow.csv_batch(text, _payload_schema(schema), len(scores), chr(_MARK)) as batch:
        if batch is None:
            raise UnusualError
        return payload_columns(schema, arrow.children(batch)[:-1]) | {SCORE: scores}


def _scores(output: str, text: bytes, rows: int) -> Values:
    with arrow.csv_batch(text, _score_schema(output), rows, chr(_MARK)) as batch:
        if batch is None or arrow.children(batch)[0].null_count:
            raise UnusualError
        scores = arrow.children(batch)[0]
        if output != CLASS:
            return checked_scores(output, arrow.numbers(scores)[0])
        places, names = arrow.codes(scores)
        return np.array([csv_score(output, name) for name in names[:-1]], dtype=object)[places]


@lru_cache(maxsize=64)
def _payload_schema(schema: Schema) -> ArrowSchema:
    return arrow_schema([*payload_kinds(schema), TEXT])


@lru_cache
def _score_schema(output: str) -> ArrowSchema:
    return arrow_schema([CATEGORY if output == CLASS else NUMBER, TEXT])
