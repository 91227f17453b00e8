"""Quality of predictions as a mean over rows, so that log-loss and AUC are compared by the same paired test."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftloop.monitoring.statistics import Floats, log_losses

METRICS = ("log_loss", "auc")
_GROUPS = 10
BOTH_CLASSES = "AUC needs rows of both classes"


def row_qualities(metric: str, labels: np.ndarray[Any, Any], scores: Floats) -> Floats:
    """What each row contributes to the quality; the mean over the rows is minus the log-loss (nats), or the AUC.

    The AUC's contributions are its placement values, taken about the AUC and weighted by class (DeLong, DeLong and
    Clarke-Pearson 1988); summed by cluster they give the variance of Obuchowski (1997). Raises ValueError for an
    unknown metric, or for AUC if a class is missing.
    """
    if metric == "log_loss":
        return -log_losses(labels, scores)
    if metric != "auc":
        raise ValueError(f"metric {metric!r} is not known; use {' or '.join(METRICS)}")
    positive = labels == 1
    if positive.all() or not positive.any():
        raise ValueError(BOTH_CLASSES)
    placements = np.empty(len(labels))
    placements[positive] = _share_below(scores[~positive], scores[positive])
    placements[~positive] = 1 - _share_below(scores[positive], scores[~positive])
    area = placements[positive].mean()
    weight = np.where(positive, 1 / positive.mean(), 1 / (~positive).mean())
    return np.asarray(area + weight * (placements - area))


def calibration_error(labels: np.ndarray[Any, Any], scores: Floats) -> float:
    """Mean distance between what is predicted and what happens, over at most ten groups of rows of like scores.

    Expected calibration error with groups of equal size (Nixon et al. 2019, "Measuring Calibration in Deep Learning");
    rows with the same score stay together, so a constant prediction has one group.
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - counts / 2
    group = np.minimum(middles * _GROUPS / len(scores), _GROUPS - 1).astype(int)[place]
    sums = np.bincount(group, weights=scores - labels, minlength=_GROUPS)
    return float(np.abs(sums).sum() / len(scores))


def _share_below(others: Floats, scores: Floats) -> Floats:
    """Share of ``others`` below each score, ties by half."""
    ordered = np.sort(others)
    both = np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")
    return np.asarray(both / (2 * len(ordered)))
