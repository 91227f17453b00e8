"""How good predictions are, from mergeable histograms: estimated without labels, and observed with them.

The estimate is confidence-based (NannyML's CBPE): if a score cell was right in a share c of its rows when labels were
there, rows that fall into it now are taken to be right in a share c too. Scores need not be calibrated themselves; the
out-of-time outcomes of the baseline calibrate them (histogram binning, Zadrozny and Elkan 2001; Guo et al. 2017, "On
calibration of modern neural networks"). The estimate follows a change of the inputs that shows in the scores. It
cannot see that the relation of inputs and label has changed: that needs labels, and observed performance.

Rows of a cell count as if they all had its mean score. Cells are at most 0.0125 wide, so this moves the Brier score by
less than 0.00004 and the log-loss by less than 0.0005; accuracy is exact, since 0.5 is an edge. For the AUC, rows of
one cell are ties: it moves by at most half the chance that a positive and a negative row share a cell.

For regression nothing is estimated: a predicted number says nothing about its own error. What remains are drift of the
predictions, and observed errors when labels arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from driftloop.monitoring.statistics import Floats


@dataclass(frozen=True)
class Performance:
    """Scores of some predictions."""

    rows: int
    log_loss: float
    """Nats per row."""
    brier: float
    """Mean squared error of the probabilities; summed over classes if there are several."""
    accuracy: float
    """Share of rows whose most probable class is the right one; for binary labels 0.5 counts as 1."""
    auc: float | None
    """Area under the ROC curve, None if only one class is there; with several the mean of each against the rest."""

    def to_dict(self) -> dict[str, Any]:
        """Plain form for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ScoreCells:
    """Per cell of a probability: rows, their mean score, and their share of positives (observed, or to be expected)."""

    rows: Floats
    scores: Floats
    rates: Floats


def binary_performance(cells: ScoreCells) -> Performance:
    """Performance of one probability per row. Raises ValueError without rows."""
    total = _total(cells)
    positives = cells.rows * cells.rates
    negatives = cells.rows - positives
    right = np.where(cells.scores >= 0.5, positives, negatives)
    loss = _losses(positives, cells.scores) + _losses(negatives, 1 - cells.scores)
    return Performance(int(total), loss / total, _brier(cells), float(right.sum() / total), _auc(cells))


def multiclass_performance(classes: Sequence[ScoreCells], top: ScoreCells) -> Performance:
    """Performance of one probability per class and row. Raises ValueError without rows.

    Args:
        classes: each class against the rest.
        top: the largest probability of each row; positive means that this class was the right one.
    """
    total = _total(top)
    areas = [area for area in map(_auc, classes) if area is not None]
    return Performance(
        int(total),
        sum(_losses(cells.rows * cells.rates, cells.scores) for cells in classes) / total,
        sum(_brier(cells) for cells in classes),
        float((top.rows * top.rates).sum() / total),
        float(np.mean(areas)) if areas else None,
    )


def _total(cells: ScoreCells) -> float:
    total = float(cells.rows.sum())
    if not total:
        raise ValueError("performance of no rows")
    return total


def _losses(rows: Floats, probabilities: Floats) -> float:
    return float(-(rows * np.log(np.clip(probabilities, 1e-6, 1))).sum())


def _brier(cells: ScoreCells) -> float:
    errors = cells.rates * (1 - cells.scores) ** 2 + (1 - cells.rates) * cells.scores**2
    return float((cells.rows * errors).sum() / cells.rows.sum())


def _auc(cells: ScoreCells) -> float | None:
    """Chance that a positive row has a higher score than a negative one (Mann-Whitney); a shared cell counts half."""
    positives = cells.rows * cells.rates
    negatives = cells.rows - positives
    pairs = positives.sum() * negatives.sum()
    below = np.cumsum(negatives) - negatives / 2
    return float((positives * below).sum() / pairs) if pairs > 0 else None
