"""Columns of cells that were read at once, as strict as cell by cell: what cannot be sure is left to the slow way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from driftloop.data.columns import Coded, Column, Table, Texts
from driftloop.data.parsing import EARLIEST, LATEST, MAX_TEXT, MISSING, parse_cell, parse_id, parse_time
from driftloop.data.schema import Feature, Schema
from driftloop.data.typed_rows import CLASS, PROBABILITY, csv_score
from driftloop.native.cells import Cells, Kind

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


def payload_columns(schema: Schema, cells: Cells) -> Table:
    """Columns of a payload. Raises UnusualError, BadRowError or ValueError if not all rows are surely good."""
    ids, times = (Texts(*text) for text in cells.texts)
    columns: dict[str, Column] = {schema.id: _ids(ids, cells.visible), schema.time: _times(times)}
    numbers, categories = iter(cells.numbers), iter(zip(cells.names, cells.codes, strict=True))
    for feature in schema.features:
        if feature.is_category:
            names, places = next(categories)
            columns[feature.name] = Coded(_categories(feature, names), places)
        else:
            columns[feature.name] = next(numbers)
    return columns


def scores(schema: Schema, cells: Cells) -> Column:
    """Predictions, which are the last column. Raises UnusualError or BadRowError if one cannot be one."""
    if schema.output == CLASS:
        return Coded([str(csv_score(schema.output, name)) for name in cells.names[-1]], cells.codes[-1])
    values: Values = cells.numbers[-1]
    good = (values >= 0) & (values <= 1) if schema.output == PROBABILITY else np.isfinite(values)
    if not good.all():
        raise UnusualError
    return values


def _categories(feature: Feature, names: list[str]) -> list[str]:
    # What parsing each would find, asked of all at once: pieces have the same few hundred names again and again.
    usual = "".join(names).isprintable() and max(map(len, names)) <= MAX_TEXT and list(map(str.strip, names)) == names
    return names if usual and MISSING.isdisjoint(names) else [str(parse_cell(feature, name)) for name in names]


def _ids(ids: Texts, visible: bool) -> Column:
    if visible:
        if ids.widths.min() < 1 or ids.widths.max() > MAX_TEXT:
            raise UnusualError
        return ids
    values = ids.values()
    if list(map(parse_id, values.tolist())) != values.tolist():
        raise UnusualError
    return values


def _times(texts: Texts) -> Values:
    cells = _plain_times(texts)
    if cells is None:
        others = texts.values().tolist()
        known = {text: parse_time(text) for text in set(others)}
        return np.array([known[text] for text in others], dtype="datetime64[s]")
    # Raises ValueError for what is no date.
    times = cells.view(f"S{len(_TIME) - 1}").ravel().astype("datetime64[s]")
    if (times < _naive(EARLIEST)).any() or (times >= _naive(LATEST)).any():
        raise UnusualError
    return times


def _plain_times(texts: Texts) -> Values | None:
    """Texts x bytes up to the letter at their ends; None if they are of another form."""
    if (texts.widths != len(_TIME)).any():
        return None
    cells = np.frombuffer(texts.content + b"\n", np.uint8).reshape(len(texts), -1)
    if (cells[:, _SEPARATORS] != _TIME[_SEPARATORS]).any():
        return None
    return np.ascontiguousarray(cells[:, : len(_TIME) - 1])


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.replace(tzinfo=None), "s")
