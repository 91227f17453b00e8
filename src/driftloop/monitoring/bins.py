"""How one column is counted: the cells of its histogram, fixed by the baseline."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from driftloop.data.columns import Column, coded, values_of
from driftloop.data.schema import Feature

Counts = np.ndarray[Any, np.dtype[np.int64]]
MAX_CATEGORIES = 64
MAX_RARE = 1024
INNER_BINS = 10
WIDTHS = 3
"""How many widths of its training range a feature without a declared range may leave it before it cannot be real."""
_LARGEST = float(np.finfo(np.float64).max)
_STEPS = 1024
"""Steps of the moments' unit within the middle nine tenths of the training values."""


class Bins(Protocol):
    """Cells of a histogram; the last cell counts missing values, the one before what training cannot have seen."""

    @property
    def labels(self) -> list[str]:
        """Name of each cell, for people."""
        ...

    def count(self, values: Column) -> Counts:
        """Values per cell; the sum equals ``len(values)``."""
        ...

    def cells(self, values: Column) -> Counts:
        """The cell of each value."""
        ...


@dataclass(frozen=True)
class NumericBins:
    """Cells: below, one per inner interval ``(edges[i], edges[i+1]]``, above, missing.

    The outermost edges are the bounds of what can be real, not of what training saw: a hot summer is a shift, a
    temperature beyond every thermometer a broken feed.
    """

    edges: tuple[float, ...]
    origin: float = 0.0
    step: float = 1.0
    """Moments are kept in whole steps from the origin, so that their sums are exact; a power of two."""
    whole: bool = False
    """Whether values are whole numbers; cells are then named by the numbers in them."""

    @cached_property
    def labels(self) -> list[str]:
        names = [edge_name(edge) for edge in self.edges]
        inner = [_span(a, b) if self.whole else f"{edge_name(a)} to {edge_name(b)}" for a, b in pairwise(self.edges)]
        return [f"below {names[0]}", *inner, f"above {names[-1]}", "missing"]

    @cached_property
    def edge_values(self) -> np.ndarray[Any, Any]:
        """Edges as an array."""
        return np.array(self.edges)

    def count(self, values: Column) -> Counts:
        values = values_of(values)
        # Counting what lies beyond each edge beats searchsorted several times over for so few edges; NaN is beyond none.
        missing = int(np.count_nonzero(np.isnan(values)))
        above = [int(np.count_nonzero(values > edge)) for edge in self.edges]
        beyond = [len(values) - missing, *above, 0]
        return np.array([*(a - b for a, b in pairwise(beyond)), missing], dtype=np.int64)

    def cells(self, values: Column) -> Counts:
        values = values_of(values)
        cell = np.searchsorted(self.edge_values, values, side="left").astype(np.int64)
        cell[np.isnan(values)] = len(self.edges) + 1
        return cell


@dataclass(frozen=True)
class CategoryBins:
    """Cells: one per known category, rare (seen in training, but not often), unseen, missing."""

    values: tuple[str, ...]
    rare: tuple[str, ...] = ()

    @cached_property
    def labels(self) -> list[str]:
        return [*self.values, "rare", "unseen", "missing"]

    @cached_property
    def _places(self) -> Mapping[str, int]:
        size = len(self.values)
        known = {value: place for place, value in enumerate(self.values)}
        return known | dict.fromkeys(self.rare, size) | {"": size + 2}

    def count(self, values: Column) -> Counts:
        return self.tally(values)[0]

    def tally(self, values: Column) -> tuple[Counts, dict[str, int]]:
        """Values per cell, and how often each unseen value came."""
        counts = np.zeros(len(self.values) + 3, dtype=np.int64)
        new: Counter[str] = Counter()
        column = coded(values)
        cells, sizes = self._cells(column.names), np.bincount(column.places, minlength=len(column.names))
        np.add.at(counts, cells, sizes)
        for place in np.flatnonzero((cells == len(self.values) + 1) & (sizes > 0)).tolist():
            new[column.names[place]] += int(sizes[place])
        return counts, new

    def cells(self, values: Column) -> Counts:
        column = coded(values)
        return self._cells(column.names)[column.places]

    def _cells(self, names: Sequence[str]) -> Counts:
        unseen = len(self.values) + 1
        return np.array([self._places.get(name, unseen) for name in names], dtype=np.int64)


