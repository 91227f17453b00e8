"""One column in the reference and in a window: what the search for faults compares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from driftloop.monitoring.bins import CategoryBins, Counts, NumericBins
from driftloop.monitoring.conversions import Conversion
from driftloop.monitoring.fault_kinds import share_of
from driftloop.monitoring.moments import Moments
from driftloop.monitoring.sample import NO_SAMPLE, Sample
from driftloop.monitoring.statistics import Floats

_DIGITS = 6
"""Decimals beyond which values do not count as rounded."""
_COUNTED = 12
"""Whole numbers in a range that narrow may count weekdays or months."""
_FEW = 16
"""Steps of the moments in which a deviation is not exact."""
_TINY = 1e-290
"""Deviations up to here cannot be divided by the factor of a conversion: the quotient would be zero."""
_NEVER = 0.001
"""Share of the reference below which a cell counts as never used."""
_SURE = 20
"""Binary digits of evidence that steps are no chance: a millionth."""


@dataclass(frozen=True)
class Change:
    """Counts of one column, before (in the reference) and after (in the window); the last cell is missing."""

    name: str
    before: Counts
    after: Counts

    @property
    def only(self) -> str | None:
        """The one value that all known rows now have, as text; None if there are several."""
        raise NotImplementedError

    @property
    def known_rows(self) -> int:
        """Rows with a value."""
        return int(self.after[:-1].sum())

    @property
    def known_share(self) -> float:
        """Share of rows with a value."""
        return 1 - share_of(self.after, -1)

    @property
    def counter(self) -> bool:
        """Whether it may be a part of the date, which is constant within a window by nature."""
        return False

    @property
    def usual_share(self) -> float:
        """Share of the reference's values in the cells that are used now."""
        used = self.after[:-1] > 0
        return float(self.before[:-1][used].sum() / max(1, self.before[:-1].sum()))


@dataclass(frozen=True)
class Side:
    """The known numbers of some rows."""

    low: float
    high: float
    mean: float
    deviation: float
    whole: bool = False
    """Whether all values are whole numbers, as far as their sums tell."""

    @property
    def width(self) -> float:
        """How many deviations the extremes lie apart."""
        return (self.high - self.low) / self.deviation

    def back(self, conversion: Conversion) -> Side:
        """The same in the unit before a conversion."""
        low, high, mean = (conversion.back(value) for value in (self.low, self.high, self.mean))
        return Side(low, high, mean, self.deviation / conversion.factor)


