"""The faults of a feed that are told apart, and from which share of rows on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from driftloop.monitoring.bins import Counts

BROKEN_SHARE = 0.5
"""Share of rows that must be affected before a column is called broken."""
USUAL_SHARE = 0.1
"""If that many rows are usually so, it is no fault."""


class FaultKind(StrEnum):
    """What is wrong."""

    MISSING = "went missing"
    CONSTANT = "constant"
    UNIT = "unit change"
    SWAPPED = "swapped columns"
    ENCODING = "encoding change"
    UNSEEN = "unseen categories"
    RANGE = "range jump"
    DUPLICATED = "duplicated traffic"
    STANDSTILL = "timestamp stands still"


@dataclass(frozen=True)
class Fault:
    """One cause. No columns if it concerns all traffic."""

    kind: FaultKind
    columns: tuple[str, ...]
    share: float
    """Share of rows that are affected."""
    reason: str


def share_of(counts: Counts, *cells: int) -> float:
    """Share of rows in some cells."""
    return float(sum(counts[cell] for cell in cells) / max(1, counts.sum()))


def became(usual: float, now: float) -> bool:
    """Whether a share went from hardly any row to most rows."""
    return now >= BROKEN_SHARE and usual < USUAL_SHARE
