"""Text cells to typed columns, row by row strict: a row is either wholly good or refused with the reason."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from driftloop.data.schema import Columns, Feature, Schema

MAX_TEXT = 256
MISSING = frozenset({"", "nan", "NaN", "NA", "null", "None"})
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

Cell = str | float
Row = list[Cell | np.datetime64]


class BadRowError(ValueError):
    """A row that cannot be read; the message is the reason."""


def parse_row(schema: Schema, cells: Sequence[str]) -> Row:
    """One payload row (id, time, features) as typed cells. Raises BadRowError with the reason."""
    if len(cells) != len(schema.features) + 2:
        raise BadRowError(f"has {len(cells)} cells where the model file declares {len(schema.features) + 2}")
    row: Row = [parse_id(cells[0]), parse_time(cells[1])]
    row.extend(parse_cell(feature, cell) for feature, cell in zip(schema.features, cells[2:], strict=True))
    return row


def parse_id(cell: str) -> str:
    """The row's id: one to 256 printable characters."""
    text = cell.strip()
    if not text or len(text) > MAX_TEXT or not text.isprintable():
        raise BadRowError(f"id {text[:40]!r} is empty, too long or not printable")
    return text


def parse_time(cell: str) -> np.datetime64:
    """ISO-8601 text as UTC seconds; text without an offset is taken as UTC."""
    try:
        time = datetime.fromisoformat(cell.strip())
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRowError(f"time {cell[:40]!r} is not ISO-8601") from None
    if not EARLIEST <= time < LATEST:
        raise BadRowError(f"time {cell[:40]!r} is outside {EARLIEST.year} to {LATEST.year}")
    return np.datetime64(time.replace(tzinfo=None), "s")


def parse_cell(feature: Feature, cell: str) -> Cell:
    """One feature's value; missing is '' for categories and NaN for numbers."""
    text = cell.strip()
    if feature.is_category:
        # Line ends and lone surrogates would break the files that rows are kept in.
        if len(text) > MAX_TEXT or not text.isprintable():
            raise BadRowError(f"{feature.name} {text[:40]!r} is longer than {MAX_TEXT} characters or not printable")
        return "" if text in MISSING else text
    if text in MISSING:
        return math.nan
    try:
        value = parse_number(text)
    except ValueError:
        raise BadRowError(f"{feature.name} {text[:40]!r} is not a number") from None
    if not math.isfinite(value):
        raise BadRowError(f"{feature.name} {text[:40]!r} is not finite")
    return value


def parse_number(text: str) -> float:
    """A decimal number. Raises ValueError, also for what only Python takes for one (``1_000``, other scripts)."""
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return float(text)


def text_columns(schema: Schema, texts: Sequence[Sequence[str]]) -> Columns:
    """The payload's columns of text as typed columns, by the same rules, but each text of a column is parsed once only.

    Raises BadRowError if a row is bad, without saying which: that is told by ``parse_row``.
    """
    ids, times, *features = texts
    known = {text: parse_time(text) for text in set(times)}
    columns: Columns = {
        schema.id: np.array(list(map(parse_id, ids)), dtype=object),
        schema.time: np.array([known[text] for text in times], dtype="datetime64[s]"),
    }
    for feature, cells in zip(schema.features, features, strict=True):
        value = {text: parse_cell(feature, text) for text in set(cells)}
        kind = object if feature.is_category else np.float64
        columns[feature.name] = np.array([value[text] for text in cells], dtype=kind)
    return columns


def to_columns(schema: Schema, rows: Iterable[Row]) -> Columns:
    """Typed rows as columns; no rows give columns of length zero."""
    cells = list(zip(*rows, strict=True)) or [() for _ in schema.payload]
    columns: Columns = {
        schema.id: np.array(cells[0], dtype=object),
        schema.time: np.array(cells[1], dtype="datetime64[s]"),
    }
    for feature, values in zip(schema.features, cells[2:], strict=True):
        columns[feature.name] = np.array(values, dtype=object if feature.is_category else np.float64)
    return columns
