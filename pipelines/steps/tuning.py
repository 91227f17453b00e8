"""Choose hyperparameters: a seeded random search over the values that the model file names, judged on later days."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterSampler

from driftloop.data.schema import Columns
from driftloop.monitoring.statistics import log_loss
from pipelines.steps.fitting import Trainer
from pipelines.steps.step import StepError, say

LEARNED = 0.8
"""Share of the training window's rows, in time order and by whole days, that a trial learns from."""


@dataclass(frozen=True)
class Tuned:
    """What the search found; losses are log-loss on the days that no trial has learned from, nats per row."""

    hyperparameters: dict[str, Any]
    trials: int
    before: float
    """With the model file's hyperparameters as they are."""
    after: float

    @property
    def metrics(self) -> dict[str, float]:
        """For the record of the version."""
        return {
            "tuning_trials": self.trials,
            "untuned_log_loss": round(self.before, 6),
            "tuned_log_loss": round(self.after, 6),
        }


def tune(trainer: Trainer, columns: Columns, training: Mapping[str, Any]) -> Tuned | None:
    """The best of the model file's hyperparameters and some draws from ``tuning.search``; None if there is none to search.

    The gate's holdout takes no part in it. Raises StepError if the rows cannot be cut, or if the hyperparameters as they are
    cannot be learned with; a draw that cannot is left out.
    """
    if not training["tuning"]["search"]:
        return None
    days = columns[trainer.schema.time].astype("datetime64[D]")
    cut = np.sort(days)[int(len(days) * LEARNED)] if len(days) else None
    if cut is None or not (days < cut).any():
        raise StepError(f"{len(days)} training rows lie in too few days to tune on the last of them")
    tried: list[tuple[float, dict[str, Any]]] = []
    for settings in _candidates(training):
        try:
            loss = _loss(trainer.using(settings), columns, days < cut)
        except StepError as error:
            if not tried:
                raise
            say(f"train: {settings} cannot be learned with: {error}")
            continue
        say(f"train: {settings}: log-loss {loss:.6f}")
        tried.append((loss, settings))
    # Of those that are as good the first: without a reason nothing is changed.
    loss, best = min(tried, key=lambda trial: trial[0])
    return Tuned(best, len(tried), tried[0][0], loss)


def _candidates(training: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The hyperparameters as they are, then distinct draws."""
    given, search = training["hyperparameters"], training["tuning"]["search"]
    yield dict(given)
    count = min(training["tuning"]["trials"], math.prod(map(len, search.values())))
    for drawn in ParameterSampler(search, count, random_state=training["seed"]):
        yield {**given, **drawn}


def _loss(trainer: Trainer, columns: Columns, learned: np.ndarray[Any, Any]) -> float:
    predictor = trainer.fit(learned)
    return log_loss(columns[trainer.schema.label][~learned], trainer.scores(predictor, trainer.matrix[~learned]))
