"""Performance from histograms, against exact values from the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from driftloop.monitoring.outcomes import CELLS, COARSE, EDGES, NO_OUTCOMES, Outcomes, count_outcomes, score_cells
from driftloop.monitoring.performance import Performance, multiclass_performance
from driftloop.monitoring.statistics import calibration_loss

SEEDS = range(5)


def _draw(seed: int, rows: int, hard: float, rate: float = 0.0, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores; a smaller ``hard`` makes rows alike, a ``gain`` other than 1 miscalibrates."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(rate, hard, rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    return labels, 1 / (1 + np.exp(-gain * logits))


def _counts(scores: np.ndarray) -> np.ndarray:
    return np.bincount(score_cells(scores), minlength=CELLS)


def _exact(labels: np.ndarray, scores: np.ndarray) -> Performance:
    return Performance(
        len(labels),
        log_loss(labels, scores),
        brier_score_loss(labels, scores),
        accuracy_score(labels, scores >= 0.5),
        roc_auc_score(labels, scores),
    )


def _near(got: Performance, exact: Performance, tolerances: tuple[float, float, float, float]) -> None:
    names = ("log_loss", "brier", "accuracy", "auc")
    assert got.rows == exact.rows
    for name, tolerance in zip(names, tolerances, strict=True):
        assert getattr(got, name) == pytest.approx(getattr(exact, name), abs=tolerance), name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("hard", "rate"), [(0.3, 0.0), (1.5, -1.0), (4.0, 1.0), (1.0, -5.0)])
def test_observed_performance_is_that_of_the_rows(seed: int, hard: float, rate: float) -> None:
    labels, scores = _draw(seed, 20_000, hard, rate)
    # The binning error that the module states; rare events have ties.
    _near(count_outcomes(labels, scores).performance(), _exact(labels, scores), (5e-4, 4e-5, 1e-12, 6e-3))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_error_of_the_auc_is_at_most_half_the_ties(seed: int) -> None:
    labels, scores = _draw(seed, 5000, 0.02)
    positives, negatives = (_counts(scores[labels == label]) / (labels == label).sum() for label in (1, 0))
    ties = float((positives * negatives).sum())
    assert ties > 0.1
    assert abs((count_outcomes(labels, scores).performance().auc or 0) - roc_auc_score(labels, scores)) <= ties / 2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("gain", [1.0, 1.7, 0.5])
def test_the_estimate_finds_what_the_labels_will_say(seed: int, gain: float) -> None:
    """Live rows are easier and more often positive; the scores are right, too bold or too timid."""
    reference = count_outcomes(*_draw(seed, 50_000, 1.5, -0.5, gain))
    labels, scores = _draw(seed + 100, 50_000, 2.0, 0.5, gain)
    before, after = reference.performance(), _exact(labels, scores)
    _near(reference.estimate(_counts(scores)), after, (0.02, 0.008, 0.01, 0.012))
    assert abs((after.brier or 0) - (before.brier or 0)) > 0.015  # something was there to be found


def test_the_estimate_of_the_reference_itself_is_what_was_observed() -> None:
    labels, scores = _draw(1, 50_000, 1.5)
    reference = count_outcomes(labels, scores)
    _near(reference.estimate(_counts(scores)), reference.performance(), (1e-4, 1e-4, 1e-4, 1e-4))


def test_scores_that_the_reference_never_had_are_taken_at_their_word() -> None:
    reference = count_outcomes(np.array([0, 1] * 50), np.array([0.31, 0.31] * 50))
    got = reference.estimate(_counts(np.full(1000, 0.9)))
    assert got.accuracy == pytest.approx(0.9, abs=0.01)
    assert got.log_loss == pytest.approx(0.325, abs=0.02)


def test_a_changed_relation_shows_in_what_is_observed_and_not_in_the_estimate() -> None:
    labels, scores = _draw(2, 20_000, 2.0)
    reference = count_outcomes(labels, scores)
    estimated, observed = reference.estimate(_counts(scores)), count_outcomes(1 - labels, scores).performance()
    assert (estimated.auc or 0) > 0.8
    assert (observed.auc or 1) < 0.2


def test_nothing_comes_of_nothing() -> None:
    with pytest.raises(ValueError, match="performance of no rows"):
        NO_OUTCOMES.performance()
    with pytest.raises(ValueError, match="no labelled rows to calibrate"):
        NO_OUTCOMES.estimate(np.ones(CELLS, dtype=np.int64))
    one_class = count_outcomes(np.ones(10, dtype=np.int8), np.linspace(0.1, 0.9, 10)).performance()
    assert one_class.auc is None
    assert one_class.to_dict()["rows"] == 10


# Several classes


def _classes(seed: int, rows: int, spread: float, tilt: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (rows, 3)) + np.array([tilt, 0, -tilt])
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((rows, 1)) > scores.cumsum(axis=1)).sum(axis=1)
    return labels, scores


def _each(labels: np.ndarray, scores: np.ndarray) -> tuple[list[Outcomes], Outcomes]:
    outcomes = [count_outcomes((labels == c).astype(np.int8), scores[:, c]) for c in range(3)]
    return outcomes, count_outcomes((scores.argmax(axis=1) == labels).astype(np.int8), scores.max(axis=1))


def _exact_classes(labels: np.ndarray, scores: np.ndarray) -> Performance:
    return Performance(
        len(labels),
        log_loss(labels, scores),
        float(((scores - np.eye(3)[labels]) ** 2).sum(axis=1).mean()),
        accuracy_score(labels, scores.argmax(axis=1)),
        roc_auc_score(labels, scores, multi_class="ovr", average="macro"),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_several_classes_observed(seed: int) -> None:
    labels, scores = _classes(seed, 20_000, 1.5)
    outcomes, top = _each(labels, scores)
    got = multiclass_performance([part.observed() for part in outcomes], top.observed())
    _near(got, _exact_classes(labels, scores), (1e-3, 1e-4, 1e-12, 1e-3))


@pytest.mark.parametrize("seed", SEEDS)
def test_several_classes_estimated(seed: int) -> None:
    references, top_reference = _each(*_classes(seed, 40_000, 1.2))
    labels, scores = _classes(seed + 50, 40_000, 2.0, 1.0)
    cells = [reference.expected(_counts(scores[:, c])) for c, reference in enumerate(references)]
    got = multiclass_performance(cells, top_reference.expected(_counts(scores.max(axis=1))))
    _near(got, _exact_classes(labels, scores), (0.02, 0.012, 0.012, 0.012))


# The cells


def test_cells_are_fine_where_rare_events_are_and_refine_the_coarse_ones() -> None:
    widths = np.diff(EDGES)
    assert len(widths) == CELLS
    assert (EDGES[0], EDGES[-1]) == (0, 1)
    assert widths.min() == pytest.approx(0.00025)
    assert widths.max() <= 0.0125 + 1e-12
    assert set(np.round(np.linspace(0, 1, COARSE + 1), 9)) <= set(np.round(EDGES, 9))
    scores = np.random.default_rng(1).random(10_000)
    cells = score_cells(scores)
    assert (EDGES[cells] <= scores).all()
    assert (scores < EDGES[cells + 1]).all()
    assert score_cells(np.array([0.0, 0.5, 1.0])).tolist() == [0, 50, 99]


def test_loss_is_judged_in_twenty_equal_cells() -> None:
    labels, scores = _draw(3, 2000, 1.5, gain=1.5)
    outcomes = count_outcomes(labels, scores)
    cell = np.minimum((scores * COARSE).astype(int), COARSE - 1)
    rows, positives, sums = (
        np.bincount(cell, weights=w, minlength=COARSE).astype(np.float64)
        for w in (np.ones(len(labels)), labels, scores)
    )
    assert outcomes.loss() == pytest.approx(calibration_loss(rows, sums, positives), abs=1e-8)
    assert outcomes.occupied == (rows > 0).sum()


def test_outcomes_in_twenty_cells_are_read_too() -> None:
    labels, scores = _draw(4, 2000, 1.5)
    cell = np.minimum((scores * COARSE).astype(int), COARSE - 1)
    parts = [np.bincount(cell, weights=w, minlength=COARSE) for w in (np.ones(2000), labels, np.rint(scores * 1e6))]
    read = Outcomes.from_list([part.astype(int).tolist() for part in parts])
    fine = count_outcomes(labels, scores)
    assert (read.total, len(read.rows)) == (2000, CELLS)
    assert read.loss() == pytest.approx(fine.loss(), abs=1e-12)
