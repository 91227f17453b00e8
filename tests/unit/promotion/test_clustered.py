from __future__ import annotations

import numpy as np
import pytest

from driftloop.promotion.clustered import lower_bound


def test_equals_the_t_interval_of_daily_means_when_days_are_of_one_size():
    daily = np.array([0.3, -0.1, 0.2, 0.05, 0.4, 0.1, 0.15])
    days = np.repeat(np.arange(7), 50)
    error = daily.std(ddof=1) / np.sqrt(7)
    # 1.43976 is the 0.9 quantile of Student's t with six degrees of freedom.
    assert lower_bound(daily[days], days, 0.9) == pytest.approx(daily.mean() - 1.43976 * error, abs=1e-5)


def test_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(11)
    days = np.repeat(np.arange(7), 40)
    # Rows of a day share a shock that is as large as their own noise: bounds from rows alone would be far too high.
    draws = [rng.normal(0, 1, 7)[days] + rng.normal(0, 1, len(days)) for _ in range(1500)]
    missed = np.mean([(lower_bound(draw, days, 0.9) or 0) > 0 for draw in draws])
    assert missed == pytest.approx(0.1, abs=0.025)


def test_two_days_say_nothing_about_how_days_differ():
    assert lower_bound(np.ones(10), np.repeat([0, 1], 5), 0.9) is None
    assert lower_bound(np.ones(0), np.ones(0), 0.9) is None
