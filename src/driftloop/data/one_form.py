"""Capture records of one row each that differ only in their payloads and metadata: read without taking the JSON apart.

A line is then a form with blanks filled in. What stands around the blanks is the same in all lines, byte by byte.
"""

from __future__ import annotations

from functools import lru_cache

from driftloop.data.cell_columns import payload_columns, payload_kinds, score_kinds, scores
from driftloop.data.columns import Table
from driftloop.data.decoded import SCORE
from driftloop.data.lines import MAX_LINE, USUAL_LINE
from driftloop.data.plain_records import plain_payloads
from driftloop.data.schema import Schema
from driftloop.native.cells import Form, read_cells

_BLANKS = frozenset({b"data", b"eventId", b"inferenceId", b"inferenceTime"})
"""Keys whose values differ from line to line."""


def rows_of_one_form(schema: Schema, data: bytes | memoryview, lines: int) -> Table | None:
    """Payload columns and score of whole lines, as many as have ends; None if they are not of one form, or a cell is
    unusual.

    Raises UnusualError, BadRowError or ValueError if not all rows are surely good.
    """
    form = _form(schema, data) if len(data) < MAX_LINE else None
    if form is None:
        return None
    if data[-1:] != b"\n":
        data, lines = bytes(data) + b"\n", lines + 1
    cells = read_cells(form, data, lines)
    if cells is None:
        return None
    if not (cells.ascii and form.ascii):
        str(data, "utf-8")  # Raises UnicodeDecodeError where reading JSON would.
    return {**payload_columns(schema, cells), SCORE: scores(schema, cells)}


def _form(schema: Schema, data: bytes | memoryview) -> Form | None:
    """What the first line is but for the blanks; None if it is no record of the usual shape and order, or ends in a blank."""
    cells = _first_line(data).split(b'"')
    places = [place for place in range(3, len(cells), 2) if cells[place - 2] in _BLANKS]
    if not places or places[-1] >= len(cells) - 2:
        return None
    for number, place in enumerate(places):
        cells[place] = b"%d" % number
    return _form_of(schema, tuple(cells), tuple(places))


def _first_line(data: bytes | memoryview) -> bytes:
    start = bytes(data[:USUAL_LINE])
    return (start if b"\n" in start else bytes(data)).partition(b"\n")[0]


@lru_cache
def _form_of(schema: Schema, cells: tuple[bytes, ...], places: tuple[int, ...]) -> Form | None:
    """The form of a line that is cut at its quotation marks, and in whose blanks stand their numbers."""
    # Refused if a key was taken for a blank: a number is no key that a record may have.
    payloads = plain_payloads(b'"'.join(cells))
    if payloads is None or payloads.quotes:
        return None
    request, response = int(payloads.inputs[0]), int(payloads.outputs[0])
    if response < request:
        return None
    kinds = {request: payload_kinds(schema), response: score_kinds(schema)}
    empty = [b"\n" if place in places else cell for place, cell in enumerate(cells)]
    *texts, last = b'"'.join(empty).split(b"\n")
    return Form((*texts, last + b"\n"), tuple(kinds.get(blank, ()) for blank in range(len(places))))
