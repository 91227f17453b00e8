"""Distances between histograms and scores of predictions. Formulas name their source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
_FARTHEST = 2.0**1020
"""Beyond any quantity: distances up to here are still numbers."""


def jensen_shannon(observed: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Jensen-Shannon divergence of two histograms in bits, 0 (equal) to 1 (disjoint).

    Lin (1991), "Divergence measures based on the Shannon entropy". Unlike PSI and Kullback-Leibler it is bounded and
    needs no invented count in empty cells. Raises ValueError if a histogram is empty.
    """
    if observed.sum() == 0 or expected.sum() == 0:
        raise ValueError("an empty histogram has no distribution")
    p, q = observed / observed.sum(), expected / expected.sum()
    divergence = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    return min(1.0, max(0.0, float(divergence)))


def _entropy(p: Floats) -> float:
    known = p[p > 0]
    return float(-(known * np.log2(known)).sum())


def log_losses(labels: np.ndarray[Any, Any], scores: Floats) -> Floats:
    """Log-loss of each row in nats; scores are kept 1e-6 away from 0 and 1 so that one row cannot be infinite."""
    p = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.where(labels == 1, -np.log(p), -np.log1p(-p))


def log_loss(labels: np.ndarray[Any, Any], scores: Floats) -> float:
    """Mean log-loss in nats."""
    return float(log_losses(labels, scores).mean())


