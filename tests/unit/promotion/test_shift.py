"""How far the predictions since a rollout began may be from those before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.monitoring.bins import Counts
from driftloop.monitoring.outcomes import CELLS, score_cells
from driftloop.monitoring.statistics import Floats
from driftloop.promotion.shift import MIN_ROWS, Usual


def _counts(scores: Floats) -> Counts:
    return np.bincount(score_cells(np.clip(scores, 0, 1)), minlength=CELLS)


def _usual(hours: int = 24, rows: int = 400, seed: int = 0, swing: float = 0.0) -> Usual:
    """A day whose evenings are riskier by up to ``swing``."""
    rng = np.random.default_rng(seed)
    rise = swing * np.sin(np.arange(hours) / hours * np.pi)
    usual = Usual.of_hours([_counts(rng.beta(2, 5, rows) + more) for more in rise])
    assert usual is not None
    return usual


def _alarms(usual: Usual, rows: int, expected: float, tolerance: float = 0.0, **change: float) -> float:
    """Share of batches at their limit."""
    rng = np.random.default_rng(1)
    scores = [
        usual.score(_counts(rng.beta(2, 5, rows) + change.get("more", 0.0)), expected, tolerance) for _ in range(500)
    ]
    return float(np.mean(np.array(scores) >= 1))


@pytest.mark.parametrize("rows", [MIN_ROWS, 1000, 10_000])
def test_a_copy_of_the_version_before_is_left_alone(rows: int) -> None:
    """Even if neither the gate nor the model file allows any difference."""
    assert _alarms(_usual(), rows, expected=0.0) <= 0.002


@pytest.mark.parametrize("rows", [MIN_ROWS, 1000, 10_000])
def test_a_difference_that_the_gate_has_seen_is_left_alone(rows: int) -> None:
    assert _alarms(_usual(), rows, expected=0.1, more=0.1) <= 0.002


@pytest.mark.parametrize(("rows", "more"), [(MIN_ROWS, 0.2), (1000, 0.12), (10_000, 0.1)])
def test_a_larger_one_is_found_at_once(rows: int, more: float) -> None:
    assert _alarms(_usual(), rows, expected=0.02, tolerance=0.05, more=more) >= 0.99


@pytest.mark.parametrize("answer", [0.0, 0.28, 1.0])
def test_the_same_answer_to_everybody_is_found(answer: float) -> None:
    """Also if it is the right one on average."""
    assert _usual().score(_counts(np.full(500, answer)), 0.02, 0.05) > 1


def test_the_oddest_hour_of_the_day_is_no_alarm() -> None:
    evening = _counts(np.random.default_rng(3).beta(2, 5, 2000) + 0.3)
    assert _usual(swing=0.3).score(evening, 0.0, 0.0) < 1
    assert _usual(swing=0.0).score(evening, 0.0, 0.0) > 1


def test_hours_of_a_few_rows_do_not_widen_the_limit() -> None:
    rng = np.random.default_rng(0)
    hours = [_counts(rng.beta(2, 5, 400)) for _ in range(10)]
    odd = _counts(np.ones(MIN_ROWS - 1))
    with_odd, without = Usual.of_hours([*hours, odd]), Usual.of_hours(hours)
    assert with_odd
    assert without
    assert abs(with_odd.spread - without.spread) < 0.03


def test_a_few_rows_say_nothing() -> None:
    assert Usual.of_hours([]) is None
    assert Usual.of_hours([_counts(np.full(MIN_ROWS - 1, 0.5))]) is None
    one = Usual.of_hours([_counts(np.full(MIN_ROWS, 0.5))])
    assert one
    assert one.spread == 0
    many = Usual.of_hours([_counts(np.full(20, 0.5))] * 5)
    assert many
    assert many.spread == 0


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.3), st.floats(0.2, 5), st.floats(0.2, 5))
def test_rows_of_both_versions_never_are_further_apart_than_row_by_row(
    seed: int, noise: float, a: float, b: float
) -> None:
    """What the limit rests on; both sides are in cells, which may add a cell's width."""
    rng = np.random.default_rng(seed)
    before = rng.beta(a, b, 300)
    since = np.clip(before + rng.normal(0, noise, 300), 0, 1)
    usual = Usual.of_hours([_counts(before)])
    assert usual
    assert usual.score(_counts(since), float(np.abs(since - before).mean()), 0.025) <= 1
