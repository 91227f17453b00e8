"""While a version is rolled out: are the predictions of the traffic since further from those before than the gate has seen?

Nobody knows which fleet answered which row, and the rows are others than before. But the Wasserstein distance between the
predictions of two versions on the same rows is at most their mean absolute difference (moving each row's prediction by its
difference is one way to get from the one to the other), which the gate knows. What comes on top is how far the hours of the
version before were from each other, and chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftloop.monitoring.bins import Counts
from driftloop.monitoring.outcomes import EDGES
from driftloop.monitoring.statistics import wasserstein

MIN_ROWS = 100
"""Fewer predictions say nothing, of an hour before or since."""
_SURE = 3.0
"""How many times what chance does on average is allowed to chance."""
_WIDTHS = np.diff((EDGES[:-1] + EDGES[1:]) / 2)


@dataclass(frozen=True)
class Usual:
    """Predictions of the version before."""

    counts: Counts
    """In the cells of ``Profile.probabilities``."""
    spread: float
    """Distance of the oddest hour from all hours together, without what chance alone does."""

    @classmethod
    def of_hours(cls, hours: Sequence[Counts]) -> Usual | None:
        """From each hour's predictions; None if they are too few."""
        everything = np.sum(hours, axis=0) if hours else np.zeros(len(EDGES) - 1, dtype=np.int64)
        if everything.sum() < MIN_ROWS:
            return None
        known = [hour for hour in hours if hour.sum() >= MIN_ROWS]
        odd = (_distance(hour, everything) - _chance(everything, int(hour.sum())) for hour in known)
        return cls(everything, max(odd, default=0.0) if len(known) > 1 else 0.0)

    def score(self, now: Counts, expected: float, tolerance: float) -> float:
        """Distance of the predictions since from those before, divided by its limit: 1 is at the limit.

        Args:
            now: predictions since, in the cells of ``Profile.probabilities``; at least one.
            expected: mean absolute difference of both versions' probabilities before the gate.
            tolerance: how much more is tolerated.
        """
        limit = expected + tolerance + max(self.spread, 0.0) + _SURE * _chance(self.counts, int(now.sum()))
        return _distance(now, self.counts) / limit


def _distance(some: Counts, others: Counts) -> float:
    return wasserstein(some, others, EDGES.tolist())


def _chance(counts: Counts, rows: int) -> float:
    """Most that the mean distance of a sample can be from what it and ``counts`` are drawn from.

    The mean of |F_n - F| is at most its standard deviation, sqrt(F (1 - F) / n).
    """
    total = int(counts.sum())
    share = np.cumsum(counts)[:-1] / total
    return float((np.sqrt(share * (1 - share)) * _WIDTHS).sum() * np.sqrt(1 / rows + 1 / total))
