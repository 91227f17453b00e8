from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.monitoring.statistics import auc, log_loss
from driftloop.promotion.quality import row_qualities

ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=4, max_size=200)


@given(ROWS)
def test_mean_over_rows_is_the_metric(rows):
    labels, scores = np.array([r[0] for r in rows]), np.array([r[1] / 20 for r in rows])
    assert row_qualities("log_loss", labels, scores).mean() == pytest.approx(-log_loss(labels, scores))
    expected = auc(labels, scores)
    if expected is not None:
        assert row_qualities("auc", labels, scores).mean() == pytest.approx(expected)


def test_auc_contributions_give_the_variance_of_delong():
    rng = np.random.default_rng(5)
    labels = (rng.random(400) < 0.3).astype(int)
    scores = np.clip(0.3 + 0.2 * labels + rng.normal(0, 0.25, 400), 0, 1)
    positive, negative = scores[labels == 1], scores[labels == 0]
    wins = (positive[:, None] > negative).astype(float) + 0.5 * (positive[:, None] == negative)
    delong = wins.mean(1).var() / len(positive) + wins.mean(0).var() / len(negative)
    assert row_qualities("auc", labels, scores).var() / 400 == pytest.approx(delong)


def test_refuses_an_auc_of_one_class_and_unknown_metrics():
    with pytest.raises(ValueError, match="both classes"):
        row_qualities("auc", np.ones(5), np.full(5, 0.5))
    with pytest.raises(ValueError, match="log_loss or auc"):
        row_qualities("f1", np.ones(5), np.full(5, 0.5))
