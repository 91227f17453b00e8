"""What a client asks, checked against the model file before a model sees it: JSON objects or CSV become rows of CSV."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from driftloop.data.parsing import BadRowError, parse_cell, parse_id, parse_row, parse_time
from driftloop.data.schema import Feature, Schema

MAX_PROBLEMS = 20
"""Problems that are told; whoever sent the rows has the same one in all of them, mostly."""


_LONGEST_NAME = 64
"""Of a column; looking for what somebody may have meant by longer ones would take long."""


@dataclass(frozen=True)
class Problem:
    """Why a request is refused."""

    reason: str
    row: int = 0
    """Counted from one; 0 if it is not about a row."""
    column: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For the answer."""
        place = {"row": self.row} if self.row else {}
        return {**place, **({"column": self.column} if self.column else {}), "reason": self.reason}


class BadQuestionError(ValueError):
    """A request that no model is asked."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.reason for problem in problems))
        self.problems = tuple(problems[:MAX_PROBLEMS])


@dataclass(frozen=True)
class Question:
    """Rows as they are sent to the endpoint."""

    rows: bytes
    """CSV: id, time and the features in order, without a header."""
    ids: tuple[str, ...]


def read_csv(schema: Schema, body: bytes) -> Question:
    """Rows of CSV, as the endpoint takes them. Raises BadQuestionError."""
    ids, problems = [], []
    try:
        cells = csv.reader(io.StringIO(body.decode("utf-8"), newline=""), strict=True)
        for number, row in enumerate((row for row in cells if row), start=1):
            try:
                parse_row(schema, row)
                ids.append(row[0].strip())
            except BadRowError as error:
                problems.append(Problem(str(error), number))
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadQuestionError([Problem(f"not CSV: {error}")]) from None
    if problems or not ids:
        raise BadQuestionError(problems or [Problem("there are no rows")])
    return Question(body, tuple(ids))


def read_json(schema: Schema, body: bytes, now: str, new_id: Callable[[], str]) -> Question:
    """``{"rows": [{"<column>": value, ...}, ...]}``, where id and time may be left out. Raises BadQuestionError.

    Args:
        now: time of rows without one, ISO-8601.
        new_id: makes the id of rows without one.
    """
    rows = _rows(body)
    texts: list[list[str]] = []
    problems: list[Problem] = []
    for number, row in enumerate(rows, start=1):
        found = list(islice(_problems(schema, row, number), MAX_PROBLEMS - len(problems)))
        problems += found
        if len(problems) >= MAX_PROBLEMS:
            break
        if not found:
            texts.append([_text(row.get(schema.id)).strip() or new_id(), _text(row.get(schema.time)) or now]
                         + [_text(row[feature.name]) for feature in schema.features])  # fmt: skip
    if problems:
        raise BadQuestionError(problems)
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows(texts)
    return Question(lines.getvalue().encode(), tuple(text[0] for text in texts))


def _rows(body: bytes) -> list[Any]:
    try:
        content = json.loads(body, parse_constant=_no_number, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise BadQuestionError([Problem(f"not JSON: {error}")]) from None
    rows = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows:
        raise BadQuestionError([Problem('there are no rows; send {"rows": [{"<column>": <value>, ...}]}')])
    return rows


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number; send null if a value is not known")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("an object has a name twice")
    return content


def _problems(schema: Schema, row: Any, number: int) -> Iterator[Problem]:
    if not isinstance(row, dict):
        yield Problem("is not an object of columns and values", number)
        return
    known = {schema.id, schema.time, *(feature.name for feature in schema.features)}
    for name in (name for name in row if name not in known):
        close = difflib.get_close_matches(name, sorted(known), n=1) if len(name) <= _LONGEST_NAME else []
        hint = f"; do you mean {close[0]!r}?" if close else ""
        yield Problem(f"is no column of this model{hint}", number, name[:80])
    checks: dict[str, Callable[[Any], object]] = {schema.id: _check_id, schema.time: _check_time}
    checks |= {feature.name: partial(_check, feature) for feature in schema.features}
    for name, check in checks.items():
        try:
            if row.get(name) is not None:
                check(row[name])
            elif name not in (*row, schema.id, schema.time):
                yield Problem("is missing; send null if it is not known", number, name)
        except BadRowError as error:
            yield Problem(str(error), number, name)


def _check_id(value: Any) -> None:
    parse_id(_of_type("id", value, str, int))


def _check_time(value: Any) -> None:
    parse_time(_of_type("time", value, str))


def _check(feature: Feature, value: Any) -> None:
    kinds = (str,) if feature.is_category else (int, float)
    parse_cell(feature, _of_type(feature.name, value, *kinds))


def _of_type(name: str, value: Any, *kinds: type) -> str:
    """The value as a cell. Raises BadRowError; text that looks like a number is none, so that two clients never mean two
    things by it."""
    if isinstance(value, bool) or not isinstance(value, kinds):
        expected = "text" if kinds[0] is str else "a number"
        raise BadRowError(f"{name} {json.dumps(value)[:40]} is not {expected}")
    return _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else repr(value)
