"""Quality of predictions as a mean over rows, so that log-loss and AUC are compared by the same paired test."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftloop.monitoring.statistics import Floats, log_losses

METRICS = ("log_loss", "auc")
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


def _share_below(others: Floats, scores: Floats) -> Floats:
    """Share of ``others`` below each score, ties by half."""
    ordered = np.sort(others)
    both = np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")
    return np.asarray(both / (2 * len(ordered)))