@dataclass(frozen=True)
class Numbers(Change):
    """A column of numbers; without sides if one of the profiles holds no moments."""

    bins: NumericBins
    usual: Side | None
    now: Side | None

    @property
    def only(self) -> str | None:
        return f"{self.now.low:g}" if self.now is not None and self.now.low == self.now.high else None

    @property
    def counter(self) -> bool:
        return self.digits == 0 and self.usual is not None and self.usual.high - self.usual.low < _COUNTED

    @cached_property
    def varies(self) -> bool:
        """Whether both sides have a deviation to measure by."""
        sides = (self.usual, self.now)
        return all(side is not None and side.deviation > _TINY for side in sides)

    @cached_property
    def moved(self) -> float:
        """Distance of the means in usual deviations; zero if it is not known."""
        if self.usual is None or self.now is None or not self.varies:
            return 0.0
        return abs(self.now.mean - self.usual.mean) / self.usual.deviation

    @cached_property
    def novelty(self) -> float:
        """Share of the known numbers in cells that the reference (nearly) never used."""
        never = self.before[:-1] <= _NEVER * self.before[:-1].sum()
        return float(self.after[:-1][never].sum() / self.after[:-1].sum())

    @cached_property
    def gap(self) -> float:
        """Kolmogorov-Smirnov distance of the known numbers, at the edges."""
        return float(np.abs(_cumulative(self.after) - _cumulative(self.before)).max())

    def gap_after(self, conversion: Conversion) -> float:
        """What of it must remain if the reference is converted too."""
        edges = tuple(conversion.factor * edge + conversion.offset for edge in self.bins.edges)
        return shape_gap(self.bins.edges, self.after, edges, self.before)

    def left_after(self, conversion: Conversion) -> tuple[float, float]:
        """Shares of the known numbers that lie where they usually do, although the conversion would have moved them.

        The first: where it brings hardly any; the second: all that are more than it brings. A filler in most rows
        leaves the other rows where they were. The reference is taken as even within its cells.
        """
        if self.usual is None:
            return 0.0, 0.0
        edges = np.asarray(self.bins.edges)
        inside = (edges > self.usual.low) & (edges < self.usual.high)
        values = np.r_[self.usual.low, edges[inside], self.usual.high]
        shares = np.r_[0.0, _cumulative(self.before)[inside], 1.0]
        back = (edges - conversion.offset) / conversion.factor
        brought = np.diff(np.interp(back, values, shares, left=0.0, right=1.0))
        # The cell of the one number that stays what it is, such as zero, tells nothing.
        still = math.inf if conversion.factor == 1 else conversion.offset / (1 - conversion.factor)
        told = (self.before[1:-2] > 0) & ~((edges[:-1] < still) & (still <= edges[1:]))
        more = told * np.maximum(0.0, self.after[1:-2] / self.known_rows - brought)
        few = told & (brought < _NEVER)
        wanted, rows = float(brought[few].sum()), self.known_rows
        beyond_chance = float(self.after[1:-2][few].sum()) / rows - wanted - 3 * math.sqrt(wanted / rows)
        return max(0.0, beyond_chance), float(more.sum())

    @cached_property
    def marks(self) -> tuple[float, ...]:
        """Values that the reference holds: its extremes and, as edges, its quantiles."""
        if self.usual is None:
            return ()
        low, high = self.usual.low, self.usual.high
        return (low, *(edge for edge in self.bins.edges if low < edge < high), high)

    @cached_property
    def digits(self) -> int | None:
        """Decimals of the usual values; None if they are not rounded."""
        if self.usual is None:
            return None
        digits = decimals(self.marks)
        return digits if digits <= _DIGITS else None

    @cached_property
    def step(self) -> int:
        """How far usual values lie apart, in units of their last decimal: they are whole multiples of it from each other.

        Fahrenheit that once was Celsius with one decimal comes in steps of 0.18. 1 if it may be chance.
        """
        if self.digits is None:
            return 1
        first, *others = sorted({round(value * 10**self.digits) for value in self.marks})
        step = math.gcd(*(other - first for other in others))
        return step if step > 1 and len(others) * math.log2(step) >= _SURE else 1

    def fits(self, values: tuple[float, ...], more: int = 0) -> bool:
        """Whether values are rounded as the usual ones are; ``more`` decimals may be chance where they have no step."""
        if self.digits is None:
            return True
        if self.step == 1:
            return rounded(values, self.digits + (0 if self.bins.whole else more))
        first = round(self.marks[0] * 10**self.digits)
        return rounded(values, self.digits) and all(
            (round(value * 10**self.digits) - first) % self.step == 0 for value in values
        )

    def usual_at(self, value: float) -> float:
        """Usual share of the cell that a value falls into."""
        return share_of(self.before, int(self.bins.cells(np.array([value]))[0]))

    @cached_property
    def is_foreign(self) -> bool:
        """Whether values have decimals that no usual one can have, or extremes are not in the usual steps.

        Rounded values leave a trace that no weather does: a conversion brings new decimals. One more may be chance,
        since only some values are known.
        """
        if self.now is None or self.usual is None:
            return False
        return (self.usual.whole and not self.now.whole) or not self.fits((self.now.low, self.now.high), more=1)


