"""Decoded rows as CSV files, by event date. A file holds rows of several capture objects; each row names its object,
so that an object that was delivered twice is read once, whatever files it ended up in."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from driftloop.data.decoded import SCORE
from driftloop.data.parsing import BadRowError, text_columns
from driftloop.data.schema import Columns, Schema

OBJECT = "object"


def write_rows(schema: Schema, parts: dict[str, Columns], label: bool = False) -> bytes:
    """CSV text with a header: object, payload columns, score and, if asked, the label."""
    names = [*schema.payload, SCORE, *([schema.label] if label else [])]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([OBJECT, *names])
    for source, columns in sorted(parts.items()):
        cells = [texts(columns[name]) for name in names]
        writer.writerows([source, *row] for row in zip(*cells, strict=True))
    return out.getvalue().encode()


def texts(values: np.ndarray[Any, Any]) -> list[str]:
    """A column as CSV cells: times in ISO-8601 UTC, missing numbers empty, numbers so that they come back exactly."""
    if values.dtype.kind == "f":
        return ["" if math.isnan(value) else repr(value) for value in values.tolist()]
    if values.dtype.kind == "M":
        return [f"{value}Z" for value in values.astype("datetime64[s]").astype(str).tolist()]
    return [str(value) for value in values.tolist()]


def read_rows(schema: Schema, files: Iterable[bytes], label: bool = False) -> Columns:
    """Rows of several files. Each object's rows of one date are taken from the first file that has them.

    Labelled rows come with their ``object``, which sorts by the time of the upload.

    Raises BadRowError if a file is not one that ``write_rows`` wrote.
    """
    try:
        return _read_rows(schema, files, label)
    except BadRowError:
        raise
    except (ValueError, LookupError, csv.Error) as error:
        raise BadRowError(f"not a whole file of rows: {error}") from error


def _read_rows(schema: Schema, files: Iterable[bytes], label: bool) -> Columns:
    rows: list[list[str]] = []
    seen: set[tuple[str, str]] = set()
    names = [OBJECT, *schema.payload, SCORE, *([schema.label] if label else [])]
    for content in files:
        reader = csv.reader(io.StringIO(content.decode()))
        if next(reader, None) != names:
            raise BadRowError("the file's header differs from the model file's columns")
        fresh: set[tuple[str, str]] = set()
        for row in reader:
            # The rows of one object are kept by event date: each date's part is another one.
            part = row[0], row[2][:10]
            if part not in seen:
                fresh.add(part)
                rows.append(row)
        seen |= fresh
    cells = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    columns = text_columns(schema, [cells[name] for name in schema.payload])
    columns[SCORE] = np.array(cells[SCORE], dtype=np.float64)
    if label:
        columns[schema.label] = np.array(cells[schema.label], dtype=np.int8)
        columns[OBJECT] = np.array(cells[OBJECT], dtype=object)
    return columns


def read_outcomes(schema: Schema, content: bytes, label: bool = True) -> Columns:
    """Only object, id, time, score and label of one labelled file: all that quality needs, several times faster.

    Without ``label`` of a file of rows. Raises BadRowError if it is not one that ``write_rows`` wrote.
    """
    try:
        return _read_outcomes(schema, content, label)
    except (ValueError, LookupError, csv.Error) as error:
        raise BadRowError(f"not a whole file of labelled rows: {error}") from error


def _read_outcomes(schema: Schema, content: bytes, label: bool) -> Columns:
    header, *rows = csv.reader(io.StringIO(content.decode()))
    kinds = {OBJECT: "O", schema.id: "O", schema.time: "datetime64[s]", SCORE: "f8"}
    kinds |= {schema.label: "i1"} if label else {}
    columns: Columns = {}
    for name, kind in kinds.items():
        place = header.index(name)
        cells = (row[place].removesuffix("Z") if name == schema.time else row[place] for row in rows)
        columns[name] = np.array(list(cells), dtype=kind)
    return columns


def select(columns: Columns, mask: np.ndarray[Any, Any]) -> Columns:
    """The rows of a boolean mask or an index array."""
    return {name: values[mask] for name, values in columns.items()}


def concatenate(parts: Sequence[Columns]) -> Columns:
    """Rows of several tables with the same columns, one after the other; at least one table."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def latest_upload(columns: Columns, row_id: str) -> Columns:
    """One labelled row per id: that of the object that was uploaded last."""
    return latest_by_id(select(columns, np.argsort(columns[OBJECT].astype(str), kind="stable")), row_id)


def by_date(columns: Columns, time: str) -> dict[str, Columns]:
    """Rows split by event date (``yyyy-mm-dd``, UTC)."""
    dates = columns[time].astype("datetime64[D]")
    return {str(date): select(columns, dates == date) for date in np.unique(dates)}


def latest_by_id(columns: Columns, row_id: str) -> Columns:
    """One row per id, in order: the last one wins."""
    last = {value: place for place, value in enumerate(columns[row_id].tolist())}
    return select(columns, np.array(sorted(last.values()), dtype=np.int64))
