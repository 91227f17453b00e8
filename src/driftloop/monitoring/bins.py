"""How one column is counted: the cells of its histogram, fixed by the baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from driftloop.data.schema import Feature

Counts = np.ndarray[Any, np.dtype[np.int64]]
MAX_CATEGORIES = 64
INNER_BINS = 10
WIDTHS = 3
"""How many widths of its training range a feature without a declared range may leave it before it cannot be real."""


class Bins(Protocol):
    """Cells of a histogram; the last cell counts missing values."""

    @property
    def labels(self) -> list[str]:
        """Name of each cell, for people."""
        ...

    def count(self, values: np.ndarray[Any, Any]) -> Counts:
        """Values per cell; the sum equals ``len(values)``."""
        ...


@dataclass(frozen=True)
class NumericBins:
    """Cells: below, one per inner interval ``(edges[i], edges[i+1]]``, above, missing.

    The outermost edges are the bounds of what can be real, not of what training saw: a hot summer is a shift, a
    temperature beyond every thermometer a broken feed.
    """

    edges: tuple[float, ...]

    @property
    def labels(self) -> list[str]:
        names = [_name(edge) for edge in self.edges]
        inner = [f"{a} to {b}" for a, b in pairwise(names)]
        return [f"below {names[0]}", *inner, f"above {names[-1]}", "missing"]

    def count(self, values: np.ndarray[Any, Any]) -> Counts:
        # Comparing with each edge beats searchsorted several times over for so few edges; NaN compares false.
        cell = np.zeros(len(values), dtype=np.int64)
        for edge in self.edges:
            cell += values > edge
        cell[np.isnan(values)] = len(self.edges) + 1
        return np.bincount(cell, minlength=len(self.edges) + 2)


@dataclass(frozen=True)
class CategoryBins:
    """Cells: one per known category, other (rare in the baseline or never seen), missing."""

    values: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        return [*self.values, "other", "missing"]

    def count(self, values: np.ndarray[Any, Any]) -> Counts:
        counts = np.zeros(len(self.values) + 2, dtype=np.int64)
        cells = {value: cell for cell, value in enumerate(self.values)} | {"": len(self.values) + 1}
        # Hashing beats sorting, twenty times over for a million values.
        for name, size in Counter(values.tolist()).items():
            counts[cells.get(name, len(self.values))] += size
        return counts


def fit_bins(feature: Feature, values: np.ndarray[Any, Any]) -> Bins:
    """Bins for one feature from its training values."""
    if feature.is_category:
        return fit_categories(values)
    return fit_numeric(values, feature.low, feature.high)


def fit_categories(values: np.ndarray[Any, Any]) -> CategoryBins:
    """The most frequent categories, at most 64, in order of name."""
    names, sizes = np.unique(values[values != ""].astype(str), return_counts=True)
    order = np.lexsort((names, -sizes))[:MAX_CATEGORIES]
    return CategoryBins(tuple(sorted(names[order].tolist())))


def fit_numeric(values: np.ndarray[Any, Any], low: float | None = None, high: float | None = None) -> NumericBins:
    """Ten intervals of equal frequency between the smallest and the largest value, fewer where values repeat.

    ``low`` and ``high`` bound what can be real; without them it is three times the width of what training saw. A fault
    that training holds a little of does not move a declared bound.
    """
    known = values[~np.isnan(values)]
    known = known[(known >= (-np.inf if low is None else low)) & (known <= (np.inf if high is None else high))]
    if not len(known):
        return _unseen(low, high)
    quantiles = np.quantile(known, np.linspace(0, 1, INNER_BINS + 1), method="inverted_cdf")
    reach = WIDTHS * ((quantiles[-1] - quantiles[0]) or abs(quantiles[-1]) or 1.0)
    lowest = quantiles[0] - reach if low is None else low
    highest = quantiles[-1] + reach if high is None else high
    # Intervals are open on the left, so an edge that is to be inside lies just below the value.
    quantiles[0] = np.nextafter(quantiles[0], -np.inf)
    edges = np.r_[np.nextafter(lowest, -np.inf), quantiles, highest]
    return NumericBins(tuple(np.unique(edges).tolist()))


def _unseen(low: float | None, high: float | None) -> NumericBins:
    """One interval for a column that training had no value of: any number, or any within the declared range."""
    largest = float(np.finfo(np.float64).max)
    lowest = -largest if low is None else float(np.nextafter(low, -np.inf))
    return NumericBins((lowest, largest if high is None else high))


def _name(edge: float) -> str:
    # The value just below zero is zero to people.
    return "0" if abs(edge) < 1e-300 else f"{edge:.6g}"


def bins_to_dict(bins: Bins) -> dict[str, Any]:
    """Plain form for JSON."""
    if isinstance(bins, NumericBins):
        return {"edges": list(bins.edges)}
    if isinstance(bins, CategoryBins):
        return {"values": list(bins.values)}
    raise TypeError(f"unknown bins {type(bins).__name__}")


def bins_from_dict(value: dict[str, Iterable[Any]]) -> Bins:
    """The other way round. Raises KeyError for a form this version does not know."""
    return NumericBins(tuple(value["edges"])) if "edges" in value else CategoryBins(tuple(value["values"]))
