"""Distances between histograms and scores of predictions. Formulas name their source."""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


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
