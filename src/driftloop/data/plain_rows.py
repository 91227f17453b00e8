"""The fast way for what traffic nearly always looks like: CSV in plain capture records, whole pieces at once.

It gives what ``line_by_line`` would give, or nothing: whatever it cannot be sure of it leaves alone. Its libraries are in
the functions' package and not in SageMaker's containers.
"""

from __future__ import annotations

import csv
import re
from functools import lru_cache
from typing import Any

import numpy as np
from arro3.core import Schema as ArrowSchema

from driftloop.data import arrow_stream as arrow
from driftloop.data.arrow_columns import (
    MISSING_NAMES,
    UnusualError,
    arrow_schema,
    checked_scores,
    payload_columns,
    payload_kinds,
)
from driftloop.data.decoded import SCORE
from driftloop.data.one_form import rows_of_one_form
from driftloop.data.parsing import BadRowError
from driftloop.data.plain_records import plain_payloads
from driftloop.data.schema import Columns, Schema
from driftloop.data.typed_rows import CLASS, csv_score

_MISSING = re.compile(rf",(?:{MISSING_NAMES})(?=[,\n]|\Z)")
_QUOTED = re.compile(r'(?:(?<=[,\n])|\A)"[^",\n]*"(?=[,\n]|\Z)')

Values = np.ndarray[Any, Any]


def plain_rows(schema: Schema, data: bytes) -> Columns | None:
    """Payload columns and score of whole lines, all rows of which are good; None if that is not sure."""
    try:
        return rows_of_one_form(schema, data) or _rows_of_records(schema, data)
    except (UnusualError, BadRowError, ValueError):
        return None


def _rows_of_records(schema: Schema, data: bytes) -> Columns | None:
    payloads = plain_payloads(data)
    if payloads is None:
        return None
    text, sizes = _one_text(payloads.inputs)
    predictions, counts = _one_text(payloads.outputs, separator=",")
    if sizes != counts or (text.count('"') if '"' in text else 0) != payloads.quotes or '"' in predictions:
        return None
    scores = _scores(schema.output, predictions)
    columns = _columns(schema, _unquoted(text, payloads.inputs), len(scores))
    return columns | {SCORE: scores}


def _one_text(payloads: list[str], separator: str = "") -> tuple[str, list[int] | None]:
    """Payloads one below the other, and how many rows each has; None if each has one.

    Args:
        separator: what may stand for a line end.
    """
    text = "\n".join(payloads)
    if "\r" in text or (separator and separator in text):
        payloads = [payload.replace("\r\n", "\n").replace(separator or "\n", "\n") for payload in payloads]
        text = "\n".join(payloads)
    if "\r" in text:
        raise UnusualError
    if text.count("\n") == len(payloads) - 1:
        return text, None
    payloads = [payload.removesuffix("\n") for payload in payloads]
    text = "\n".join(payloads)
    if text.count("\n") == len(payloads) - 1:
        return text, None
    sizes = [payload.count("\n") + 1 for payload in payloads]
    return text, sizes


def _unquoted(text: str, payloads: list[str]) -> str:
    """The text without quotation marks, if they enclose whole cells that do not need them."""
    limit = csv.field_size_limit()
    if max(map(len, payloads)) > limit and max(map(len, text.split("\n"))) > limit:
        raise UnusualError
    if '"' not in text:
        return text
    if 2 * len(_QUOTED.findall(text)) != text.count('"'):
        raise UnusualError
    return text.replace('"', "")


def _scores(output: str, text: str) -> Values:
    if output == CLASS:
        labels = text.split("\n")
        known = {label: csv_score(output, label) for label in set(labels)}
        return np.array([known[label] for label in labels], dtype=object)
    cells = text.split()
    if "\n".join(cells) != text or "_" in text or not text.isascii():
        raise UnusualError
    return checked_scores(output, np.array(list(map(float, cells))))


def _columns(schema: Schema, text: str, rows: int) -> Columns:
    try:
        return _read(schema, text, rows)
    except (UnusualError, BadRowError):
        plainer = _MISSING.sub(",", text)
        if plainer == text:
            raise
    return _read(schema, plainer, rows)


def _read(schema: Schema, text: str, rows: int) -> Columns:
    with arrow.csv_batch(text.encode(), _arrow_schema(schema), rows) as batch:
        if batch is None:
            raise UnusualError
        return payload_columns(schema, arrow.children(batch))


@lru_cache(maxsize=64)
def _arrow_schema(schema: Schema) -> ArrowSchema:
    return arrow_schema(payload_kinds(schema))
