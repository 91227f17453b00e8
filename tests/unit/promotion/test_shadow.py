"""What a shadow may do and what not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftloop.ports import Usage
from driftloop.promotion.shadow import Comparison, Limits, Pairs, Verdict
from tests.fakes import examples as ex

SERVED = Usage(1000, 0, 0.02)
LIMITS = Limits(min_rows=20, tolerance=0.05, latency=1.0)


def _pairs(rows: int = 1000, shift: float = 0.0, noise: float = 0.0, seed: int = 0) -> Pairs:
    rng = np.random.default_rng(seed)
    served = rng.uniform(0.2, 0.6, rows)
    pairs = Pairs()
    # In two parts, as captures come.
    for part in (slice(0, rows // 3), slice(rows // 3, None)):
        shadow = served[part] + shift + noise * rng.standard_normal(len(served[part]))
        pairs.add(served[part], shadow)
    return pairs


def _judged(
    pairs: Pairs, shadow: Usage = SERVED, served: Usage = SERVED, expected: float | None = 0.02
) -> tuple[Verdict, str]:
    return Comparison(served, shadow, pairs, expected).judged(LIMITS)


def test_answers_like_those_before_the_gate_may_serve() -> None:
    verdict, reason = _judged(_pairs(shift=0.03))
    assert verdict is Verdict.SERVES
    assert reason == "answers differ by 0.0300 and did by 0.0200 before the gate"


def test_answers_that_differ_more_than_is_tolerated_are_refused() -> None:
    verdict, reason = _judged(_pairs(shift=0.2))
    assert verdict is Verdict.REJECTED
    assert (
        "1000 rows differ by 0.2000 on average, before the gate they did by 0.0200, and 0.05 more is tolerated"
        in reason
    )


@pytest.mark.parametrize(("rows", "verdict"), [(30, Verdict.SERVES), (4000, Verdict.REJECTED)])
def test_a_difference_has_to_be_sure(rows: int, verdict: Verdict) -> None:
    """Of 30 rows the mean is known to about one hundredth."""
    assert _judged(_pairs(rows, noise=0.1))[0] is verdict


def test_the_sums_are_those_of_all_rows() -> None:
    rng = np.random.default_rng(1)
    served, shadow = rng.random(500), rng.random(500)
    pairs = Pairs()
    pairs.add(served[:1], shadow[:1])
    pairs.add(served[1:], shadow[1:])
    difference = np.abs(served - shadow)
    assert pairs.mean_difference == pytest.approx(difference.mean())
    assert pairs.standard_error == pytest.approx(difference.std() / np.sqrt(500))
    assert pairs.served_counts == np.histogram(served, 20, (0, 1))[0].tolist()
    assert sum(pairs.shadow_counts) == pairs.rows == 500


def test_what_cannot_be_compared_is_no_reason_to_refuse() -> None:
    few = _judged(_pairs(19, shift=0.5))
    assert few == (Verdict.SERVES, "19 rows of both are too few to compare: 20 are needed")
    nothing = _judged(Pairs(), Usage(0, 0, None), Usage(0, 0, None))
    assert nothing[0] is Verdict.SERVES
    unknown = _judged(_pairs(shift=0.5), expected=None)
    assert unknown == (Verdict.SERVES, "answers differ by 0.5000; the gate has nothing to compare with")


@pytest.mark.parametrize(
    ("errors", "served", "verdict"),
    [
        (0, SERVED, Verdict.SERVES),
        (10, SERVED, Verdict.SERVES),
        (11, SERVED, Verdict.REJECTED),
        # Requests that nobody can answer are no fault of the shadow.
        (50, replace(SERVED, errors=45), Verdict.SERVES),
        (56, replace(SERVED, errors=45), Verdict.REJECTED),
        # As when nothing is known of the version that serves.
        (11, Usage(0, 0, None), Verdict.REJECTED),
    ],
)
def test_a_shadow_that_fails_more_often_is_refused(errors: int, served: Usage, verdict: Verdict) -> None:
    assert _judged(_pairs(), replace(SERVED, errors=errors), served)[0] is verdict


def test_one_failure_may_be_anybodys() -> None:
    assert _judged(_pairs(), Usage(3, 1, 0.1))[0] is Verdict.SERVES
    verdict, reason = _judged(_pairs(), Usage(3, 2, 0.1))
    assert verdict is Verdict.REJECTED
    assert reason == "the shadow failed on 2 of 3 requests and the version that serves on 0 of 1000"


def test_a_slow_shadow_is_refused_where_the_model_file_has_a_limit() -> None:
    verdict, reason = _judged(_pairs(), Usage(1000, 0, 1.0))
    assert (verdict, reason) == (
        Verdict.REJECTED,
        "the shadow took 1.000 s to an answer, and serving.max_latency is 1 s",
    )
    comparison = Comparison(SERVED, Usage(1000, 0, 30.0), _pairs(), 0.02)
    assert comparison.judged(replace(LIMITS, latency=None))[0] is Verdict.SERVES


def test_the_limits_are_the_model_files() -> None:
    spec = ex.spec(serving={"max_latency": "2s", "rollout": {"shadow": "6h", "tolerance": 0.1}})
    assert Limits.from_spec(spec) == Limits(20, 0.1, 2.0)
    assert Limits.from_spec(ex.spec()) == Limits(20, 0.05, None)
