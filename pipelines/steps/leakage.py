"""Features that tell the label too well: what is known only afterwards, or was made from the label itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from driftloop.data.schema import Columns, Feature, Schema
from driftloop.monitoring.statistics import Floats, auc

Values = np.ndarray[Any, Any]
_BINS = 20
_SMOOTHING = 10.0
"""Rows of the average rate that each group is given: a rare value that happened to have one label is no leak."""


def leakage_faults(schema: Schema, training: Columns, holdout: Columns, limit: float) -> Iterator[str]:
    """Each feature that alone separates the labels of the holdout with an AUC above the limit, in words.

    The label's rate is learned per value, or per twentieth of the numbers, from the training rows, so that a leak of any
    shape is found and one that only the training rows know by heart is none.
    """
    labels = training[schema.label]
    for feature in schema.features:
        known, asked = _groups(feature, training[feature.name], holdout[feature.name])
        area = auc(holdout[schema.label], _rates(known, asked, labels))
        if area is not None and area > limit:
            yield (
                f"{feature.name} alone tells {schema.label} with an AUC of {area:.3f} on the holdout: it may be known only "
                f"afterwards; remove it, or raise training.max_feature_auc ({limit:g})"
            )


def _groups(feature: Feature, known: Values, asked: Values) -> tuple[Values, Values]:
    """Group of each row, from 0 on; groups that training has not seen come last."""
    if feature.is_category:
        values, groups = np.unique(known.astype(str), return_inverse=True)
        place = np.searchsorted(values, asked.astype(str)).clip(max=len(values) - 1)
        return groups, np.where(values[place] == asked.astype(str), place, len(values))
    numbers = known.astype(float)
    edges = np.empty(0)
    if not np.isnan(numbers).all():
        edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return _places(edges, numbers), _places(edges, asked.astype(float))


def _places(edges: Floats, numbers: Floats) -> Values:
    """Number of the bin of each number; those that are missing have one of their own."""
    return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, side="right"))


def _rates(known: Values, asked: Values, labels: Values) -> Floats:
    """Rate of label 1 in the group of each row that is asked about."""
    groups = int(max(known.max(), asked.max())) + 1
    rows = np.bincount(known, minlength=groups)
    ones = np.bincount(known, weights=labels, minlength=groups)
    rates: Floats = (ones + _SMOOTHING * labels.mean()) / (rows + _SMOOTHING)
    return np.asarray(rates[asked])
