"""How far chance alone moves a window: the fewer rows it has, the further.

Limits are set from time blocks of a certain size. A window with fewer rows differs from the reference more, although
nothing has changed: that much is added to its limits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist


def divergence_allowance(
    freedoms: Sequence[int], weights: Sequence[float], rows: int, usual: int, sensitivity: float
) -> float:
    """Bits to add to the limit of a weighted sum of Jensen-Shannon divergences; zero unless ``rows < usual``.

    A histogram of n rows from the reference's own distribution has a divergence of chi-squared / (8 n ln 2) bits
    with (occupied cells - 1) degrees of freedom, by the second-order expansion around equality.
    """
    per_row = _weighted_quantile(freedoms, weights, 1 - sensitivity) / (8 * math.log(2))
    return _difference(per_row, rows, usual)


def divergence_floor(
    freedoms: Sequence[int], weights: Sequence[float], rows: int, reference: int, sensitivity: float
) -> float:
    """Bits that chance alone exceeds with probability ``sensitivity`` if ``rows`` are compared with a reference.

    Few blocks may happen to lie close together; a limit below this would be held against noise. Both sides scatter.
    """
    per_row = _weighted_quantile(freedoms, weights, 1 - sensitivity) / (8 * math.log(2))
    return per_row * (1 / max(1, rows) + 1 / max(1, reference))


def loss_floor(cells: int, rows: int, sensitivity: float) -> float:
    """Nats of calibration loss that chance alone exceeds with probability ``sensitivity`` in a calibrated model."""
    return _weighted_quantile([cells], [1.0], 1 - sensitivity) / (2 * max(1, rows))


def loss_allowance(cells: int, rows: int, usual: int, sensitivity: float) -> float:
    """Nats to add to the limit of the calibration loss; zero unless ``rows < usual``.

    The loss of n rows of a calibrated model is chi-squared / (2 n) with one degree of freedom per occupied cell.
    """
    return _difference(_weighted_quantile([cells], [1.0], 1 - sensitivity) / 2, rows, usual)


def _difference(per_row: float, rows: int, usual: int) -> float:
    return per_row * (1 / rows - 1 / usual) if 0 < rows < usual else 0.0


def _weighted_quantile(freedoms: Sequence[int], weights: Sequence[float], p: float) -> float:
    """Quantile of a weighted sum of chi-squared variables, as one that is scaled to the same mean and variance
    (Satterthwaite 1946), by Wilson and Hilferty's approximation (1931)."""
    mean = sum(w * df for w, df in zip(weights, freedoms, strict=True))
    variance = 2 * sum(w * w * df for w, df in zip(weights, freedoms, strict=True))
    if not mean:
        return 0.0
    scale, df = variance / (2 * mean), 2 * mean * mean / variance
    spread = 2 / (9 * df)
    return scale * df * (1 - spread + NormalDist().inv_cdf(p) * math.sqrt(spread)) ** 3
