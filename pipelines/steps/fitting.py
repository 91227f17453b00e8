"""Fit the classifier: gradient-boosted trees on histograms, with native categories and early stopping."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from driftloop.data.schema import Columns, Schema
from pipelines.steps.inference import Matrix, Predictor, encode
from pipelines.steps.step import StepError

MAX_CATEGORIES = 254
"""Codes must lie below the trees' 255 bins."""
MIN_CATEGORY_ROWS = 20
"""A leaf has at least this many rows by default, so a rarer category could never have one of its own."""
HYPERPARAMETERS = (
    "l2_regularization", "learning_rate", "max_depth", "max_features", "max_iter", "max_leaf_nodes", "min_samples_leaf",
    "n_iter_no_change", "tol", "validation_fraction",
)  # fmt: skip


def check_hyperparameters(given: Mapping[str, Any]) -> None:
    """Raises StepError with a hint for every name that the classifier does not have."""
    faults = []
    for name in sorted(given.keys() - set(HYPERPARAMETERS)):
        close = difflib.get_close_matches(name, HYPERPARAMETERS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(HYPERPARAMETERS)}"
        faults.append(f"training.hyperparameters.{name} is not known: {hint}")
    if faults:
        raise StepError(*faults)


def known_categories(schema: Schema, columns: Columns) -> dict[str, list[str]]:
    """The most frequent values of each category feature, at most 254, in order of name."""
    known = {}
    for feature in schema.features:
        if feature.is_category:
            values, counts = np.unique(columns[feature.name].astype(str), return_counts=True)
            often = (counts >= MIN_CATEGORY_ROWS) & (values != "")
            order = np.lexsort((values[often], -counts[often]))[:MAX_CATEGORIES]
            known[feature.name] = sorted(values[often][order].tolist())
    return known


class Trainer:
    """Fits classifiers on parts of one training set, all with the same categories and settings."""

    def __init__(self, schema: Schema, columns: Columns, hyperparameters: Mapping[str, Any], seed: int) -> None:
        check_hyperparameters(hyperparameters)
        self.schema = schema
        self.categories = known_categories(schema, columns)
        self.matrix: Matrix = encode(schema, self.categories, columns)
        self._labels = columns[schema.label]
        self._settings = {"early_stopping": True, **hyperparameters, "random_state": seed}

    def fit(self, rows: np.ndarray[Any, Any]) -> Predictor:
        """Fit on the rows of a mask. Raises StepError if they have one class only, or a setting has a bad value."""
        labels = self._labels[rows]
        if len(np.unique(labels)) < 2:
            raise StepError(f"{len(labels)} rows to learn from have one class of {self.schema.label} only")
        mask = [feature.is_category for feature in self.schema.features]
        classifier = HistGradientBoostingClassifier(categorical_features=mask, **self._settings)
        matrix = self.matrix[rows]
        # scikit-learn cannot bin a feature without any value; a constant is never split on and means the same.
        matrix[:, np.isnan(matrix).all(axis=0)] = 0.0
        try:
            classifier.fit(matrix, labels)
        except ValueError as error:
            raise StepError(f"training failed: {error}") from error
        return Predictor(self.schema, classifier, self.categories)

    def fit_all(self) -> Predictor:
        """Fit on all rows. Raises StepError as ``fit`` does."""
        return self.fit(np.ones(len(self._labels), dtype=bool))
