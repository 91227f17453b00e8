"""Limits keep the false-alarm rate that the model file asks for: checked by simulation, with seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student_t  # type: ignore[import-untyped]

from driftloop.monitoring.calibration import _student_quantile, block_limit, outcome_limit
from driftloop.monitoring.outcomes import NO_OUTCOMES, Outcomes, count_outcomes

TRIALS = 3000


@pytest.mark.parametrize("blocks", [5, 15, 53])
@pytest.mark.parametrize("sensitivity", [0.01, 0.05])
def test_a_further_block_exceeds_the_limit_as_often_as_asked(blocks: int, sensitivity: float) -> None:
    rng = np.random.default_rng(blocks)
    values = np.exp(rng.normal(-4, 0.6, (TRIALS * 3, blocks + 1)))
    alarms = sum(row[-1] > block_limit(row[:-1], sensitivity) for row in values)
    rate = alarms / len(values)
    assert abs(rate - sensitivity) < 0.3 * sensitivity + 3 * np.sqrt(sensitivity / len(values))


@pytest.mark.parametrize("df", [4, 6, 10, 30, 200])
@pytest.mark.parametrize("p", [0.95, 0.99, 0.999])
def test_quantiles_are_students(df: int, p: float) -> None:
    assert _student_quantile(p, df) == pytest.approx(student_t.ppf(p, df), rel=0.05)


def test_too_few_blocks_set_no_limit() -> None:
    with pytest.raises(ValueError, match="4 time blocks are too few"):
        block_limit([0.1] * 4, 0.01)
    with pytest.raises(ValueError, match="2 labelled time blocks are too few"):
        outcome_limit([NO_OUTCOMES] * 2, 7, 0.01, 1)


def test_blocks_that_never_move_still_give_a_positive_limit() -> None:
    assert block_limit([0.0] * 10, 0.01) > 0


def _day(rng: np.random.Generator, rows: int = 400) -> Outcomes:
    scores = rng.beta(2, 5, rows)
    return count_outcomes((rng.random(rows) < scores).astype(np.int8), scores)


@pytest.mark.parametrize("smoothing", [1, 7])
def test_a_calibrated_model_rarely_exceeds_the_limit_of_its_loss(smoothing: int) -> None:
    alarms, runs = 0, 60
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        limit = outcome_limit([_day(rng) for _ in range(40)], smoothing, 0.05, seed)
        alarms += sum((_day(rng) for _ in range(smoothing)), start=NO_OUTCOMES).loss() > limit
    assert alarms / runs < 0.15  # 0.05 asked for, from 40 days that are themselves a sample


def test_limits_are_reproducible() -> None:
    days = [_day(np.random.default_rng(seed)) for seed in range(10)]
    assert outcome_limit(days, 3, 0.01, 5) == outcome_limit(days, 3, 0.01, 5)
