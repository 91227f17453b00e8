"""Columns of cells that were read at once, as strict as cell by cell: what cannot be sure is left to the slow way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from driftloop.data.categories import coded
from driftloop.data.parsing import EARLIEST, LATEST, MAX_TEXT, parse_cell, parse_time
from driftloop.data.schema import Columns, Schema
from driftloop.data.typed_rows import CLASS, PROBABILITY, csv_score
from driftloop.native.cells import Cells, Kind, Texts

_TIME = np.frombuffer(b"0000-00-00T00:00:00Z", np.uint8)
_SEPARATORS = [4, 7, 10, 13, 16, 19]

Values = np.ndarray[Any, Any]


class UnusualError(Exception):
    """Something that only the slow way may judge."""


def payload_kinds(schema: Schema) -> tuple[Kind, ...]:
    """How the columns of a payload are read."""
    features = (Kind.CATEGORY if feature.is_category else Kind.NUMBER for feature in schema.features)
    return (Kind.TEXT, Kind.TEXT, *features)


def score_kinds(schema: Schema) -> tuple[Kind, ...]:
    """How predictions are read."""
    return (Kind.CATEGORY if schema.output == CLASS else Kind.NUMBER,)


def payload_columns(schema: Schema, cells: Cells) -> Columns:
    """Columns of a payload. Raises UnusualError, BadRowError or ValueError if not all rows are surely good."""
    columns: Columns = {schema.id: _ids(cells.texts[0]), schema.time: _times(cells.texts[1])}
    numbers, categories = iter(cells.numbers), iter(zip(cells.names, cells.codes, strict=True))
    for feature in schema.features:
        if feature.is_category:
            names, places = next(categories)
            columns[feature.name] = coded([str(parse_cell(feature, name)) for name in names], places)
        else:
            columns[feature.name] = next(numbers)
    return columns


def scores(schema: Schema, cells: Cells) -> Values:
    """Predictions, which are the last column. Raises UnusualError or BadRowError if one cannot be one."""
    if schema.output == CLASS:
        names = np.array([csv_score(schema.output, name) for name in cells.names[-1]], dtype=object)
        classes: Values = names[cells.codes[-1]]
        return classes
    values: Values = cells.numbers[-1]
    good = (values >= 0) & (values <= 1) if schema.output == PROBABILITY else np.isfinite(values)
    if not good.all():
        raise UnusualError
    return values


def _ids(texts: Texts) -> Values:
    ids, widths = texts.to_list(), texts.widths
    # In bytes, of which there are at least as many as characters.
    if widths.min() < 1 or widths.max() > MAX_TEXT or not (texts.visible or _printable(ids)):
        raise UnusualError
    return np.array(ids, dtype=object)


def _printable(ids: list[str]) -> bool:
    return list(map(str.strip, ids)) == ids and all(map(str.isprintable, ids))


def _times(texts: Texts) -> Values:
    cells = texts.content.reshape(-1, len(_TIME)) if texts.width == len(_TIME) else None
    if cells is None or (cells[:, _SEPARATORS] != _TIME[_SEPARATORS]).any():
        others = texts.to_list()
        known = {text: parse_time(text) for text in set(others)}
        return np.array([known[text] for text in others], dtype="datetime64[s]")
    # Raises ValueError for what is no date.
    times = np.ascontiguousarray(cells[:, :-1]).view(f"S{len(_TIME) - 1}").ravel().astype("datetime64[s]")
    if (times < _naive(EARLIEST)).any() or (times >= _naive(LATEST)).any():
        raise UnusualError
    return times


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.replace(tzinfo=None), "s")
