"""Distances and scores, against other people's implementations of the same formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]
from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped]
from scipy.special import gammaincc  # type: ignore[import-untyped]
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from driftloop.monitoring.outcomes import NO_OUTCOMES, Outcomes, count_outcomes
from driftloop.monitoring.statistics import (
    auc,
    calibration_loss,
    chi_square,
    jensen_shannon,
    kolmogorov_smirnov,
    log_loss,
    psi,
    upper_gamma,
    wasserstein,
)

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


@given(COUNTS, COUNTS)
def test_psi_is_the_two_way_relative_entropy(observed: np.ndarray, expected: np.ndarray) -> None:
    used = (observed > 0) | (expected > 0)
    p, q = observed[used] + 0.5, expected[used] + 0.5
    assert math.isclose(psi(observed, expected), stats.entropy(p, q) + stats.entropy(q, p), abs_tol=1e-12)
    assert math.isclose(psi(observed, expected), psi(expected, observed), abs_tol=1e-12)


def test_psi_of_the_books_and_of_an_empty_cell() -> None:
    many = np.array([300_000, 700_000]), np.array([500_000, 500_000])
    assert psi(*many) == pytest.approx(-0.2 * math.log(0.3 / 0.5) + 0.2 * math.log(0.7 / 0.5), abs=1e-5)
    # What an empty cell is worth grows with the rows that say so.
    few, more = (psi(np.array([n, 0]), np.array([n, n])) for n in (10, 1000))
    assert 0.5 < few < more < math.inf


@given(COUNTS, COUNTS)
def test_kolmogorov_smirnov_is_scipys_on_the_cells(observed: np.ndarray, expected: np.ndarray) -> None:
    a, b = (np.repeat(np.arange(5), counts // 100 + 1) for counts in (observed, expected))
    got = kolmogorov_smirnov(np.bincount(a), np.bincount(b))
    assert math.isclose(got, stats.ks_2samp(a, b, method="asymp").statistic, abs_tol=1e-12)


def test_kolmogorov_smirnov_is_at_most_that_of_the_rows() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 3000), rng.normal(0.4, 1, 3000)
    edges = np.quantile(a, np.linspace(0.1, 0.9, 9))
    binned = kolmogorov_smirnov(*(np.bincount(np.searchsorted(edges, rows), minlength=10) for rows in (a, b)))
    exact = stats.ks_2samp(a, b, method="asymp").statistic
    assert exact - 0.03 < binned <= exact


INNER = (-2.0, 0.0, 1.0, 5.0, 5.5, 9.0)


@given(COUNTS, COUNTS)
def test_wasserstein_is_scipys_on_the_cells_middles(observed: np.ndarray, expected: np.ndarray) -> None:
    middles = [-1.0, 0.5, 3.0, 5.25, 7.25]
    reference = stats.wasserstein_distance(middles, middles, observed, expected)
    assert math.isclose(wasserstein(observed, expected, INNER), reference, rel_tol=1e-9, abs_tol=1e-9)


@given(COUNTS, COUNTS, st.integers(0, 50), st.integers(0, 50))
def test_wasserstein_with_outer_cells(observed: np.ndarray, expected: np.ndarray, below: int, above: int) -> None:
    a, b = np.r_[below, observed, 0, 7], np.r_[0, expected, above, 0]
    for extremes, middles in {
        (None, None): [-2.0, -1.0, 0.5, 3.0, 5.25, 7.25, 9.0],
        (-6.0, 11.0): [-4.0, -1.0, 0.5, 3.0, 5.25, 7.25, 10.0],
        (-1.0, 6.5): [-1.0, -0.5, 0.5, 3.0, 5.25, 6.0, 6.5],
    }.items():
        reference = stats.wasserstein_distance(middles, middles, a[:-1], b[:-1])
        assert math.isclose(wasserstein(a, b, INNER, *extremes), reference, rel_tol=1e-9, abs_tol=1e-9)


def test_wasserstein_of_binned_rows_is_near_that_of_the_rows() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(50, 10, 5000), rng.normal(65, 12, 5000)
    low, high = float(min(a.min(), b.min())), float(max(a.max(), b.max()))
    edges = np.r_[-40, np.quantile(a, np.linspace(0, 1, 11)), 130]
    counts = [np.r_[0, np.histogram(rows, edges)[0], 0, 0] for rows in (a, b)]
    first, second = counts
    assert wasserstein(first, second, edges.tolist(), low, high) == pytest.approx(
        stats.wasserstein_distance(a, b), rel=0.15
    )


def test_wasserstein_refuses_counts_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="3 and 3 counts do not fit 3 edges"):
        wasserstein(np.ones(3), np.ones(3), (0, 1, 2))
    with pytest.raises(ValueError, match="empty histogram"):
        wasserstein(np.zeros(2), np.ones(2), (0, 1, 2))


@given(COUNTS, COUNTS)
def test_chi_square_is_scipys(observed: np.ndarray, expected: np.ndarray) -> None:
    table = np.stack([observed, expected])[:, (observed > 0) | (expected > 0)]
    reference = stats.chi2_contingency(table, correction=False)
    got = chi_square(observed, expected)
    assert math.isclose(got.statistic, reference.statistic, rel_tol=1e-9, abs_tol=1e-9)
    assert got.freedom == reference.dof
    assert math.isclose(got.p_value, reference.pvalue, rel_tol=1e-8, abs_tol=1e-290)


@given(st.floats(0.5, 500), st.floats(0, 2000))
def test_upper_gamma_is_scipys(a: float, x: float) -> None:
    assert math.isclose(upper_gamma(a, x), gammaincc(a, x), rel_tol=1e-9, abs_tol=1e-12)


def test_empty_histograms_are_refused() -> None:
    for statistic in (psi, kolmogorov_smirnov, chi_square):
        with pytest.raises(ValueError, match="empty histogram"):
            statistic(np.zeros(3), np.ones(3))


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


def test_the_distance_of_the_largest_numbers_is_a_number() -> None:
    largest = float(np.finfo(np.float64).max)
    far = wasserstein(np.array([0, 0, 9, 0]), np.array([9, 0, 0, 0]), [-1.0, 1.0], -largest, largest)
    assert np.isfinite(far)
