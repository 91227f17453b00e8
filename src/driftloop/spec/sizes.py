"""Amounts of data as people write them in a model file."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_SIZE = re.compile(r"(\d+)\s*(MB|GB|TB)")
_BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


def parse_size(value: object) -> int:
    """``500MB``, ``20GB`` or ``1TB`` as bytes (decimal units, as S3's bills have them); else a ValueError with a hint."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not int(match[1]):
        raise ValueError(f"{value!r} is not a size; write a whole number and a unit, such as 500MB, 20GB or 1TB")
    return int(match[1]) * _BYTES[match[2]]


def write_size(size: int) -> str:
    """A number of bytes for people, in the largest unit that leaves at least one."""
    for unit in ("TB", "GB", "MB"):
        if size >= _BYTES[unit]:
            return f"{size / _BYTES[unit]:.3g} {unit}"
    return f"{size / 1000:.3g} kB"


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": r"^\d+\s*(MB|GB|TB)$", "examples": ["20GB"]}, mode="validation"),
]
"""An amount of data; compiled to bytes."""
