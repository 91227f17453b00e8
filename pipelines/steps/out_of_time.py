"""Predictions on rows later than all that the model learned from, as live predictions are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop.data.decoded import SCORE
from driftloop.data.rows import concatenate, select
from driftloop.data.schema import Columns
from pipelines.steps.fitting import Trainer
from pipelines.steps.inference import Predictor
from pipelines.steps.step import StepError

CUTS = (0.4, 0.6, 0.8)
"""Shares of the rows, in time order, that the folds' models learn from; each predicts up to the next cut."""
_IMPORTANCE_ROWS = 4000

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class OutOfTime:
    """What the folds found."""

    predictions: Columns
    """Time, ``score``, label and declared slices of the rows after the first cut."""
    importance: dict[str, float]


def predict_out_of_time(trainer: Trainer, columns: Columns) -> OutOfTime:
    """Train on the past, predict the next stretch, and measure importance on the last one.

    Raises StepError if the rows lie too close together in time to be cut.
    """
    schema = trainer.schema
    times = columns[schema.time]
    # Whole days, so that no model has seen the morning of a day that it predicts.
    days = times.astype("datetime64[D]")
    starts = fold_starts(days)
    if not starts:
        raise StepError(f"{len(times)} training rows lie in too few days to hold back the last ones")
    parts = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        predictor = trainer.fit(days < start)
        ahead = days >= start if end is None else (days >= start) & (days < end)
        scores = trainer.scores(predictor, trainer.matrix[ahead])
        kept = {name: columns[name] for name in (schema.time, schema.label, *schema.slices)}
        parts.append(select(kept, ahead) | {SCORE: scores})
    return OutOfTime(concatenate(parts), _importance(trainer, predictor, ahead))


def fold_starts(days: np.ndarray[Any, np.dtype[np.datetime64]]) -> list[np.datetime64]:
    """Days from which on a fold predicts, from the days of all rows; none if these are too few."""
    ordered = np.sort(days)
    return sorted({ordered[int(len(ordered) * cut)] for cut in CUTS} - {ordered[0]}) if len(ordered) else []


def _importance(trainer: Trainer, predictor: Predictor, ahead: Mask) -> dict[str, float]:
    """Mean change of the probability when one feature's values are shuffled among the most recent unseen rows.

    Permutation importance (Breiman 2001) of the prediction and not of the loss: it says what the model uses, which is
    what makes a drift of that feature matter, needs no labels and cannot be negative.
    """
    matrix = trainer.matrix[np.flatnonzero(ahead)[-_IMPORTANCE_ROWS:]]
    before = trainer.scores(predictor, matrix)
    order = np.random.default_rng(0).permutation(len(matrix))
    importance = {}
    for place, feature in enumerate(trainer.schema.features):
        shuffled = matrix.copy()
        shuffled[:, place] = matrix[order, place]
        after = trainer.scores(predictor, shuffled)
        importance[feature.name] = float(np.abs(after - before).mean())
    return importance
