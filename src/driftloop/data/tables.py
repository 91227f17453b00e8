"""Labelled rows as CSV: a header, the payload columns and the label. The form of history files and of data sets."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from driftloop.data.parsing import BadRowError, Row, parse_row, text_columns, to_columns
from driftloop.data.rows import by_date, concatenate, latest_by_id, select, texts
from driftloop.data.schema import Columns, Schema

ROWS = "rows.csv"
_SHOWN = 5


class BadTableError(BadRowError):
    """A file that cannot be read; the message has the first faults, ``faults`` all of them."""

    def __init__(self, faults: list[str]) -> None:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        super().__init__("; ".join(faults[:_SHOWN]) + more)
        self.faults = faults


def write_table(schema: Schema, columns: Columns) -> bytes:
    """CSV text; the same rows in the same order give the same bytes."""
    names = [*schema.payload, schema.label]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*(texts(columns[name]) for name in names), strict=True))
    return out.getvalue().encode()


def request_lines(schema: Schema, columns: Columns, count: int) -> list[str]:
    """The first rows as a client sends them: CSV without label, a text each.

    A column that the table does not have is empty, as from a client that does not know it.
    """
    rows = min(count, len(next(iter(columns.values()))))
    cells = [texts(columns[name][:rows]) if name in columns else [""] * rows for name in schema.payload]
    return [_line(row) for row in zip(*cells, strict=True)]


def _line(row: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(row)
    return out.getvalue()


def read_table(schema: Schema, content: bytes, unique: bool = False) -> Columns:
    """Payload columns and label. Raises BadTableError with every fault and its line.

    Args:
        unique: an id that an earlier line has is a fault too.
    """
    try:
        text = content.decode("utf-8-sig")
        at_once = _at_once(schema, list(filter(None, _lines(schema, text))), unique)
        if at_once is not None:
            return at_once
        rows, labels, faults = _parse(schema, _lines(schema, text), unique)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadTableError([f"not a CSV file in UTF-8: {error}"]) from None
    if faults:
        raise BadTableError(faults)
    return to_columns(schema, rows) | {schema.label: np.array(labels, dtype=np.int8)}


def history_tables(schema: Schema, model: str, columns: Columns) -> dict[str, Columns]:
    """Key in the curated bucket -> its rows: one object per event date, as the first step of a retraining wants it."""
    days = by_date(_in_order(schema, columns), schema.time)
    return {f"history/{model}/{day}.csv": rows for day, rows in days.items()}


def add_rows(schema: Schema, old: bytes, new: Columns) -> Columns:
    """The rows of a history file and further ones; of two rows with one id the new one stays.

    Raises BadTableError if the file cannot be read.
    """
    return _in_order(schema, latest_by_id(concatenate([read_table(schema, old), new]), schema.id))


def _in_order(schema: Schema, columns: Columns) -> Columns:
    """By time and id, so that the same rows always make the same file."""
    return select(columns, np.lexsort((columns[schema.id].astype(str), columns[schema.time])))


def _check_header(header: list[str], expected: list[str]) -> None:
    if header == expected:
        return
    missing, unknown = [set(a) - set(b) for a, b in ((expected, header), (header, expected))]
    hint = f"missing {sorted(missing)}, unknown {sorted(unknown)}" if missing or unknown else "the order differs"
    raise BadTableError([f"header is not {','.join(expected)}: {hint}"])


def _lines(schema: Schema, text: str) -> Any:
    """A reader of the lines below the header."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    _check_header(next(reader, []), [*schema.payload, schema.label])
    return reader


def _at_once(schema: Schema, rows: list[list[str]], unique: bool) -> Columns | None:
    """Column by column, which is several times faster; None if something is wrong, which is told line by line."""
    if set(map(len, rows)) != {len(schema.payload) + 1}:
        return None
    *payload, labels = zip(*rows, strict=True)
    try:
        known = {text: _label(text) for text in set(labels)}
        columns = text_columns(schema, payload)
    except BadRowError:
        return None
    if unique and len(set(columns[schema.id].tolist())) < len(rows):
        return None
    return columns | {schema.label: np.array([known[text] for text in labels], dtype=np.int8)}


def _parse(schema: Schema, reader: Any, unique: bool) -> tuple[list[Row], list[int], list[str]]:
    rows: list[Row] = []
    labels: list[int] = []
    faults: list[str] = []
    lines: dict[Any, int] = {}
    width = len(schema.payload) + 1
    for cells in filter(None, reader):
        try:
            if len(cells) != width:
                raise BadRowError(f"has {len(cells)} cells where the header has {width}")
            row = parse_row(schema, cells[:-1])
            labels.append(_label(cells[-1]))
            rows.append(row)
        except BadRowError as error:
            faults.append(f"line {reader.line_num}: {error}")
            continue
        first = lines.setdefault(row[0], reader.line_num)
        if unique and first != reader.line_num:
            faults.append(f"line {reader.line_num}: id {row[0]!r} is on line {first} already")
    return rows, labels, faults


def _label(cell: str) -> int:
    if cell.strip() not in ("0", "1", "0.0", "1.0"):
        raise BadRowError(f"label {cell[:40]!r} is not 0 or 1")
    return int(float(cell))