def auc(labels: np.ndarray[Any, Any], scores: Floats) -> float | None:
    """Area under the ROC curve by mid-ranks (Mann-Whitney); None if only one class is present."""
    positive = int((labels == 1).sum())
    negative = len(labels) - positive
    if not positive or not negative:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[labels == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def calibration_loss(rows: Floats, scores: Floats, positives: Floats) -> float:
    """The part of the log-loss that recalibration would win back, in nats per row, from histograms.

    All arguments have one entry per score cell: number of rows, sum of scores and number of positives. It is the
    calibration term of the decomposition of a proper score (Broecker 2009): the row-weighted Kullback-Leibler
    divergence of the observed rate from the mean score of each cell. It is zero for a calibrated model however hard
    the rows are, so a stormy week does not raise it by itself, and retraining can win it back.
    """
    known = rows > 0
    n, p, y = rows[known], scores[known] / rows[known], positives[known] / rows[known]
    p = np.clip(p, 1e-6, 1 - 1e-6)
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.where(y > 0, y * np.log(y / p), 0.0)
        zero = np.where(y < 1, (1 - y) * np.log((1 - y) / (1 - p)), 0.0)
    return float((n * (one + zero)).sum() / n.sum())


def psi(observed: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Population stability index of two histograms in nats: Jeffreys's divergence, sum of (p - q) ln(p / q).

    It is infinite where a cell is empty on one side only, so half a row is added to every cell of both (Krichevsky
    and Trofimov 1981, the Jeffreys prior): unlike a fixed share such as 0.0001, which alone decides what an empty
    cell is worth, its weight fades as rows grow. Cells that are empty on both sides do not count. Raises ValueError
    if a histogram is empty.
    """
    a, b = _both(observed, expected)
    p, q = (a + 0.5) / (a + 0.5).sum(), (b + 0.5) / (b + 0.5).sum()
    return float(((p - q) * np.log(p / q)).sum())


def kolmogorov_smirnov(observed: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Largest difference of the two cumulative shares, 0 to 1, at the edges of ordered cells.

    Between edges it is not known, so this is a lower bound for the rows themselves. Leave out the cell of missing
    values, which has no place in the order; the cells below and above do. Raises ValueError if a histogram is empty.
    """
    a, b = _shares(observed), _shares(expected)
    return float(np.abs(np.cumsum(a - b)).max())


def wasserstein(
    observed: np.ndarray[Any, Any],
    expected: np.ndarray[Any, Any],
    edges: Sequence[float],
    low: float | None = None,
    high: float | None = None,
) -> float:
    """Wasserstein-1 (earth mover's) distance in the column's unit: how far a row has to be moved on average.

    Each cell's rows are taken to be at its middle, which is off by at most half a cell on either side.

    Args:
        edges: ascending edges of the inner cells; ``len(edges) - 1`` counts are inner cells only, ``len(edges) + 2``
            are those of ``NumericBins``: below and above are put at the outermost edges, missing is left out.
        low: smallest value of both sides, if known. No cell reaches beyond it, and the cell below lies between it and
            the first edge; this is what makes wide outer cells exact enough.
        high: likewise the largest value.

    Raises ValueError if a histogram has no known rows or another number of cells.
    """
    ends = np.asarray(edges, dtype=np.float64)
    if len(observed) == len(ends) - 1 == len(expected):
        observed, expected = np.r_[0, observed, 0, 0], np.r_[0, expected, 0, 0]
    if len(observed) != len(ends) + 2 or len(expected) != len(ends) + 2:
        raise ValueError(f"{len(observed)} and {len(expected)} counts do not fit {len(ends)} edges")
    first = ends[0] if low is None else min(low, ends[0])
    last = ends[-1] if high is None else max(high, ends[-1])
    bounds = np.clip(np.clip(np.r_[first, ends, last], low, high), -_FARTHEST, _FARTHEST)
    middles = bounds[:-1] + (bounds[1:] - bounds[:-1]) / 2
    difference = np.cumsum(_shares(observed[:-1]) - _shares(expected[:-1]))
    return float((np.abs(difference[:-1]) * np.diff(middles)).sum())


class ChiSquare(NamedTuple):
    """Pearson's test of homogeneity."""

    statistic: float
    p_value: float
    freedom: int


def chi_square(observed: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> ChiSquare:
    """Pearson's two-sample test: do both histograms come from one distribution, whichever it is?

    A 2 x cells contingency table without a continuity correction; cells that are empty on both sides do not count.
    With a single cell left there is nothing to differ (p = 1). Raises ValueError if a histogram is empty.
    """
    a, b = _both(observed, expected)
    if len(a) < 2:
        return ChiSquare(0.0, 1.0, 0)
    table = np.stack([a, b])
    fitted = table.sum(axis=1, keepdims=True) * (table.sum(axis=0) / table.sum())
    statistic = float(((table - fitted) ** 2 / fitted).sum())
    return ChiSquare(statistic, upper_gamma((len(a) - 1) / 2, statistic / 2), len(a) - 1)


def upper_gamma(a: float, x: float) -> float:
    """Regularised upper incomplete gamma function Q(a, x): the chance that chi-squared with 2a degrees exceeds 2x.

    A series below a + 1 and Lentz's continued fraction above (Abramowitz and Stegun 6.5.29 and 6.5.31; Press et al.,
    Numerical Recipes, 6.2), to about twelve digits.
    """
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        return max(0.0, 1 - scale * _gamma_series(a, x))
    return scale * _gamma_fraction(a, x)


def _gamma_series(a: float, x: float) -> float:
    term = total = 1 / a
    place = a
    while term > total * 1e-16:
        place += 1
        term *= x / place
        total += term
    return total


def _gamma_fraction(a: float, x: float) -> float:
    b, c = x + 1 - a, 1e300
    d = value = 1 / b
    for step in range(1, 10_000):
        factor = -step * (step - a)
        b += 2
        d = 1 / (factor * d + b)
        c = b + factor / c
        value *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return value


def _both(observed: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> tuple[Floats, Floats]:
    """Cells that either side has rows in."""
    if observed.sum() == 0 or expected.sum() == 0:
        raise ValueError("an empty histogram has no distribution")
    used = (observed > 0) | (expected > 0)
    return observed[used].astype(np.float64), expected[used].astype(np.float64)


def _shares(counts: np.ndarray[Any, Any]) -> Floats:
    total = counts.sum()
    if total == 0:
        raise ValueError("an empty histogram has no distribution")
    shares: Floats = counts / total
    return shares
