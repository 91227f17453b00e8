"""While a version is rolled out: are the predictions since further from those before than the gate has seen?

Nobody knows which fleet answered which row, and the rows are others than before. But the Wasserstein distance between the
predictions of two versions on the same rows is at most their mean absolute difference (moving each row's prediction by its
difference is one way to get from the one to the other), which the gate knows. What comes on top is how far other stretches
of traffic were from each other, and chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CELLS = 1000
MIN_ROWS = 100
"""Fewer answers say nothing."""
MIN_SAMPLES = 12
"""Fewer stretches of traffic do not show how much they differ."""
_SURE = 3.0
"""How many times what chance does on average is allowed to chance."""

Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Answers:
    """What a version, or two of them, answered to some rows."""

    counts: Counts
    """Probabilities in equal cells from 0 to 1, shape (CELLS,)."""
    refused: int = 0
    """Rows and records of which no probability could be read."""

    @classmethod
    def of(cls, scores: np.ndarray[Any, Any], refused: int = 0) -> Answers:
        """Count probabilities, shape (n,)."""
        cells = np.clip((scores * CELLS).astype(np.int64), 0, CELLS - 1)
        return cls(np.bincount(cells, minlength=CELLS), refused)

    def __add__(self, other: Answers) -> Answers:
        return Answers(self.counts + other.counts, self.refused + other.refused)

    @property
    def rows(self) -> int:
        """All of them."""
        return int(self.counts.sum()) + self.refused


NOTHING = Answers(np.zeros(CELLS, dtype=np.int64))


@dataclass(frozen=True)
class Usual:
    """What the version before answered."""

    answers: Answers
    spread: float
    """Distance of the oddest sample from all of them together, without what chance alone does."""

    @classmethod
    def of_samples(cls, samples: Sequence[Answers]) -> Usual | None:
        """From stretches of traffic at different hours and days; None if those of ``MIN_ROWS`` answers are too few."""
        known = [sample for sample in samples if sample.rows >= MIN_ROWS]
        if len(known) < MIN_SAMPLES:
            return None
        together = sum(known, start=NOTHING)
        odd = (_distance(sample, together) - _chance(together, sample.rows) for sample in known)
        return cls(together, max(0.0, *odd))

    def score(self, now: Answers, expected: float, tolerance: float) -> float | None:
        """Distance of the answers since from those before, divided by its limit: 1 is at the limit. None if they are too few.

        Args:
            now: answers since the rollout began.
            expected: mean absolute difference of both versions' probabilities before the gate.
            tolerance: how much more is tolerated.
        """
        if now.rows < MIN_ROWS:
            return None
        # Both sides are known to a cell.
        limit = expected + tolerance + self.spread + _SURE * _chance(self.answers, now.rows) + 1 / CELLS
        return _distance(now, self.answers) / limit


def _distance(some: Answers, others: Answers) -> float:
    """Wasserstein-1 distance of the probabilities; an answer that is none is as far from any as can be."""
    return float(np.abs(_below(some) - _below(others)).sum() / CELLS) + abs(
        some.refused / some.rows - others.refused / others.rows
    )


def _below(answers: Answers) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Share of the probabilities up to the end of each cell."""
    share: np.ndarray[Any, np.dtype[np.float64]] = np.cumsum(answers.counts) / max(1, answers.counts.sum())
    return share


def _chance(answers: Answers, rows: int) -> float:
    """Most that the mean distance of a sample can be from what it and ``answers`` are drawn from.

    The mean of |F_n - F| is at most its standard deviation, sqrt(F (1 - F) / n).
    """
    below, refused = _below(answers), answers.refused / answers.rows
    spread = np.sqrt(below * (1 - below)).sum() / CELLS + np.sqrt(refused * (1 - refused))
    return float(spread * np.sqrt(1 / rows + 1 / answers.rows))
