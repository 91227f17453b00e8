"""SageMaker data capture: one JSON record a line, many CSV rows a record.

What cannot be read is quarantined with its line, byte offset and reason; the rest of the object is still counted:
captured = counted + quarantined.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from driftloop.data.parsing import BadRowError, Row, parse_number, parse_row, to_columns
from driftloop.data.schema import Columns, Schema

SCORE = "score"
MAX_LINE = 8 * 1024 * 1024
"""Longest record in bytes. SageMaker's real-time payload limit is 6 MB and base64 adds a third."""


@dataclass(frozen=True)
class Quarantined:
    """One record or row that could not be read."""

    line: int
    offset: int
    reason: str
    content: str
    """Start of what was refused, for people; never parsed again."""


@dataclass
class Decoded:
    """What one capture object held."""

    columns: Columns
    """Payload columns and ``score`` (float64, probability of label 1)."""
    quarantined: list[Quarantined] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows that were counted."""
        return len(self.columns[SCORE])


def decode_capture(schema: Schema, lines: Iterable[bytes]) -> Decoded:
    """Read the lines of one capture object, line ends included."""
    rows: list[Row] = []
    scores: list[float] = []
    quarantined: list[Quarantined] = []
    offset = 0
    for number, line in enumerate(lines, start=1):
        start, offset = offset, offset + len(line)
        if not line.strip():
            continue
        try:
            for cells, output in _pairs(line):
                try:
                    row, score = parse_row(schema, cells), _score(output)
                except BadRowError as error:
                    quarantined.append(Quarantined(number, start, str(error), ",".join(cells)[:500]))
                else:
                    rows.append(row)
                    scores.append(score)
        except BadRowError as error:
            quarantined.append(Quarantined(number, start, str(error), line[:500].decode("utf-8", "replace")))
    columns = to_columns(schema, rows)
    columns[SCORE] = np.array(scores, dtype=np.float64)
    return Decoded(columns, quarantined)


def _pairs(line: bytes) -> Iterator[tuple[list[str], str]]:
    """Input cells and output text of each row of a record. Raises BadRowError if the record as a whole is bad."""
    if len(line) > MAX_LINE:
        raise BadRowError(f"record of {len(line)} bytes is larger than {MAX_LINE}")
    try:
        capture = json.loads(line)["captureData"]
        inputs = _rows(_payload(capture["endpointInput"]))
        outputs = _payload(capture["endpointOutput"]).split()
    except (ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        raise BadRowError(f"not a capture record: {type(error).__name__}: {error}"[:300]) from None
    if len(inputs) != len(outputs):
        raise BadRowError(f"record has {len(inputs)} input rows and {len(outputs)} predictions")
    if not inputs:
        raise BadRowError("record has no rows")
    yield from zip(inputs, outputs, strict=True)


def _rows(text: str) -> list[list[str]]:
    # Not str.splitlines, which also splits at characters that are no line ends in CSV.
    return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]


def _payload(part: dict[str, Any]) -> str:
    data, encoding = part["data"], part["encoding"]
    if not isinstance(data, str):
        raise TypeError("data is not text")
    if encoding == "BASE64":
        try:
            return base64.b64decode(data, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(f"BASE64 payload: {error}") from None
    if encoding != "CSV":
        raise ValueError(f"encoding {encoding!r} is not supported; send text/csv")
    return data


def _score(text: str) -> float:
    try:
        score = parse_number(text.rstrip(","))
    except ValueError:
        raise BadRowError(f"prediction {text[:40]!r} is not a number") from None
    if not 0 <= score <= 1:
        raise BadRowError(f"prediction {text[:40]!r} is not a probability")
    return score
