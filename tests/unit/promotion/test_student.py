from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.promotion.student import student_quantile


@pytest.mark.parametrize(
    ("probability", "freedom", "expected"),
    # Published tables of the t distribution.
    [(0.9, 1, 3.078), (0.9, 2, 1.886), (0.9, 6, 1.440), (0.99, 2, 6.965), (0.99, 3, 4.541), (0.95, 13, 1.771)],
)
def test_agrees_with_tables(probability, freedom, expected):
    assert student_quantile(probability, freedom) == pytest.approx(expected, abs=5e-4)


@given(st.floats(0.501, 0.999), st.integers(1, 60))
def test_is_symmetric_and_wider_with_fewer_clusters(probability, freedom):
    value = student_quantile(probability, freedom)
    assert student_quantile(1 - probability, freedom) == pytest.approx(-value, rel=1e-6)
    assert value > student_quantile(probability, freedom + 1) > 0


def test_one_degree_of_freedom_is_cauchy():
    assert student_quantile(0.8, 1) == pytest.approx(math.tan(0.3 * math.pi))


@pytest.mark.parametrize(("probability", "freedom"), [(0.0, 3), (1.0, 3), (0.9, 0)])
def test_refuses_what_has_no_quantile(probability, freedom):
    with pytest.raises(ValueError, match="no quantile"):
        student_quantile(probability, freedom)
