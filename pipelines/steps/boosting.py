"""Fit XGBoost's boosted trees: the trainer of the images named ``xgboost-*``, the only ones that have this library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

from pipelines.steps.inference import Matrix
from pipelines.steps.step import StepError

HYPERPARAMETERS = (
    "colsample_bylevel", "colsample_bynode", "colsample_bytree", "early_stopping_rounds", "gamma", "grow_policy",
    "learning_rate", "max_bin", "max_cat_threshold", "max_cat_to_onehot", "max_delta_step", "max_depth", "max_leaves",
    "min_child_weight", "n_estimators", "reg_alpha", "reg_lambda", "subsample", "validation_fraction",
)  # fmt: skip
"""XGBoost's own names, but for ``validation_fraction``: of the rows, those that say when to stop."""
_DEFAULTS = {
    "n_estimators": 100, "learning_rate": 0.1, "grow_policy": "lossguide", "max_leaves": 31, "max_depth": 0,
    "min_child_weight": 5, "early_stopping_rounds": 10, "validation_fraction": 0.1,
}  # fmt: skip
"""Trees of the size that scikit-learn's have: XGBoost's own defaults learn much by heart, and lose on days to come."""


def fit(
    matrix: Matrix,
    labels: np.ndarray[Any, Any],
    *,
    weights: Matrix | None,
    categorical: list[bool],
    hyperparameters: Mapping[str, Any],
    seed: int,
) -> XGBClassifier:
    """Trees with native categories, as many as lower the loss of rows held back. Raises StepError."""
    settings = {**_DEFAULTS, **hyperparameters}
    held_back = settings.pop("validation_fraction")
    classifier = XGBClassifier(
        objective="binary:logistic", eval_metric="logloss", tree_method="hist", enable_categorical=True,
        feature_types=["c" if category else "q" for category in categorical], random_state=seed, **settings,
    )  # fmt: skip
    try:
        # XGBoost stops early, but on rows that it is given: drawn as scikit-learn's trees do it.
        learned, judged = train_test_split(
            np.arange(len(labels)), test_size=held_back, stratify=labels, random_state=seed
        )
        classifier.fit(
            matrix[learned], labels[learned], sample_weight=None if weights is None else weights[learned],
            eval_set=[(matrix[judged], labels[judged])],
            sample_weight_eval_set=None if weights is None else [weights[judged]], verbose=False,
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise StepError(f"training failed: {str(error).partition('Stack trace')[0].strip()}") from error
    if not classifier.get_booster().num_boosted_rounds():
        raise StepError("training failed: n_estimators leaves no tree")
    return classifier
