"""What reading captured traffic gives: columns of the rows that were counted, and what was put aside."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from driftloop.data.columns import Table, columns_of, join
from driftloop.data.schema import Columns

SCORE = "score"


@dataclass(frozen=True)
class Quarantined:
    """One record or row that could not be read."""

    line: int
    offset: int
    reason: str
    content: str
    """Start of what was refused, for people; never parsed again."""
    rows: int = 1
    """Rows or records that this stands for."""

    def moved(self, lines: int, size: int) -> Quarantined:
        """The same, as seen from ``lines`` lines and ``size`` bytes further up."""
        return replace(self, line=self.line + lines, offset=self.offset + size)


LISTED = 1000
"""Refusals of one piece that are told one by one: what is refused may be far smaller than what is said about it."""


def shortened(refused: list[Quarantined]) -> list[Quarantined]:
    """The first thousand refusals, and one that stands for all others.

    Shortening lists in parts, and then what they give together, is the same as shortening all of it at once.
    """
    others = refused[LISTED:]
    if not others:
        return refused
    rows = sum(item.rows for item in others)
    reason = f"{rows} more rows or records from here on cannot be read either"
    return [*refused[:LISTED], Quarantined(others[0].line, others[0].offset, reason, "", rows)]


def put_aside(refused: list[Quarantined], item: Quarantined) -> None:
    """Add a refusal to a list that is shortened in the end, without letting it grow much beyond that."""
    refused.append(item)
    if len(refused) > 2 * LISTED:
        refused[:] = shortened(refused)


@dataclass
class Decoded:
    """What a part of a capture object held: captured rows = counted + quarantined."""

    table: Table
    """Payload columns and ``score``: float64 (probability of label 1, or a number), or text if it is a class."""
    quarantined: list[Quarantined] = field(default_factory=list)

    @cached_property
    def columns(self) -> Columns:
        """The table as arrays; text as objects."""
        return columns_of(self.table)

    @property
    def rows(self) -> int:
        """Rows that were counted."""
        return len(self.table[SCORE])

    @property
    def refused(self) -> int:
        """Rows and records that were put aside."""
        return sum(item.rows for item in self.quarantined)


def join_decoded(parts: list[Decoded]) -> Decoded:
    """Several parts, at least one, in order."""
    if len(parts) == 1:
        return parts[0]
    table = {name: join([part.table[name] for part in parts]) for name in parts[0].table}
    return Decoded(table, [refused for part in parts for refused in part.quarantined])
