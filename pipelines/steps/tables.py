"""Labelled rows as CSV: a header, the payload columns and the label. The form of history files and of data sets."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np

from driftloop.data.parsing import BadRowError, Row, parse_row, to_columns
from driftloop.data.schema import Columns, Schema

ROWS = "rows.csv"
_SHOWN = 5


def write_table(schema: Schema, columns: Columns) -> bytes:
    """CSV text; the same rows in the same order give the same bytes."""
    names = [*schema.payload, schema.label]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*(_texts(columns[name]) for name in names), strict=True))
    return out.getvalue().encode()


def _texts(values: np.ndarray[Any, Any]) -> list[str]:
    if values.dtype.kind == "f":
        return ["" if math.isnan(value) else repr(value) for value in values.tolist()]
    if values.dtype.kind == "M":
        return [f"{value}Z" for value in values.astype("datetime64[s]").astype(str).tolist()]
    return [str(value) for value in values.tolist()]


def read_table(schema: Schema, content: bytes) -> Columns:
    """Payload columns and label. Raises BadRowError with the first faults and their lines."""
    try:
        reader = csv.reader(io.StringIO(content.decode()), strict=True)
        header = next(reader, [])
        _check_header(header, [*schema.payload, schema.label])
        rows, labels, faults = _parse(schema, reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRowError(f"not a CSV file in UTF-8: {error}") from None
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise BadRowError("; ".join(faults[:_SHOWN]) + more)
    return to_columns(schema, rows) | {schema.label: np.array(labels, dtype=np.int8)}


def _check_header(header: list[str], expected: list[str]) -> None:
    if header == expected:
        return
    missing, unknown = [set(a) - set(b) for a, b in ((expected, header), (header, expected))]
    hint = f"missing {sorted(missing)}, unknown {sorted(unknown)}" if missing or unknown else "the order differs"
    raise BadRowError(f"header is not {','.join(expected)}: {hint}")


def _parse(schema: Schema, reader: Any) -> tuple[list[Row], list[int], list[str]]:
    rows: list[Row] = []
    labels: list[int] = []
    faults: list[str] = []
    for cells in filter(None, reader):
        try:
            rows.append(parse_row(schema, cells[:-1]))
            labels.append(_label(cells[-1]))
        except BadRowError as error:
            faults.append(f"line {reader.line_num}: {error}")
    return rows, labels, faults


def _label(cell: str) -> int:
    if cell.strip() not in ("0", "1", "0.0", "1.0"):
        raise BadRowError(f"label {cell[:40]!r} is not 0 or 1")
    return int(float(cell))
