"""Quantiles of Student's t for whole degrees of freedom, exact also for the few that a week of days has."""

from __future__ import annotations

import math

_HALVINGS = 60


def student_quantile(probability: float, freedom: int) -> float:
    """The value that Student's t with ``freedom`` degrees stays below with ``probability``.

    Inverts the finite series of Abramowitz and Stegun 26.7.3 and 26.7.4 in the angle arctan(t / sqrt(freedom)).
    Raises ValueError for a probability outside (0, 1) or less than one degree of freedom.
    """
    if not 0 < probability < 1 or freedom < 1:
        raise ValueError(f"no quantile for probability {probability} and {freedom} degrees of freedom")
    low, high = 0.0, math.pi / 2
    central = abs(2 * probability - 1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _central_probability(middle, freedom) < central else (low, middle)
    return math.copysign(math.sqrt(freedom) * math.tan(low), probability - 0.5)


def _central_probability(angle: float, freedom: int) -> float:
    """Probability that ``|t|`` is below the tangent of the angle times the root of the degrees of freedom."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine, cosine if freedom > 1 else 0.0) if odd else (1.0, 1.0)
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
