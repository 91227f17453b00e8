"""Columns in the form in which they are read. Most of what is done with text needs no text objects: making them takes as
long as reading does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from typing import Any

import numpy as np

from driftloop.data.schema import Columns

Values = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Coded:
    """Text, as any column of categories, by its distinct values: counting codes is a hundred times faster than counting text."""

    names: Sequence[str]
    """Of which some may be equal."""
    places: Values
    """Of each row's value among the names."""

    def __len__(self) -> int:
        return len(self.places)

    def values(self) -> Values:
        """As an array of text objects."""
        values: Values = np.array(self.names, dtype=object)[self.places]
        return values


@dataclass(frozen=True, eq=False)
class Texts:
    """Text that is different in each row."""

    content: bytes
    """All texts, one below the other, without a line end behind the last one."""
    ends: Values
    """Where each text ends, in bytes."""

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, place: int) -> str:
        begin = int(self.ends[place - 1]) + 1 if place else 0
        return self.content[begin : self.ends[place]].decode()

    @property
    def widths(self) -> Values:
        """How many bytes each text has."""
        return np.diff(self.ends.astype(np.int64), prepend=-1) - 1

    def values(self) -> Values:
        """As an array of text objects. Raises UnicodeDecodeError."""
        return np.array(self.content.decode().split("\n"), dtype=object)


Column = Values | Coded | Texts
Table = Mapping[str, Column]


def values_of(column: Column) -> Values:
    """Any column as an array."""
    return column if isinstance(column, np.ndarray) else column.values()


def columns_of(table: Table) -> Columns:
    """All columns as arrays."""
    return {name: values_of(column) for name, column in table.items()}


def coded(column: Column) -> Coded:
    """Any column of categories by its codes."""
    if isinstance(column, Coded):
        return column
    values = values_of(column)
    known: dict[str, int] = defaultdict(count().__next__)
    places = np.fromiter(map(known.__getitem__, values.tolist()), np.int64, len(values))
    return Coded(list(known), places)


def join(columns: Sequence[Column]) -> Column:
    """One column after the other; at least one."""
    parts = [column for column in columns if isinstance(column, Coded)]
    if len(parts) < len(columns):
        return np.concatenate([values_of(column) for column in columns])
    starts = accumulate((len(part.names) for part in parts), initial=0)
    places = np.concatenate([part.places + start for part, start in zip(parts, starts, strict=False)])
    return Coded([name for part in parts for name in part.names], places)
