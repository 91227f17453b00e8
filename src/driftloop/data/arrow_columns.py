"""Columns of a CSV text that Arrow has read, as strict as cell by cell: what cannot be sure is left to the slow way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from arro3.core import DataType, Field
from arro3.core import Schema as ArrowSchema

from driftloop.data import arrow_stream as arrow
from driftloop.data.categories import coded
from driftloop.data.parsing import EARLIEST, LATEST, MAX_TEXT, MISSING, parse_cell, parse_time
from driftloop.data.schema import Columns, Schema
from driftloop.data.typed_rows import PROBABILITY

TEXT, NUMBER = DataType.string(), DataType.float64()
CATEGORY = DataType.dictionary(DataType.int32(), TEXT)
MISSING_NAMES = "|".join(sorted(MISSING - {""}))
"""Ways to write a missing value that Arrow does not know as such, as a part of a pattern."""
_TIME = np.frombuffer(b"0000-00-00T00:00:00Z", np.uint8)
_SEPARATORS = [4, 7, 10, 13, 16, 19]
_SPACE, _DELETE = b" \x7f"

Values = np.ndarray[Any, Any]


class UnusualError(Exception):
    """Something that only the slow way may judge."""


def payload_kinds(schema: Schema) -> list[DataType]:
    """How the columns of a payload are read."""
    return [TEXT, TEXT, *(CATEGORY if feature.is_category else NUMBER for feature in schema.features)]


def arrow_schema(kinds: Sequence[DataType]) -> ArrowSchema:
    """Columns of some kinds, named by their places."""
    return ArrowSchema([Field(str(place), kind) for place, kind in enumerate(kinds)])


def payload_columns(schema: Schema, arrays: Sequence[arrow.ArrowArray]) -> Columns:
    """Columns of a payload. Raises UnusualError, BadRowError or ValueError if not all rows are surely good."""
    columns: Columns = {schema.id: _ids(arrays[0]), schema.time: _times(arrays[1])}
    for feature, array in zip(schema.features, arrays[2:], strict=True):
        if feature.is_category:
            places, names = arrow.codes(array)
            columns[feature.name] = coded([str(parse_cell(feature, name)) for name in names], places)
        else:
            columns[feature.name] = _numbers(array)
    return columns


def _numbers(array: arrow.ArrowArray) -> Values:
    values, nulls = arrow.numbers(array)
    # Only an empty cell is null. NaN is not always a way to write a missing value, infinity never is a number.
    if np.count_nonzero(np.isfinite(values)) != len(values) - nulls:
        raise UnusualError
    return values


def checked_scores(output: str, scores: Values) -> Values:
    """Predictions that are numbers. Raises UnusualError if one cannot be."""
    good = (scores >= 0) & (scores <= 1) if output == PROBABILITY else np.isfinite(scores)
    if not good.all():
        raise UnusualError
    return scores


def _ids(array: arrow.ArrowArray) -> Values:
    ids = arrow.texts(array)
    # In bytes, of which there are at least as many as characters.
    sizes = np.diff(arrow.spans(array))
    if sizes.min() < 1 or sizes.max() > MAX_TEXT or not (_visible(array) or _printable(ids)):
        raise UnusualError
    return np.array(ids, dtype=object)


def _visible(array: arrow.ArrowArray) -> bool:
    """Whether texts are ASCII without spaces and control characters: printable, and nothing to strip."""
    content = np.frombuffer(arrow.content(array), np.uint8)
    return bool(content.min() > _SPACE and content.max() < _DELETE)


def _printable(ids: list[str]) -> bool:
    return list(map(str.strip, ids)) == ids and all(map(str.isprintable, ids))


def _times(array: arrow.ArrowArray) -> Values:
    cells = arrow.fixed_width(array, len(_TIME))
    if cells is None or (cells[:, _SEPARATORS] != _TIME[_SEPARATORS]).any():
        texts = arrow.texts(array)
        known = {text: parse_time(text) for text in set(texts)}
        return np.array([known[text] for text in texts], dtype="datetime64[s]")
    # Raises ValueError for what is no date.
    times = np.ascontiguousarray(cells[:, :-1]).view(f"S{len(_TIME) - 1}").ravel().astype("datetime64[s]")
    if (times < _naive(EARLIEST)).any() or (times >= _naive(LATEST)).any():
        raise UnusualError
    return times


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.replace(tzinfo=None), "s")