def fit_bins(feature: Feature, values: np.ndarray[Any, Any]) -> Bins:
    """Bins for one feature from its training values."""
    if feature.is_category:
        return fit_categories(values)
    return replace(fit_numeric(values, feature.low, feature.high), whole=feature.type == "integer")


def fit_categories(values: np.ndarray[Any, Any]) -> CategoryBins:
    """The 64 most frequent categories in order of name, and the names of up to 1,024 rarer ones."""
    names, sizes = np.unique(values[values != ""].astype(str), return_counts=True)
    order = names[np.lexsort((names, -sizes))].tolist()
    rare = order[MAX_CATEGORIES : MAX_CATEGORIES + MAX_RARE]
    return CategoryBins(tuple(sorted(order[:MAX_CATEGORIES])), tuple(sorted(rare)))


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
    # Plain floats, which become infinite without a warning.
    first, last = float(quantiles[0]), float(quantiles[-1])
    reach = WIDTHS * ((last - first) or abs(last) or 1.0)
    lowest = first - reach if low is None else low
    highest = last + reach if high is None else high
    origin, step = _unit(known)
    # Intervals are open on the left, so an edge that is to be inside lies just below the value.
    with np.errstate(over="ignore"):
        quantiles[0] = np.nextafter(quantiles[0], -np.inf)
        edges = np.r_[np.nextafter(lowest, -np.inf), quantiles, highest]
    return NumericBins(tuple(np.unique(np.clip(edges, -_LARGEST, _LARGEST)).tolist()), origin, step)


def _unit(known: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Origin and step of the moments: fine enough for any statistic, coarse enough for exact sums in doubles."""
    low, middle, high = np.quantile(known, (0.05, 0.5, 0.95), method="inverted_cdf").tolist()
    width = (high - low) or float(known.max() - known.min()) or abs(middle) or 1.0
    step = 2.0 ** math.floor(math.log2(max(2.0**-1000, min(2.0**1000, width / _STEPS))))
    # Rounding the largest number up would give infinity.
    return max(-(2.0**1023), min(2.0**1023, round(middle / step) * step)), step


def _unseen(low: float | None, high: float | None) -> NumericBins:
    """One interval for a column that training had no value of: any number, or any within the declared range."""
    lowest = -_LARGEST if low is None else float(np.nextafter(low, -np.inf))
    return NumericBins((lowest, _LARGEST if high is None else high))


def edge_name(edge: float) -> str:
    """An edge for people."""
    # The value just below zero is zero to people.
    return "0" if abs(edge) < 1e-300 else f"{edge:.6g}"


def _span(low: float, high: float) -> str:
    """The whole numbers in ``(low, high]``."""
    first, last = math.floor(low) + 1, math.floor(high)
    return f"{last}" if first >= last else f"{first} to {last}"


def bins_to_dict(bins: Bins) -> dict[str, Any]:
    """Plain form for JSON."""
    if isinstance(bins, NumericBins):
        return {"edges": list(bins.edges), "origin": bins.origin, "step": bins.step, "whole": bins.whole}
    if isinstance(bins, CategoryBins):
        return {"values": list(bins.values), "rare": list(bins.rare)}
    raise TypeError(f"unknown bins {type(bins).__name__}")


def bins_from_dict(value: Mapping[str, Any]) -> Bins:
    """The other way round; ``rare``, ``origin`` and ``step`` are new in format 2. Raises KeyError for other forms."""
    if "edges" in value:
        return NumericBins(
            tuple(value["edges"]), value.get("origin", 0.0), value.get("step", 1.0), value.get("whole", False)
        )
    return CategoryBins(tuple(value["values"]), tuple(value.get("rare", ())))


def upgrade_counts(bins: Bins, counts: Iterable[int]) -> Counts:
    """Counts of format 1, which had one cell ``other`` for what is now ``rare`` and ``unseen``."""
    cells = list(counts)
    if isinstance(bins, CategoryBins):
        # Format 1 did not keep which values were rare: what it called other, live, is unseen, since all its limits are.
        cells.insert(len(bins.values), 0)
    return np.array(cells, dtype=np.int64)
