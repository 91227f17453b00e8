"""Count, extremes, mean and deviation of a number, mergeable and exact: sums are whole numbers of the bins' steps."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from driftloop.monitoring.bins import Counts, NumericBins

try:
    from driftloop.native.tallies import Tally, tally

    _COMPILED = True
except ImportError:
    # It is not in SageMaker's containers.
    _COMPILED = False

_EXACT = 2.0**53
"""Sums of whole doubles below this are exact in any order."""
_BEYOND = 2.0**200
_LARGEST = 2.0**1022


@dataclass(frozen=True)
class Moments:
    """Known values of one column. ``total`` and ``squares`` are sums of steps from the bins' origin and their squares."""

    count: int = 0
    low: float | None = None
    high: float | None = None
    total: int = 0
    squares: int = 0

    def __add__(self, other: Moments) -> Moments:
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return self if other.low is None else other
        return Moments(
            self.count + other.count, min(self.low, other.low), max(self.high, other.high),
            self.total + other.total, self.squares + other.squares,
        )  # fmt: skip

    def __sub__(self, part: Moments) -> Moments:
        """Without a part; the extremes stay those of the whole."""
        count, total, squares = self.count - part.count, self.total - part.total, self.squares - part.squares
        return replace(self, count=count, total=total, squares=squares)

    def mean(self, bins: NumericBins) -> float | None:
        """Mean in the column's unit; None without values."""
        if not self.count:
            return None
        mean = bins.origin + bins.step * (self.total / self.count)
        return max(-sys.float_info.max, min(sys.float_info.max, mean))

    def deviation(self, bins: NumericBins) -> float | None:
        """Standard deviation of the population in the column's unit; None without values."""
        if not self.count:
            return None
        return bins.step * (math.sqrt(self.squares * self.count - self.total**2) / self.count)

    def to_list(self) -> list[Any]:
        """Plain form for JSON."""
        return [self.count, self.low, self.high, self.total, self.squares]

    @classmethod
    def from_list(cls, value: list[Any]) -> Moments:
        """The other way round."""
        return cls(*value)


NO_MOMENTS = Moments()


def tally_numbers(columns: Sequence[tuple[NumericBins, np.ndarray[Any, Any]]]) -> list[tuple[Counts, Moments]]:
    """Values per cell of several columns and their moments, in one step where compiled code is at hand."""
    if not _COMPILED:
        return [(bins.count(values), moments_of(bins, values)) for bins, values in columns]
    found = tally([(values, bins.edge_values, bins.origin, bins.step) for bins, values in columns])
    return [(one.counts, _moments(bins, values, one)) for one, (bins, values) in zip(found, columns, strict=True)]


def _moments(bins: NumericBins, values: np.ndarray[Any, Any], found: Tally) -> Moments:
    if found.steps is None:
        return moments_of(bins, values)
    return Moments(found.known, found.low, found.high, *found.steps) if found.known else NO_MOMENTS


def moments_of(bins: NumericBins, values: np.ndarray[Any, Any]) -> Moments:
    """Moments of some values; missing ones (NaN) do not count."""
    missing = np.isnan(values)
    known = values[~missing] if missing.any() else values
    if not len(known):
        return NO_MOMENTS
    with np.errstate(over="ignore"):
        steps = np.rint((known - bins.origin) / bins.step)
    # Zero has no sign here, whichever came first.
    low, high = float(known.min()) + 0.0, float(known.max()) + 0.0
    peak = float(max(abs(steps[known.argmin()]), abs(steps[known.argmax()])))
    if peak * peak * len(steps) < _EXACT:
        # Not by `@`: BLAS starts threads for it, which get in the way of those that read.
        return Moments(len(known), low, high, int(steps.sum()), int(np.einsum("i,i->", steps, steps)))
    whole = [_steps(bins, value) for value in known.tolist()]
    return Moments(len(known), low, high, sum(whole), sum(step * step for step in whole))


def _steps(bins: NumericBins, value: float) -> int:
    # Beyond any quantity: keeps the sums' roots and quotients within doubles, and what they are in the column's unit.
    most = min(_BEYOND, _LARGEST / bins.step)
    return round(max(-most, min(most, (value - bins.origin) / bins.step)))


def moments_map(value: Mapping[str, list[Any]]) -> dict[str, Moments]:
    """Plain form of several columns."""
    return {name: Moments.from_list(item) for name, item in value.items()}
