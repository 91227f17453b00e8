"""Capture records read one by one: slow, and the authority on what can be read and why something cannot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop.data.decoded import SCORE, Decoded, Quarantined, put_aside, shortened
from driftloop.data.lines import MAX_LINE
from driftloop.data.parsing import BadRowError, Cell, Row, parse_row, to_columns
from driftloop.data.payload import Form, Unreadable, input_rows, load_json, output_rows, payload_text, readable
from driftloop.data.schema import Schema
from driftloop.data.typed_rows import CLASS, csv_score, json_row, json_score

_SHOWN = 500
"""Characters of refused content that are kept."""


@dataclass(frozen=True)
class _Record:
    rows: Sequence[Any]
    row_form: Form
    outputs: Sequence[Any]
    output_form: Form

    def typed(self, schema: Schema, place: int) -> tuple[Row, Cell]:
        row, output = self.rows[place], self.outputs[place]
        typed = (parse_row if self.row_form is Form.CSV else json_row)(schema, row)
        return typed, (csv_score if self.output_form is Form.CSV else json_score)(schema.output, output)


def decode_lines(schema: Schema, data: bytes, size: int) -> Decoded:
    """Rows of whole lines. A ``size`` beyond that of ``data`` tells that it is the start of one line that is too long."""
    rows: list[Row] = []
    scores: list[Cell] = []
    quarantined: list[Quarantined] = []
    for number, offset, line in _numbered(data):
        try:
            record = _read_record(line, len(line) + size - len(data))
        except BadRowError as error:
            content = line[:_SHOWN].decode("utf-8", "replace")
            put_aside(quarantined, Quarantined(number, offset, str(error), content))
            continue
        for place in range(len(record.rows)):
            try:
                row, score = record.typed(schema, place)
            except BadRowError as error:
                put_aside(quarantined, Quarantined(number, offset, str(error), _shown(record.rows[place])))
            else:
                rows.append(row)
                scores.append(score)
    columns = to_columns(schema, rows)
    columns[SCORE] = np.array(scores, dtype=object if schema.output == CLASS else np.float64)
    return Decoded(columns, shortened(quarantined))


def _numbered(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number (from 1), offset and content of each line that is not blank."""
    offset = 0
    for number, line in enumerate(io.BytesIO(data), start=1):
        if line.strip():
            yield number, offset, line
        offset += len(line)


def _read_record(line: bytes, size: int) -> _Record:
    """Rows and predictions of one record. Raises BadRowError if the record as a whole is bad."""
    if size > MAX_LINE:
        raise BadRowError(f"record of {size} bytes is larger than {MAX_LINE}")
    try:
        capture = readable(readable(load_json(line))["captureData"])
        text, form = payload_text(capture["endpointInput"])
        rows = input_rows(text, form)
        text, output_form = payload_text(capture["endpointOutput"])
        outputs = output_rows(text, output_form)
    except (ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        raise BadRowError(f"not a capture record: {type(error).__name__}: {error}"[:300]) from None
    if len(rows) != len(outputs):
        raise BadRowError(f"record has {len(rows)} input rows and {len(outputs)} predictions")
    if not rows:
        raise BadRowError("record has no rows")
    return _Record(rows, form, outputs, output_form)


def _shown(row: Any) -> str:
    if isinstance(row, Unreadable):
        return row.reason
    try:
        text = ",".join(row) if all(isinstance(cell, str) for cell in row) else json.dumps(row, default=_reason)
    except (TypeError, RecursionError):
        return str(type(row).__name__)
    return text[:_SHOWN]


def _reason(value: Unreadable) -> str:
    return value.reason
