"""How far the predictions since a rollout began may be from those before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.monitoring.statistics import Floats
from driftloop.promotion.shift import MIN_ROWS, MIN_SAMPLES, Answers, Usual


def _answers(scores: Floats, refused: int = 0) -> Answers:
    return Answers(np.clip(scores, 0, 1), refused)


def _usual(samples: int = 24, rows: int = 400, seed: int = 0, swing: float = 0.0) -> Usual:
    """A week whose evenings are riskier by up to ``swing``."""
    rng = np.random.default_rng(seed)
    rise = swing * np.sin(np.arange(samples) / samples * np.pi)
    usual = Usual.of_samples([_answers(rng.beta(2, 5, rows) + more) for more in rise])
    assert usual is not None
    return usual


def _score(usual: Usual, answers: Answers, expected: float = 0.02, tolerance: float = 0.05) -> float:
    score = usual.score(answers, expected, tolerance)
    assert score is not None
    return score.score


def _alarms(usual: Usual, rows: int, expected: float, tolerance: float = 0.0, more: float = 0.0) -> float:
    """Share of looks that are at their limit."""
    rng = np.random.default_rng(1)
    scores = [_score(usual, _answers(rng.beta(2, 5, rows) + more), expected, tolerance) for _ in range(500)]
    return float(np.mean(np.array(scores) >= 1))


@pytest.mark.parametrize("rows", [MIN_ROWS, 1000, 2000])
def test_a_copy_of_the_version_before_is_left_alone(rows: int) -> None:
    """Even if neither the gate nor the model file allows any difference."""
    assert _alarms(_usual(), rows, expected=0.0) <= 0.002


@pytest.mark.parametrize("rows", [MIN_ROWS, 1000, 2000])
def test_a_difference_that_the_gate_has_seen_is_left_alone(rows: int) -> None:
    assert _alarms(_usual(), rows, expected=0.1, more=0.1) <= 0.002


@pytest.mark.parametrize(("rows", "more"), [(MIN_ROWS, 0.2), (1000, 0.12), (2000, 0.11)])
def test_a_larger_one_is_found_at_once(rows: int, more: float) -> None:
    assert _alarms(_usual(), rows, expected=0.02, tolerance=0.05, more=more) >= 0.99


@pytest.mark.parametrize("answer", [0.0, 0.28, 1.0])
def test_the_same_answer_to_everybody_is_found(answer: float) -> None:
    """Also if it is the right one on average."""
    assert _score(_usual(), _answers(np.full(500, answer))) > 1


def test_answers_that_are_no_probabilities_are_found() -> None:
    """NaN, text, log-odds: the reader of captures refuses them."""
    assert _score(_usual(), Answers(np.empty(0), 500)) > 5
    half = _answers(np.random.default_rng(5).beta(2, 5, 250), 250)
    assert _score(_usual(), half) > 3


def test_what_clients_always_get_wrong_is_not_the_versions_fault() -> None:
    rng = np.random.default_rng(0)
    usual = Usual.of_samples([_answers(rng.beta(2, 5, 300), 100) for _ in range(24)])
    assert usual
    assert _score(usual, _answers(rng.beta(2, 5, 750), 250), 0.0, 0.0) < 1


def test_samples_are_cut_without_changing_what_part_of_them_was_refused() -> None:
    """Otherwise a fifth of bad requests would widen the limit so far that hardly anything is found."""
    rng = np.random.default_rng(0)
    usual = Usual.of_samples([_answers(rng.beta(2, 5, 400), 100) for _ in range(24)])
    assert usual
    assert _score(usual, _answers(rng.beta(2, 5, 80) + 0.3, 20)) > 1
    assert _score(usual, _answers(rng.beta(2, 5, 80), 20)) < 0.6


def test_the_oddest_hour_is_no_alarm() -> None:
    evening = _answers(np.random.default_rng(3).beta(2, 5, 2000) + 0.3)
    assert _score(_usual(swing=0.3), evening, 0.0, 0.0) < 1
    assert _score(_usual(swing=0.0), evening, 0.0, 0.0) > 1


@pytest.mark.parametrize(("requests", "share"), [(1, 0.03), (2, 0.01), (5, 0.002)])
def test_clients_who_ask_in_bulk_are_hardly_an_alarm(requests: int, share: float) -> None:
    """A hundred similar rows a request, as in every hour of the week before; now there are fewer of them.

    If one request is all that there is, it may be odder than all of 24 others.
    """
    rng = np.random.default_rng(2)

    def bulk(number: int) -> Answers:
        return _answers(np.repeat(rng.beta(2, 5, number), 100) + rng.normal(0, 0.02, number * 100))

    usual = Usual.of_samples([bulk(5) for _ in range(24)])
    assert usual
    assert np.mean([_score(usual, bulk(requests)) >= 1 for _ in range(500)]) <= share


def test_few_answers_say_nothing() -> None:
    enough = _answers(np.full(MIN_ROWS, 0.5))
    few = _answers(np.full(MIN_ROWS - 1, 0.5))
    assert Usual.of_samples([]) is None
    assert Usual.of_samples([enough] * (MIN_SAMPLES - 1) + [few]) is None
    usual = Usual.of_samples([enough] * MIN_SAMPLES)
    assert usual
    assert usual.score(few, 0.0, 0.0) is None
    assert _score(usual, enough, 0.0, 0.0) == 0


def test_a_week_of_which_nothing_can_be_read_says_nothing() -> None:
    """The columns have changed since."""
    assert Usual.of_samples([Answers(np.empty(0), 500)] * 24) is None


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.3), st.floats(0.2, 5), st.floats(0.2, 5))
def test_rows_of_both_versions_never_are_further_apart_than_row_by_row(
    seed: int, noise: float, a: float, b: float
) -> None:
    """What the limit rests on."""
    rng = np.random.default_rng(seed)
    before = rng.beta(a, b, 300)
    since = np.clip(before + rng.normal(0, noise, 300), 0, 1)
    usual = Usual.of_samples([_answers(before)] * MIN_SAMPLES)
    assert usual
    assert _score(usual, _answers(since), float(np.abs(since - before).mean()), 0.0) <= 1
