"""A profile: mergeable summary of rows, counts in the baseline's cells. Merging is exact, in any order and grouping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop.data.schema import Columns
from driftloop.monitoring.bins import Bins, Counts


@dataclass(frozen=True)
class Profile:
    """Counts per column; every column's counts sum to ``rows``."""

    rows: int
    counts: Mapping[str, Counts]

    def __add__(self, other: Profile) -> Profile:
        if self.counts.keys() != other.counts.keys():
            raise ValueError("profiles of different baselines cannot be merged")
        return Profile(self.rows + other.rows, {name: self.counts[name] + other.counts[name] for name in self.counts})

    def __sub__(self, part: Profile) -> Profile:
        if self.counts.keys() != part.counts.keys():
            raise ValueError("profiles of different baselines cannot be subtracted")
        return Profile(self.rows - part.rows, {name: self.counts[name] - part.counts[name] for name in self.counts})

    def to_dict(self) -> dict[str, Any]:
        """Plain form for JSON."""
        return {"rows": self.rows, "counts": {name: counts.tolist() for name, counts in self.counts.items()}}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Profile:
        """The other way round."""
        return cls(value["rows"], {name: np.array(c, dtype=np.int64) for name, c in value["counts"].items()})


def empty_profile(bins: Mapping[str, Bins]) -> Profile:
    """The neutral element of merging."""
    return Profile(0, {name: np.zeros(len(b.labels), dtype=np.int64) for name, b in bins.items()})


def profile_columns(bins: Mapping[str, Bins], columns: Columns) -> Profile:
    """Profile of some rows. One pass per column; cost grows with rows times columns."""
    counts = {name: b.count(columns[name]) for name, b in bins.items()}
    return Profile(len(next(iter(columns.values()))), counts)


def merge(bins: Mapping[str, Bins], profiles: Iterable[Profile]) -> Profile:
    """Sum of any number of profiles, none included."""
    return sum(profiles, start=empty_profile(bins))
