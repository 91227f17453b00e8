"""Predictions with their labels as a mergeable histogram: what observed quality is computed from.

The cells of a score are fixed for all models, so histograms of all versions can be added and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop.monitoring.bins import Counts
from driftloop.monitoring.performance import Performance, ScoreCells, binary_performance
from driftloop.monitoring.statistics import Floats, calibration_loss

CELLS = 100
"""Cells of a score: 0.0125 wide, and ever finer towards 0 and 1, where the scores of rare events are."""
COARSE = 20
"""Equal cells that calibration is judged in: more of them would mostly measure noise."""
_GRID = 4000


def _edges() -> Counts:
    """Edges in steps of the grid: 14 cells that grow as a square, 72 equal ones, 14 that shrink again.

    Squares are equal steps of arcsin(sqrt(p)), by which every share is known equally well. Every coarse edge is one.
    """
    outer = [step * step for step in range(14)]
    return np.array([*outer, *range(200, 3801, 50), *(_GRID - step for step in reversed(outer))], dtype=np.int64)


EDGES = _edges() / _GRID
_MIDDLES = (EDGES[:-1] + EDGES[1:]) / 2
_CELL = np.repeat(np.arange(CELLS), np.diff(_edges()))
_COARSE = np.searchsorted(_edges(), np.arange(COARSE) * (_GRID // COARSE))


@dataclass(frozen=True)
class Outcomes:
    """Rows, positives and sum of scores in the cells of the score. Exact: scores are summed in millionths."""

    rows: Counts
    positives: Counts
    micros: Counts

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(self.rows + other.rows, self.positives + other.positives, self.micros + other.micros)

    @property
    def total(self) -> int:
        """Labelled rows."""
        return int(self.rows.sum())

    @property
    def occupied(self) -> int:
        """Cells with rows among those that calibration is judged in."""
        return int((np.add.reduceat(self.rows, _COARSE) > 0).sum())

    def loss(self) -> float:
        """Calibration loss in nats per row, in twenty equal cells. Raises ValueError without rows."""
        if not self.total:
            raise ValueError("no labelled rows")
        rows, positives, micros = (
            np.add.reduceat(part, _COARSE).astype(np.float64) for part in (self.rows, self.positives, self.micros)
        )
        return calibration_loss(rows, micros / 1e6, positives)

    def observed(self) -> ScoreCells:
        """What the labels say per cell."""
        return ScoreCells(self.rows.astype(np.float64), self._scores(), self.positives / np.maximum(self.rows, 1))

    def expected(self, counts: Counts) -> ScoreCells:
        """What labels of other rows would say per cell if the score meant what it means here.

        Args:
            counts: the other rows per cell (``Profile.probabilities``).

        Raises ValueError without rows: there is nothing to calibrate with.
        """
        if not self.total:
            raise ValueError("no labelled rows to calibrate scores with")
        scores = self._scores()
        # One more row that believes the score: empty cells are taken at their word, the others hardly change.
        return ScoreCells(counts.astype(np.float64), scores, (self.positives + scores) / (self.rows + 1))

    def performance(self) -> Performance:
        """Observed performance of binary predictions. Raises ValueError without rows."""
        return binary_performance(self.observed())

    def estimate(self, counts: Counts) -> Performance:
        """Expected performance of other binary predictions, given per cell. Raises ValueError without rows."""
        return binary_performance(self.expected(counts))

    def _scores(self) -> Floats:
        return np.where(self.rows > 0, self.micros / 1e6 / np.maximum(self.rows, 1), _MIDDLES)

    def to_list(self) -> list[list[int]]:
        """Plain form for JSON."""
        return [self.rows.tolist(), self.positives.tolist(), self.micros.tolist()]

    @classmethod
    def from_list(cls, value: list[list[int]]) -> Outcomes:
        """The other way round. Twenty equal cells, as earlier versions kept, are put at the cells of their means."""
        parts = [np.array(part, dtype=np.int64) for part in value]
        return _refined(*parts) if len(parts[0]) == COARSE else cls(*parts)


def _refined(rows: Counts, positives: Counts, micros: Counts) -> Outcomes:
    means = micros / 1e6 / np.maximum(rows, 1)
    ends = np.r_[_COARSE[1:], CELLS] - 1
    cells = np.clip(score_cells(means), _COARSE, ends)
    parts = [np.zeros(CELLS, dtype=np.int64) for _ in range(3)]
    for part, values in zip(parts, (rows, positives, micros), strict=True):
        part[cells] = values
    return Outcomes(*parts)


def score_cells(scores: Floats) -> Counts:
    """The cell of each probability; a score on an edge belongs to the cell above it."""
    # A table look-up: several times faster than a search among the edges.
    return _CELL[np.minimum((scores * _GRID).astype(np.int64), _GRID - 1)]


def count_outcomes(labels: np.ndarray[Any, Any], scores: Floats) -> Outcomes:
    """Histogram of some labelled predictions."""
    cell = score_cells(scores)
    return Outcomes(
        np.bincount(cell, minlength=CELLS),
        np.bincount(cell[labels == 1], minlength=CELLS),
        np.bincount(cell, weights=np.rint(scores * 1e6), minlength=CELLS).astype(np.int64),
    )


NO_OUTCOMES = Outcomes(*(np.zeros(CELLS, dtype=np.int64) for _ in range(3)))