@dataclass(frozen=True)
class Names(Change):
    """A column of categories."""

    bins: CategoryBins
    unseen: Sample

    @property
    def only(self) -> str | None:
        used = np.flatnonzero(self.after[:-1])
        if len(used) != 1:
            return None
        if used[0] < len(self.bins.values):
            return repr(self.bins.values[used[0]])
        return repr(next(iter(self.unseen.counts))) if len(self.unseen.counts) == 1 else None

    @cached_property
    def known(self) -> frozenset[str]:
        """Names that training had."""
        return frozenset(self.bins.values) | frozenset(self.bins.rare)

    @cached_property
    def usual(self) -> Mapping[str, float]:
        """Usual share of each frequent name."""
        return self._named(self.before)

    @cached_property
    def now(self) -> Mapping[str, float]:
        """Present share of each frequent name, and of the sampled unseen ones."""
        total = int(self.after[:-1].sum())
        unseen = {name: rows / total for name, rows in self.unseen.counts.items()}
        return {**self._named(self.after), **unseen}

    def _named(self, counts: Counts) -> dict[str, float]:
        shares = (counts[:-1] / counts[:-1].sum()).tolist()
        return dict(zip(self.bins.values, shares, strict=False))


def numbers_of(
    name: str, bins: NumericBins, before: Counts, after: Counts, usual: Moments | None, now: Moments | None
) -> Numbers:
    """The change of a column of numbers."""
    return Numbers(name, before, after, bins, _side(bins, usual), _side(bins, now))


def names_of(name: str, bins: CategoryBins, before: Counts, after: Counts, unseen: Sample | None) -> Names:
    """The change of a column of categories."""
    return Names(name, before, after, bins, unseen or NO_SAMPLE)


def _side(bins: NumericBins, moments: Moments | None) -> Side | None:
    if moments is None or moments.low is None or moments.high is None:
        return None
    low, high = moments.low, moments.high
    if low < high < low + _FEW * bins.step:
        # Closer together than the steps of the moments can tell.
        return Side(low, high, (low + high) / 2, (high - low) / 4, _are_whole(bins, moments))
    mean, deviation = moments.mean(bins), moments.deviation(bins)
    return None if mean is None or deviation is None else Side(low, high, mean, deviation, _are_whole(bins, moments))


def _are_whole(bins: NumericBins, moments: Moments) -> bool:
    """Whether the sums are those of whole numbers, which are whole multiples of the steps in one."""
    steps = 1 / bins.step
    if steps < 2 or not steps.is_integer() or not bins.origin.is_integer():
        return False
    return moments.total % int(steps) == 0 and moments.squares % int(steps) ** 2 == 0


def variation(observed: Mapping[str, float], expected: Mapping[str, float]) -> float:
    """Total variation distance of shares by name, 0 to 1; what is not named on either side counts as different."""
    return 1 - sum(min(share, expected.get(name, 0.0)) for name, share in observed.items())


def decimals(values: tuple[float, ...]) -> int:
    """Decimals of rounded values; one more than is looked for if they are not rounded."""
    return next((digits for digits in range(_DIGITS + 1) if rounded(values, digits)), _DIGITS + 1)


def rounded(values: tuple[float, ...], digits: int) -> bool:
    """Whether no value has more decimals than that, but for errors of floating-point arithmetic."""
    return all(abs(value - round(value, digits)) <= 1e-12 * max(1.0, abs(value)) for value in values)


def shape_gap(edges: tuple[float, ...], counts: Counts, others: tuple[float, ...], other: Counts) -> float:
    """Least Kolmogorov-Smirnov distance that numbers in these histograms can have; missing is left out."""
    return max(_excess(edges, counts, others, other), _excess(others, other, edges, counts))


def _excess(edges: tuple[float, ...], counts: Counts, others: tuple[float, ...], other: Counts) -> float:
    """How far the second's cumulative shares lie outside of what the first leaves open."""
    known, wanted = _cumulative(counts), _cumulative(other)
    left = np.searchsorted(edges, others, side="right") - 1
    right = np.searchsorted(edges, others, side="left")
    low = np.where(left >= 0, known[np.maximum(left, 0)], 0.0)
    high = np.where(right < len(edges), known[np.minimum(right, len(edges) - 1)], 1.0)
    return float(np.max(np.maximum(low - wanted, wanted - high), initial=0.0))


def _cumulative(counts: Counts) -> Floats:
    """Share of the known numbers up to each edge."""
    shares: Floats = np.cumsum(counts[:-1])[:-1] / counts[:-1].sum()
    return shares
