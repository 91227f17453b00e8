"""Drift over several windows together, on days that resemble their neighbours: simulated worlds, with seeds."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from driftloop.data.schema import Columns, Feature, Schema
from driftloop.monitoring import calibration
from driftloop.monitoring.baseline import Baseline, Windowing, build_baseline
from driftloop.monitoring.calibration import runs_of
from driftloop.monitoring.profile import Profile, merge, profile_columns

NAMES = ("heat", "wind", "rain", "haze")
SCHEMA = Schema("id", "at", "late", timedelta(hours=12), tuple(Feature(name, "number") for name in NAMES))
ROWS, TRAINING, UNSEEN = 200, 60, 36
"""Rows a day; days of the training window, and those of them that have out-of-time predictions."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of quality is not looked at here."""
    monkeypatch.setattr(calibration, "_RESAMPLES", 10)


def _world(seed: int, days: int, likeness: float, spread: float = 0.5, step: float = 0.0) -> list[Columns]:
    """Days whose means wander (autoregressive of order one), and that have moved by ``step`` once training is over."""
    rng = np.random.default_rng(seed)
    mood = rng.normal(size=(days, len(NAMES)))
    for day in range(1, days):
        mood[day] = likeness * mood[day - 1] + np.sqrt(1 - likeness**2) * mood[day]
    mood[TRAINING:] += step / spread
    return [_day(rng, number, spread * mean) for number, mean in enumerate(mood)]


def _day(rng: np.random.Generator, number: int, mean: np.ndarray) -> Columns:
    values = rng.normal(mean, 1.0, (ROWS, len(NAMES)))
    score = 1 / (1 + np.exp(1.5 - values[:, 0]))
    seconds = 86400 * number + np.arange(ROWS) * 86400 // ROWS
    return {
        "at": np.datetime64("2026-01-01", "s") + seconds.astype("timedelta64[s]"),
        **{name: values[:, place] for place, name in enumerate(NAMES)},
        "score": score,
        "late": (rng.random(ROWS) < score).astype(np.int8),
    }


def _together(days: list[Columns]) -> Columns:
    return {name: np.concatenate([day[name] for day in days]) for name in days[0]}


def _baseline(days: list[Columns], smoothing: int, sensitivity: float = 0.01) -> Baseline:
    training, unseen = _together(days[:TRAINING]), _together(days[TRAINING - UNSEEN : TRAINING])
    windowing = Windowing(86400, 20, smoothing, sensitivity, 1)
    return build_baseline(SCHEMA, training, unseen, dict.fromkeys(NAMES, 1.0), windowing)


def _spans(baseline: Baseline, days: list[Columns], smoothing: int) -> list[Profile]:
    """Live traffic as it is judged: one span a day."""
    profiles = [profile_columns(baseline.bins, day, SCHEMA) for day in days[TRAINING:]]
    ends = range(smoothing, len(profiles) + 1)
    return [merge(baseline.bins, profiles[end - smoothing : end]) for end in ends]


@pytest.mark.parametrize("likeness", [0.0, 0.5, 0.8])
def test_nothing_changed_and_rarely_anything_is_said(likeness: float) -> None:
    inputs, predictions, features = [], [], []
    for seed in range(100):
        days = _world(seed, TRAINING + 60, likeness)
        baseline = _baseline(days, 7)
        spans = _spans(baseline, days, 7)
        inputs += [baseline.judge_inputs(span).score >= 1 for span in spans]
        predictions += [baseline.judge_predictions(span).score >= 1 for span in spans]
        features += [any(baseline.judge_feature(name, span).score >= 1 for name in NAMES) for span in spans]
    # 0.01 is asked for. Compared with a reference that holds them, runs would set limits that alarm 0.03 of the time.
    assert np.mean(inputs) <= 0.02
    assert np.mean(predictions) <= 0.02
    assert np.mean(features) <= 0.02


def test_single_days_keep_their_rate_too() -> None:
    alarms = []
    for seed in range(30):
        days = _world(seed, TRAINING + 60, 0.5)
        baseline = _baseline(days, 1)
        alarms += [baseline.judge_inputs(span).score >= 1 for span in _spans(baseline, days, 1)]
    assert np.mean(alarms) <= 0.02


def test_a_season_shows_in_several_days_together_and_not_in_single_ones() -> None:
    alarms = {1: 0, 7: 0}
    for seed in range(20):
        days = _world(seed, TRAINING + 30, 0.0, step=0.6)  # as far as one day in four lies from the mean anyway
        for smoothing in alarms:
            baseline = _baseline(days, smoothing)
            over = [baseline.judge_inputs(span).score >= 1 for span in _spans(baseline, days, smoothing)]
            alarms[smoothing] += any(all(over[end - 3 : end]) for end in range(3, len(over) + 1))
    assert alarms[7] >= 15
    assert alarms[1] <= 2


def test_fewer_windows_than_the_limits_are_for_do_not_alarm_more_often() -> None:
    alarms = []
    for seed in range(30):
        days = _world(seed, TRAINING + 60, 0.3)
        baseline = _baseline(days, 7)
        for sound in (1, 3):
            alarms += [baseline.judge_inputs(span, sound / 7).score >= 1 for span in _spans(baseline, days, sound)]
    assert np.mean(alarms) <= 0.02


@pytest.mark.parametrize(
    ("blocks", "length", "starts"),
    [
        pytest.param(60, 7, [0, 7, 14, 21, 28, 35, 42, 49], id="side by side"),
        pytest.param(36, 7, [0, 7, 14, 21, 28], id="just side by side"),
        pytest.param(19, 7, [0, 3, 6, 9, 12], id="overlapping"),
        pytest.param(11, 7, [0, 1, 2, 3, 4], id="the fewest"),
        pytest.param(6, 1, [0, 1, 2, 3, 4, 5], id="single"),
    ],
)
def test_runs(blocks: int, length: int, starts: list[int]) -> None:
    runs = runs_of(range(blocks), length)
    assert [list(run) for run in runs] == [list(range(start, start + length)) for start in starts]


def test_too_few_blocks_for_five_runs() -> None:
    with pytest.raises(ValueError, match="10 time blocks are too few to set a limit; at least 11 are needed"):
        runs_of(range(10), 7)
