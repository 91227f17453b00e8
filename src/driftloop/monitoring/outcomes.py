"""Predictions with their labels as a mergeable histogram: what observed quality is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop.monitoring.bins import Counts
from driftloop.monitoring.statistics import Floats, calibration_loss

CELLS = 20


@dataclass(frozen=True)
class Outcomes:
    """Rows, positives and sum of scores in twenty equal cells of the score. Exact: scores are summed in millionths."""

    rows: Counts
    positives: Counts
    micros: Counts

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(self.rows + other.rows, self.positives + other.positives, self.micros + other.micros)

    @property
    def total(self) -> int:
        """Labelled rows."""
        return int(self.rows.sum())

    def loss(self) -> float:
        """Calibration loss in nats per row. Raises ValueError without rows."""
        if not self.total:
            raise ValueError("no labelled rows")
        return calibration_loss(self.rows.astype(float), self.micros / 1e6, self.positives.astype(float))

    def to_list(self) -> list[list[int]]:
        """Plain form for JSON."""
        return [self.rows.tolist(), self.positives.tolist(), self.micros.tolist()]

    @classmethod
    def from_list(cls, value: list[list[int]]) -> Outcomes:
        """The other way round."""
        return cls(*(np.array(part, dtype=np.int64) for part in value))


def score_cells(scores: Floats) -> Counts:
    """The cell of each probability: equal intervals from 0 to 1."""
    return np.minimum((scores * CELLS).astype(np.int64), CELLS - 1)


def count_outcomes(labels: np.ndarray[Any, Any], scores: Floats) -> Outcomes:
    """Histogram of some labelled predictions."""
    cell = score_cells(scores)
    return Outcomes(
        np.bincount(cell, minlength=CELLS),
        np.bincount(cell[labels == 1], minlength=CELLS),
        np.bincount(cell, weights=np.rint(scores * 1e6), minlength=CELLS).astype(np.int64),
    )


NO_OUTCOMES = Outcomes(*(np.zeros(CELLS, dtype=np.int64) for _ in range(3)))
