"""The fast way for what traffic nearly always looks like: CSV in plain capture records, whole pieces at once.

It gives what ``line_by_line`` would give, or nothing: whatever it cannot be sure of it leaves alone. Its libraries are in
the functions' package and not in SageMaker's containers.
"""

from __future__ import annotations

import csv
import re
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from arro3.core import DataType, Field
from arro3.core import Schema as ArrowSchema

from driftloop.data import arrow_stream as arrow
from driftloop.data.decoded import SCORE
from driftloop.data.parsing import EARLIEST, LATEST, MAX_TEXT, BadRowError, parse_cell, parse_time
from driftloop.data.plain_records import plain_payloads
from driftloop.data.schema import Columns, Schema
from driftloop.data.typed_rows import CLASS, PROBABILITY, csv_score

_MISSING = re.compile(r",(?:nan|NaN|NA|null|None)(?=[,\n]|\Z)")
_QUOTED = re.compile(r'(?:(?<=[,\n])|\A)"[^",\n]*"(?=[,\n]|\Z)')
_TIME = np.frombuffer(b"0000-00-00T00:00:00Z", np.uint8)
_SEPARATORS = [4, 7, 10, 13, 16, 19]

Values = np.ndarray[Any, Any]


class _UnusualError(Exception):
    """Something that only the slow way may judge."""


def plain_rows(schema: Schema, data: bytes) -> Columns | None:
    """Payload columns and score of whole lines, all rows of which are good; None if that is not sure."""
    payloads = plain_payloads(data)
    if payloads is None:
        return None
    try:
        text, sizes = _one_text(payloads.inputs)
        predictions, counts = _one_text(payloads.outputs, separator=",")
        if sizes != counts or (text.count('"') if '"' in text else 0) != payloads.quotes or '"' in predictions:
            return None
        scores = _scores(schema.output, predictions)
        columns = _columns(schema, _unquoted(text, payloads.inputs), len(scores))
    except (_UnusualError, BadRowError, ValueError):
        return None
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
        raise _UnusualError
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
        raise _UnusualError
    if '"' not in text:
        return text
    if 2 * len(_QUOTED.findall(text)) != text.count('"'):
        raise _UnusualError
    return text.replace('"', "")


def _scores(output: str, text: str) -> Values:
    if output == CLASS:
        labels = text.split("\n")
        known = {label: csv_score(output, label) for label in set(labels)}
        return np.array([known[label] for label in labels], dtype=object)
    cells = text.split()
    if "\n".join(cells) != text or "_" in text or not text.isascii():
        raise _UnusualError
    scores = np.array(list(map(float, cells)))
    good = (scores >= 0) & (scores <= 1) if output == PROBABILITY else np.isfinite(scores)
    if not good.all():
        raise _UnusualError
    return scores


def _columns(schema: Schema, text: str, rows: int) -> Columns:
    try:
        return _read(schema, text, rows)
    except (_UnusualError, BadRowError):
        # Ways to write a missing value that Arrow does not know as such.
        plainer = _MISSING.sub(",", text)
        if plainer == text:
            raise
    return _read(schema, plainer, rows)


def _read(schema: Schema, text: str, rows: int) -> Columns:
    # Arrow drops a byte order mark before the first cell, which is part of the id to everybody else.
    if text.startswith("\ufeff"):
        raise _UnusualError
    with arrow.csv_batch(text.encode(), _arrow_schema(schema), rows) as batch:
        if batch is None:
            raise _UnusualError
        ids, times, *features = (batch.children[place].contents for place in range(batch.n_children))
        columns: Columns = {schema.id: _ids(arrow.texts(ids)), schema.time: _times(times)}
        for feature, array in zip(schema.features, features, strict=True):
            if feature.is_category:
                places, names = arrow.codes(array)
                columns[feature.name] = np.array([parse_cell(feature, name) for name in names], dtype=object)[places]
            else:
                columns[feature.name] = _numbers(array)
    return columns


@lru_cache(maxsize=64)
def _arrow_schema(schema: Schema) -> ArrowSchema:
    category = DataType.dictionary(DataType.int32(), DataType.string())
    kinds = [category if feature.is_category else DataType.float64() for feature in schema.features]
    return ArrowSchema([Field(str(n), k) for n, k in enumerate([DataType.string(), DataType.string(), *kinds])])


def _numbers(array: arrow.ArrowArray) -> Values:
    values, nulls = arrow.numbers(array)
    # Only an empty cell is null. NaN is not always a way to write a missing value, infinity never is a number.
    if np.isfinite(values).sum() != len(values) - nulls:
        raise _UnusualError
    return values


def _ids(ids: list[str]) -> Values:
    sizes = set(map(len, ids))
    if (
        list(map(str.strip, ids)) != ids
        or not all(map(str.isprintable, ids))
        or min(sizes) < 1
        or max(sizes) > MAX_TEXT
    ):
        raise _UnusualError
    return np.array(ids, dtype=object)


def _times(array: arrow.ArrowArray) -> Values:
    cells = arrow.fixed_width(array, len(_TIME))
    if cells is None or (cells[:, _SEPARATORS] != _TIME[_SEPARATORS]).any():
        texts = arrow.texts(array)
        known = {text: parse_time(text) for text in set(texts)}
        return np.array([known[text] for text in texts], dtype="datetime64[s]")
    # Raises ValueError for what is no date.
    times = np.ascontiguousarray(cells[:, :-1]).view(f"S{len(_TIME) - 1}").ravel().astype("datetime64[s]")
    if (times < _naive(EARLIEST)).any() or (times >= _naive(LATEST)).any():
        raise _UnusualError
    return times


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.replace(tzinfo=None), "s")
