"""One row of a request and its prediction as typed values, by the model file's declarations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from driftloop.data.parsing import (
    MAX_TEXT,
    BadRowError,
    Cell,
    Row,
    parse_cell,
    parse_id,
    parse_number,
    parse_time,
)
from driftloop.data.payload import Unreadable
from driftloop.data.schema import Feature, Schema

CLASS, PROBABILITY = "class", "probability"


def json_row(schema: Schema, row: Any) -> Row:
    """A row of JSON values: a list in the model file's order or an object by column. Raises BadRowError."""
    if isinstance(row, dict):
        row = _in_order(schema, row)
    if isinstance(row, Unreadable):
        raise BadRowError(row.reason)
    if not isinstance(row, list):
        raise BadRowError(f"row is neither a list nor an object but {type(row).__name__}")
    if len(row) != len(schema.payload):
        raise BadRowError(f"has {len(row)} cells where the model file declares {len(schema.payload)}")
    typed: Row = [parse_id(_name(schema.id, row[0])), parse_time(_text(schema.time, row[1]))]
    typed.extend(_cell(feature, value) for feature, value in zip(schema.features, row[2:], strict=True))
    return typed


def json_score(output: str, value: Any) -> Cell:
    """A prediction in JSON: a value, ``{"score": value}``, or the probabilities of labels 0 and 1. Raises BadRowError."""
    if isinstance(value, dict):
        keys = ("predicted_label", "score") if output == CLASS else ("score",)
        value = next((value[key] for key in keys if key in value), Unreadable(f"has no {keys[0]}"))
    if isinstance(value, list) and 1 <= len(value) <= (2 if output == PROBABILITY else 1):
        value = value[-1]
    if output == CLASS:
        return _label(_name("prediction", value))
    return _checked(output, _number("prediction", value), value)


def csv_score(output: str, cell: str) -> Cell:
    """A prediction in CSV. Raises BadRowError."""
    if output == CLASS:
        return _label(cell)
    try:
        score = parse_number(cell)
    except ValueError:
        raise BadRowError(f"prediction {cell[:40]!r} is not a number") from None
    return _checked(output, score, cell)


def _checked(output: str, score: float, shown: Any) -> float:
    if output == PROBABILITY and not 0 <= score <= 1:
        raise BadRowError(f"prediction {str(shown)[:40]!r} is not a probability")
    if not math.isfinite(score):
        raise BadRowError(f"prediction {str(shown)[:40]!r} is not finite")
    return score


def _label(text: str) -> str:
    text = text.strip()
    if not text or len(text) > MAX_TEXT or not text.isprintable():
        raise BadRowError(f"prediction {text[:40]!r} is empty, too long or not printable")
    return text


def _in_order(schema: Schema, row: Mapping[str, Any]) -> list[Any]:
    for name in row:
        if name not in schema.payload:
            raise BadRowError(f"unknown column {name[:40]!r}")
    for name in schema.payload:
        if name not in row:
            raise BadRowError(f"column {name} is missing; write null for a missing value")
    return [row[name] for name in schema.payload]


def _cell(feature: Feature, value: Any) -> Cell:
    if value is None:
        return "" if feature.is_category else math.nan
    if feature.is_category:
        return parse_cell(feature, _name(feature.name, value))
    number = _number(feature.name, value)
    if not math.isfinite(number):
        raise BadRowError(f"{feature.name} {str(value)[:40]!r} is not finite")
    return number


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, value, "a number")
    try:
        return float(value)
    except OverflowError:
        raise BadRowError(f"{name} is not finite") from None


def _name(column: str, value: Any) -> str:
    """Text, or a whole number that names something."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(column, value)


def _text(column: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(column, value, "text")
    return value


def _wrong(name: str, value: Any, declared: str) -> BadRowError:
    if isinstance(value, Unreadable):
        return BadRowError(f"{name}: {value.reason}")
    kinds = {type(None): "null", str: "text", bool: "a truth value", dict: "an object", list: "a list"}
    return BadRowError(f"{name} is {kinds.get(type(value), 'a number')} where {declared} is declared")
