"""While a version is rolled out: are the predictions since further from those before than the gate has seen?

Nobody knows which fleet answered which row, and the rows are others than before. But the Wasserstein distance between the
predictions of two versions on the same rows is at most their mean absolute difference (moving each row's prediction by its
difference is one way to get from the one to the other), which the gate knows. What comes on top is how far other stretches
of traffic were from each other, and chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftloop.monitoring.bins import Counts
from driftloop.monitoring.statistics import Floats, wasserstein

MIN_ROWS = 100
"""Fewer answers say nothing."""
MIN_SAMPLES = 12
"""Fewer stretches of traffic do not show how much they differ."""
_SURE = 3.0
"""How many times what chance does on average is allowed to chance."""
_CELLS = 1000
"""In which probabilities are counted, from 0 to 1."""
_EDGES = np.linspace(0, 1, _CELLS + 1).tolist()


@dataclass(frozen=True)
class Answers:
    """A stretch of what was answered."""

    scores: Floats
    """Probabilities, shape (n,), as they came: requests of one client stay together."""
    refused: int = 0
    """Answers of which no probability could be read."""

    @property
    def rows(self) -> int:
        """All of them."""
        return len(self.scores) + self.refused

    def first(self, rows: int) -> Answers:
        """So many of them, or all if there are fewer; of those that could not be read the same share."""
        part = min(1.0, rows / self.rows)
        return Answers(self.scores[: round(part * len(self.scores))], round(part * self.refused))


@dataclass(frozen=True)
class Score:
    """What was answered since against what was answered before."""

    distance: float
    limit: float

    @property
    def score(self) -> float:
        """1 is at the limit."""
        return self.distance / self.limit


@dataclass(frozen=True)
class _Counted:
    counts: Counts
    """Probabilities in equal cells."""
    refused: float
    """Share of all answers."""
    rows: int


@dataclass(frozen=True)
class Usual:
    """What the version before answered, in stretches at different hours and days."""

    samples: Sequence[Answers]

    @classmethod
    def of_samples(cls, samples: Sequence[Answers]) -> Usual | None:
        """None if those with at least ``MIN_ROWS`` probabilities are too few."""
        known = [sample for sample in samples if len(sample.scores) >= MIN_ROWS]
        return cls(known) if len(known) >= MIN_SAMPLES else None

    def score(self, now: Answers, expected: float, tolerance: float) -> Score | None:
        """How far the answers since are from those before; None if they are too few.

        Args:
            now: answers since the rollout began.
            expected: mean absolute difference of both versions' probabilities before the gate.
            tolerance: how much more is tolerated.
        """
        if now.rows < MIN_ROWS:
            return None
        scores = np.concatenate([sample.scores for sample in self.samples])
        together = _counted(Answers(scores, sum(sample.refused for sample in self.samples)))
        # Both sides are known to a cell.
        limit = (
            expected + tolerance + self._spread(together, now.rows) + _SURE * _chance(together, now.rows) + 1 / _CELLS
        )
        return Score(_distance(_counted(now), together), limit)

    def _spread(self, together: _Counted, rows: int) -> float:
        """Distance of the oddest stretch as long as the one that is judged, without what chance alone does.

        A few rows are often of one client, and further from all rows than many are.
        """
        parts = [_counted(sample.first(rows)) for sample in self.samples]
        return max(0.0, *(_distance(part, together) - _chance(together, part.rows) for part in parts))


def _counted(answers: Answers) -> _Counted:
    cells = np.clip((answers.scores * _CELLS).astype(np.int64), 0, _CELLS - 1)
    return _Counted(np.bincount(cells, minlength=_CELLS), answers.refused / answers.rows, answers.rows)


def _distance(some: _Counted, others: _Counted) -> float:
    """Wasserstein-1 distance of the probabilities; an answer that is none is as far from any as can be."""
    moved = wasserstein(some.counts, others.counts, _EDGES) if some.refused < 1 else 0.0
    return moved + abs(some.refused - others.refused)


def _chance(answers: _Counted, rows: int) -> float:
    """Most that the mean distance of a sample can be from what it and ``answers`` are drawn from.

    The mean of |F_n - F| is at most its standard deviation, sqrt(F (1 - F) / n).
    """
    below, refused = np.cumsum(answers.counts) / answers.counts.sum(), answers.refused
    spread = np.sqrt(below * (1 - below)).sum() / _CELLS + np.sqrt(refused * (1 - refused))
    return float(spread * np.sqrt(1 / rows + 1 / answers.rows))
