"""Fit the classifier: gradient-boosted trees on histograms, with native categories and early stopping, of the library that
the training image is named after, or what the model's own training code makes."""

from __future__ import annotations

import copy
import difflib
import pickle
import random
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from driftloop.data.schema import Columns, Schema
from pipelines.steps.inference import Matrix, Predictor, encode, own_code, probabilities
from pipelines.steps.step import StepError

MAX_CATEGORIES = 254
"""Codes must lie below the trees' 255 bins."""
MIN_CATEGORY_ROWS = 20
"""A leaf has at least this many rows by default, so a rarer category could never have one of its own."""
HYPERPARAMETERS = (
    "l2_regularization", "learning_rate", "max_depth", "max_features", "max_iter", "max_leaf_nodes", "min_samples_leaf",
    "n_iter_no_change", "tol", "validation_fraction",
)  # fmt: skip


def check_hyperparameters(given: Mapping[str, Any], known: tuple[str, ...] = HYPERPARAMETERS) -> None:
    """Raises StepError with a hint for every name that the classifier does not have."""
    faults = []
    for name in sorted(given.keys() - set(known)):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
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

    def __init__(self, schema: Schema, columns: Columns, training: Mapping[str, Any]) -> None:
        """Read the settings, a compiled model file's ``training``. Raises StepError if they cannot be used."""
        self.schema = schema
        self._own, self._script = _own_fit(training), training.get("script")
        self._fit: Callable[..., Any]
        self._known: tuple[str, ...] | None
        self._fit, self._known = (self._own, None) if self._own else _library_fit(training["image"])
        self._check(training["hyperparameters"])
        self._settings = {
            "categorical": [feature.is_category for feature in schema.features],
            "hyperparameters": training["hyperparameters"],
            "seed": training["seed"],
        }
        self._half_life = training.get("half_life")
        self.categories = known_categories(schema, columns)
        self.matrix: Matrix = encode(schema, self.categories, columns)
        self._labels, self._times = columns[schema.label], columns[schema.time]

    def using(self, hyperparameters: Mapping[str, Any]) -> Trainer:
        """The same with other hyperparameters. Raises StepError for one that the classifier does not have."""
        self._check(hyperparameters)
        other = copy.copy(self)
        other._settings = {**self._settings, "hyperparameters": hyperparameters}
        return other

    def fit(self, rows: np.ndarray[Any, Any]) -> Predictor:
        """Fit on the rows of a mask. Raises StepError if they have one class only, or they cannot be learned from."""
        labels = self._labels[rows]
        if len(np.unique(labels)) < 2:
            raise StepError(f"{len(labels)} rows to learn from have one class of {self.schema.label} only")
        weights = None if self._half_life is None else recency(self._times[rows], self._half_life)
        matrix = self.matrix[rows]
        classifier = self._fit(matrix, labels, weights=weights, **self._settings)
        predictor = Predictor(self.schema, classifier, self.categories)
        if self._own is not None:
            self.scores(predictor, matrix)
        return predictor

    def scores(self, predictor: Predictor, matrix: Matrix) -> Matrix:
        """Probability of label 1 of encoded rows. Raises StepError if the model's own classifier answers anything else."""
        if self._own is None:
            return probabilities(predictor.classifier, matrix)
        try:
            scores = probabilities(predictor.classifier, matrix)
        except (Exception, SystemExit) as error:
            raise StepError(_told(self._script, error)) from error
        bad = int((~((scores >= 0) & (scores <= 1))).sum())
        if bad:
            raise StepError(f"{self._script}: {bad} of {len(matrix)} answers of predict_proba are no probabilities")
        return scores

    def fit_all(self) -> Predictor:
        """Fit on all rows. Raises StepError as ``fit`` does."""
        return self.fit(np.ones(len(self._labels), dtype=bool))

    def _check(self, hyperparameters: Mapping[str, Any]) -> None:
        if self._known is not None:
            check_hyperparameters(hyperparameters, self._known)


def recency(times: np.ndarray[Any, Any], half_life: float) -> Matrix:
    """Weight of each row, 1 on average: half as much for each half-life (seconds) that it is older than another."""
    age = (times.max() - times) / np.timedelta64(1, "s")
    weights = np.exp2(-age / half_life)
    return np.asarray(weights / weights.mean())


def iterations(classifier: Any) -> dict[str, int]:
    """How many rounds its answers rest on, if it says so as scikit-learn's do, or XGBoost's that stopped early."""
    best = getattr(classifier, "best_iteration", None)
    rounds = np.asarray(getattr(classifier, "n_iter_", ()) if best is None else best + 1)
    return {"iterations": int(rounds.max())} if rounds.size and rounds.dtype.kind in "iu" else {}


def library_of(image: str) -> str:
    """The library that a training image is named after, as it is imported."""
    return image.partition("-")[0]


def _library_fit(image: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The fit function of the library that an image is named after, and its hyperparameters. Raises StepError."""
    library = library_of(image)
    if library == "sklearn":
        return _fit_trees, HYPERPARAMETERS
    if library == "xgboost":
        from pipelines.steps import boosting  # noqa: PLC0415 - its library is in no other image

        return boosting.fit, boosting.HYPERPARAMETERS
    raise StepError(f"training.image {image}: there is no trainer for {library}; write one as training.script")


def _fit_trees(
    matrix: Matrix,
    labels: np.ndarray[Any, Any],
    *,
    weights: Matrix | None,
    categorical: list[bool],
    hyperparameters: Mapping[str, Any],
    seed: int,
) -> HistGradientBoostingClassifier:
    settings = {"early_stopping": True, **hyperparameters, "random_state": seed}
    classifier = HistGradientBoostingClassifier(categorical_features=categorical, **settings)
    # scikit-learn cannot bin a feature without any value; a constant is never split on and means the same.
    matrix[:, np.isnan(matrix).all(axis=0)] = 0.0
    try:
        return classifier.fit(matrix, labels, sample_weight=weights)
    except ValueError as error:
        raise StepError(f"training failed: {error}") from error


def _own_fit(training: Mapping[str, Any]) -> Callable[..., Any] | None:
    """The ``fit`` of the model's own code, if it has any; what it does wrong is told with the place in that code."""
    script = training.get("script")
    try:
        module = own_code(training)
    except (Exception, SystemExit) as error:
        raise StepError(_told(script, error)) from error
    if module is None:
        return None

    def fit(matrix: Matrix, labels: np.ndarray[Any, Any], **settings: Any) -> Any:
        # The same each time, also for code that draws without asking for the seed, or takes its settings apart.
        random.seed(settings["seed"])
        np.random.seed(settings["seed"])
        try:
            classifier = module.fit(matrix.copy(), labels.copy(), **copy.deepcopy(settings))
        except (Exception, SystemExit) as error:  # it is anybody's code
            raise StepError(_told(script, error)) from error
        try:
            pickle.dumps(classifier)
        except Exception as error:
            raise StepError(
                f"{script}: the classifier cannot be kept: {error}; define classes and functions at the top of the file"
            ) from error
        return classifier

    return fit


def _told(script: str | None, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).name.startswith("driftloop_training_")]
    return f"{script}:{lines[-1] if lines else 1}: {type(error).__name__}: {error}"
