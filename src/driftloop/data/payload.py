"""What clients send and models answer: CSV, JSON or JSON Lines, as they are or in BASE64, many rows a request.

Text becomes rows here; what a row is worth is decided by ``typed_rows``.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Form(StrEnum):
    """How rows are written."""

    CSV = "text/csv"
    JSON = "application/json"
    JSON_LINES = "application/jsonlines"


@dataclass(frozen=True)
class Unreadable:
    """Stands for a JSON value that cannot be trusted, so that only the row that it is in is refused."""

    reason: str


def payload_text(part: Any) -> tuple[str, Form]:
    """The text of one side of a record. Raises ValueError, KeyError or TypeError if it has none."""
    part = readable(part)
    data, encoding = part["data"], part["encoding"]
    if not isinstance(data, str) or not isinstance(encoding, str):
        raise TypeError("data or encoding is not text")
    form = _form(part.get("observedContentType"), encoding)
    if encoding != "BASE64":
        return data, form
    try:
        return base64.b64decode(data, validate=True).decode("utf-8"), form
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"BASE64 payload: {error}") from None


def _form(content_type: object, encoding: str) -> Form:
    """The content type decides; if there is none, or one that only the endpoint's owner knows, the encoding does."""
    if encoding not in ("CSV", "JSON", "BASE64"):
        raise ValueError(f"encoding {encoding[:40]!r} is none of CSV, JSON, BASE64")
    if content_type is not None and not isinstance(content_type, str):
        raise TypeError("observedContentType is not text")
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind in list(Form):
        return Form(kind)
    if kind and encoding == "BASE64":
        raise ValueError(f"content type {kind[:40]!r} is none of {', '.join(Form)}")
    return Form.JSON if encoding == "JSON" else Form.CSV


def input_rows(text: str, form: Form) -> Sequence[Any]:
    """Rows of a request: lists of cells, or objects. Raises ValueError or csv.Error if there are no rows in it."""
    if form is Form.CSV:
        return csv_rows(text)
    if form is Form.JSON_LINES:
        return [_features(row) for row in _json_lines(text)]
    value = readable(load_json(text))
    if isinstance(value, dict) and isinstance(value.get("instances"), list):
        if len(value) > 1:
            raise ValueError(f"unknown key {next(k for k in value if k != 'instances')[:40]!r} beside 'instances'")
        value = value["instances"]
    elif isinstance(value, dict) or (isinstance(value, list) and not any(isinstance(v, list | dict) for v in value)):
        # One row on its own.
        value = [value] if value else []
    if not isinstance(value, list):
        raise ValueError(f"{type(value).__name__} where rows are expected")
    return [_features(row) for row in value]


def output_rows(text: str, form: Form) -> Sequence[Any]:
    """Predictions of a response, one a row. Raises ValueError or csv.Error if there are none in it."""
    if form is Form.CSV:
        return [cell for row in csv_rows(text) for cell in (row[:-1] if not row[-1].strip() and row[1:] else row)]
    if form is Form.JSON_LINES:
        return _json_lines(text)
    value = readable(load_json(text))
    if isinstance(value, dict) and isinstance(value.get("predictions"), list):
        value = value["predictions"]
    return value if isinstance(value, list) else [value]


def csv_rows(text: str) -> list[list[str]]:
    """Rows that are not blank."""
    # Not str.splitlines, which also splits at characters that are no line ends in CSV.
    return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]


def load_json(text: str | bytes) -> Any:
    """JSON, with Unreadable for NaN, infinities and objects that have a key twice. Raises ValueError, RecursionError."""
    return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)


def readable(value: Any) -> Any:
    """The value itself. Raises ValueError if it cannot be trusted."""
    if isinstance(value, Unreadable):
        raise ValueError(value.reason)
    return value


def _json_lines(text: str) -> list[Any]:
    return [_json_line(line) for line in text.split("\n") if line.strip()]


def _json_line(line: str) -> Any:
    try:
        return load_json(line)
    except (ValueError, RecursionError) as error:
        return Unreadable(f"not JSON: {type(error).__name__}: {error}"[:300])


def _features(row: Any) -> Any:
    """SageMaker's own algorithms wrap the cells of a row in an object with the only key ``features``."""
    if isinstance(row, dict) and len(row) == 1 and isinstance(row.get("features"), list | dict):
        return row["features"]
    return row


def _object(pairs: list[tuple[str, Any]]) -> Any:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    names = [name for name, _ in pairs]
    return Unreadable(f"key {next(n for n in names if names.count(n) > 1)[:40]!r} is there twice")


def _constant(name: str) -> Any:
    return Unreadable(f"{name} is not JSON")
