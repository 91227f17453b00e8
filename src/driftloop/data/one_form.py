"""Capture records of one row each that differ only in their payloads and metadata, as one CSV text.

A line is then a form with blanks filled in. With the quotation marks around the blanks turned into commas the line is CSV,
and Arrow reads all of it, payload included, in half the time that JSON and then CSV take, while other threads go on. That
what stands around the blanks never changes is seen from the columns that it gives.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from arro3.core import DataType
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
_NO_QUOTE = "\x01"


@dataclass(frozen=True)
class _Form:
    """What a line is but for the blanks."""

    texts: tuple[bytes, ...]
    """Cut at quotation marks: text ``n`` stands between marks ``n - 1`` and ``n``. Blanks are empty."""
    blanks: tuple[int, ...]
    """Their places among the texts."""
    request: int
    """Which blank is the payload."""
    response: int

    @property
    def quotes(self) -> int:
        """Quotation marks of a line."""
        return len(self.texts) - 1

    def cells(self) -> list[list[bytes]]:
        """Cells of the CSV before, between and after the blanks."""
        marked = (b"\n" if place in self.blanks else text for place, text in enumerate(self.texts))
        return [part.split(b",") for part in b'"'.join(marked).split(b'"\n"')]


@dataclass(frozen=True)
class _Layout:
    """Columns of the CSV."""

    schema: ArrowSchema
    fixed: dict[int, bytes]
    """Place -> the only cell that the column may have."""
    payload: int
    """Place of the first column of the payload."""
    score: int


def rows_of_one_form(schema: Schema, data: bytes) -> Columns | None:
    """Payload columns and score of whole lines; None if they are not of one form.

    Raises UnusualError, BadRowError or ValueError if they seem to be, but not all rows are surely good.
    """
    form = _form(data.partition(b"\n")[0]) if b"\\" not in data and len(data) < MAX_LINE else None
    found = _as_csv(form, data) if form else None
    if form is None or found is None:
        return None
    text, rows = found
    try:
        return _read(schema, form, text, rows)
    except UnusualError:
        plainer = _MISSING.sub(b",", text)
        if plainer == text:
            raise
    return _read(schema, form, plainer, rows)


def _form(line: bytes) -> _Form | None:
    """What a line is but for the blanks; None if it is no record of the usual shape, or ends in a blank."""
    texts = line.split(b'"')
    blanks = tuple(place for place in range(3, len(texts), 2) if texts[place - 2] in _BLANKS)
    if not blanks or blanks[-1] >= len(texts) - 2:
        return None
    numbered = (b"%d" % blanks.index(place) if place in blanks else text for place, text in enumerate(texts))
    # Refused if a key was taken for a blank: a number is no key that a record may have.
    payloads = plain_payloads(b'"'.join(numbered))
    if payloads is None or payloads.quotes:
        return None
    empty = tuple(b"" if place in blanks else text for place, text in enumerate(texts))
    return _Form(empty, blanks, int(payloads.inputs[0]), int(payloads.outputs[0]))


def _as_csv(form: _Form, data: bytes) -> tuple[bytes, int] | None:
    """Lines with commas in place of the quotation marks around blanks, and their number; None if not all are the form."""
    content = np.frombuffer(data, np.uint8)
    ends = int(np.count_nonzero(content == _NEWLINE))
    rows = ends + int(content[-1] != _NEWLINE)
    found = np.flatnonzero(content == _QUOTE)
    if len(found) != rows * form.quotes or np.count_nonzero(content < _SPACE) != ends:
        return None
    quotes, blanks = found.reshape(rows, form.quotes), np.array(form.blanks)
    gaps = np.diff(quotes)
    longest = gaps[:, form.blanks[form.request] - 1].max()
    gaps[:, blanks - 1] = 1
    # Or else other commas than those next to a blank might have been quotation marks.
    if (gaps != [len(text) + 1 for text in form.texts[1:-1]]).any() or longest > csv.field_size_limit():
        return None
    changed = content.copy()
    changed[quotes[:, blanks - 1]] = changed[quotes[:, blanks]] = _COMMA
    return changed.tobytes(), rows


def _read(schema: Schema, form: _Form, text: bytes, rows: int) -> Columns:
    layout = _layout(schema, form)
    with arrow.csv_batch(text, layout.schema, rows, _NO_QUOTE) as batch:
        if batch is None:
            raise UnusualError
        arrays = arrow.children(batch)
        if not all(arrow.is_always(arrays[place], cell) for place, cell in layout.fixed.items()):
            raise UnusualError
        columns = payload_columns(schema, arrays[layout.payload : layout.payload + len(schema.payload)])
        return columns | {SCORE: _scores(schema.output, arrays[layout.score])}


def _scores(output: str, array: arrow.ArrowArray) -> np.ndarray[Any, Any]:
    if array.null_count:
        raise UnusualError
    if output == CLASS:
        places, names = arrow.codes(array)
        return np.array([csv_score(output, name) for name in names[:-1]], dtype=object)[places]
    return checked_scores(output, arrow.numbers(array)[0])


@lru_cache(maxsize=64)
def _layout(schema: Schema, form: _Form) -> _Layout:
    blanks = [[TEXT] for _ in form.blanks]
    blanks[form.request] = payload_kinds(schema)
    blanks[form.response] = [CATEGORY if schema.output == CLASS else NUMBER]
    kinds: list[DataType] = []
    fixed: dict[int, bytes] = {}
    starts: list[int] = []
    for cells, blank in zip(form.cells(), [*blanks, []], strict=True):
        fixed |= dict(enumerate(cells, len(kinds)))
        starts.append(len(kinds) + len(cells))
        kinds += [*(TEXT for _ in cells), *blank]
    return _Layout(arrow_schema(kinds), fixed, starts[form.request], starts[form.response])
