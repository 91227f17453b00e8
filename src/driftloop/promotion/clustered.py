"""Uncertainty of a paired comparison: rows of one day have their weather in common, so days are what is counted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from driftloop.monitoring.statistics import Floats
from driftloop.promotion.student import student_quantile

MIN_CLUSTERS = 3


def lower_bound(differences: Floats, clusters: np.ndarray[Any, Any], confidence: float) -> float | None:
    """One-sided lower confidence bound of the mean difference; None with fewer than three clusters.

    Cluster-robust standard error of a mean with the correction G / (G - 1) and Student's t with G - 1 degrees of
    freedom for G clusters (Cameron and Miller 2015, "A Practitioner's Guide to Cluster-Robust Inference", section VI).
    """
    _, cluster = np.unique(clusters, return_inverse=True)
    count = int(cluster.max()) + 1 if len(cluster) else 0
    if count < MIN_CLUSTERS:
        return None
    mean = float(differences.mean())
    sums = np.bincount(cluster, weights=differences - mean)
    error = math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(differences)
    return mean - student_quantile(confidence, count - 1) * error
