"""Distances and scores, against other people's implementations of the same formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped]
from sklearn.metrics import log_loss as sklearn_log_loss  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score

from driftloop.monitoring.outcomes import NO_OUTCOMES, Outcomes, count_outcomes
from driftloop.monitoring.statistics import auc, calibration_loss, jensen_shannon, log_loss

COUNTS = st.lists(st.integers(0, 10_000), min_size=5, max_size=5).filter(any).map(np.array)
LABELLED = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=60)


@given(COUNTS, COUNTS)
def test_jensen_shannon_is_scipys(observed: np.ndarray, expected: np.ndarray) -> None:
    distance = jensenshannon(observed, expected, base=2)  # the square root of the divergence
    assert math.isclose(jensen_shannon(observed, expected), distance**2, abs_tol=1e-9)


@given(COUNTS, COUNTS)
def test_jensen_shannon_is_symmetric_and_bounded(a: np.ndarray, b: np.ndarray) -> None:
    assert 0 <= jensen_shannon(a, b) <= 1
    assert math.isclose(jensen_shannon(a, b), jensen_shannon(b, a), abs_tol=1e-12)
    assert jensen_shannon(a, a * 3) < 1e-12


def test_jensen_shannon_at_its_ends() -> None:
    assert jensen_shannon(np.array([5, 0]), np.array([0, 9])) == 1
    with pytest.raises(ValueError, match="empty histogram"):
        jensen_shannon(np.array([0, 0]), np.array([1, 1]))


@given(LABELLED)
def test_log_loss_is_sklearns(rows: list[tuple[int, float]]) -> None:
    labels, scores = np.array([r[0] for r in rows]), np.clip([r[1] for r in rows], 1e-6, 1 - 1e-6)
    assert math.isclose(log_loss(labels, scores), sklearn_log_loss(labels, scores, labels=[0, 1]), rel_tol=1e-9)


@given(LABELLED)
def test_auc_is_sklearns(rows: list[tuple[int, float]]) -> None:
    labels, scores = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    if len(set(labels.tolist())) == 1:
        assert auc(labels, scores) is None
    else:
        assert math.isclose(auc(labels, scores) or 0, roc_auc_score(labels, scores), abs_tol=1e-12)


def test_calibration_loss_of_a_perfectly_calibrated_histogram_is_zero() -> None:
    rows, rates = np.array([100.0, 40.0, 0.0]), np.array([0.1, 0.75, 0.0])
    assert calibration_loss(rows, rows * rates, rows * rates) == 0


def test_calibration_loss_does_not_grow_with_how_hard_the_rows_are() -> None:
    rng = np.random.default_rng(1)
    for spread in (0.05, 1.0, 5.0):  # from rows that are all alike to rows that are nearly certain
        scores = rng.beta(spread, spread, 400_000)
        labels = (rng.random(len(scores)) < scores).astype(np.int8)
        assert 0 <= count_outcomes(labels, scores).loss() < 2e-4


def test_calibration_loss_is_what_recalibration_wins_back() -> None:
    rng = np.random.default_rng(2)
    truth = rng.choice([0.1, 0.3, 0.6], 200_000)
    labels = (rng.random(len(truth)) < truth).astype(np.int8)
    told = truth / 2 + 0.2
    won = log_loss(labels, told) - log_loss(labels, truth)
    assert won > 0.02
    assert math.isclose(count_outcomes(labels, told).loss(), won, abs_tol=5e-4)


def _outcomes(rows: list[tuple[int, float]]) -> Outcomes:
    return count_outcomes(np.array([r[0] for r in rows], dtype=np.int8), np.array([r[1] for r in rows]))


@given(LABELLED, LABELLED)
def test_outcomes_merge_exactly(a: list[tuple[int, float]], b: list[tuple[int, float]]) -> None:
    together = _outcomes(a) + _outcomes(b)
    assert together.to_list() == _outcomes(a + b).to_list() == _outcomes(b + a).to_list()
    assert Outcomes.from_list(together.to_list()).to_list() == together.to_list()
    assert together.total == len(a) + len(b)


def test_no_outcomes_have_no_loss() -> None:
    with pytest.raises(ValueError, match="no labelled rows"):
        NO_OUTCOMES.loss()
