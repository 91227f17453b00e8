"""Durations, percentages and other units as people write them in a model file."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST = timedelta(days=3660)
"""Ten years: more is a slip, and dates that far back overflow."""


def parse_duration(value: object) -> timedelta:
    """``90s``, ``10m``, ``12h``, ``60d`` or ``2w`` as a timedelta; anything else is a ValueError with a hint."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f"{value!r} is not a duration; write a whole number and a unit, such as 90s, 10m, 12h, 60d or 2w"
        )
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{value!r} is longer than ten years; write a shorter duration")
    return timedelta(seconds=seconds)


def write_duration(value: timedelta) -> str:
    """The other way round, in the largest unit up to days that leaves no rest."""
    seconds = int(value.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


def check_positive(value: timedelta) -> timedelta:
    """The value itself; zero is a ValueError with a hint."""
    if not value:
        raise ValueError("a length of zero makes no sense here; write one such as 1h or 60d")
    return value


def parse_percent(value: object) -> float:
    """``10%`` as 0.1; anything else is a ValueError with a hint."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip()) if isinstance(value, str) else None
    if match is None or not 0 <= float(match[1]) <= 100:
        raise ValueError(f"{value!r} is not a percentage; write a number from 0 to 100 and a percent sign, such as 10%")
    return float(match[1]) / 100


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(lambda value: int(value.total_seconds()), return_type=int),
    WithJsonSchema({"type": "string", "pattern": r"^\d+\s*[smhdw]$", "examples": ["12h", "60d"]}, mode="validation"),
]
"""A length of time; compiled to whole seconds."""

Length = Annotated[Duration, AfterValidator(check_positive)]
"""A duration longer than zero."""

Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$", "examples": ["10%"]}, mode="validation"),
]
"""A share; compiled to a fraction of one."""
