from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.promotion.gate import Decision, GatePolicy, Traits, compare, degenerate

POLICY = GatePolicy("log_loss", 0.002, 0.9, (), 0.02)
NOTHING: dict[str, np.ndarray] = {}


class Holdout(NamedTuple):
    labels: np.ndarray
    dates: np.ndarray
    truth: np.ndarray
    """Probability that each label was drawn with."""


def draw(seed: int, rows: int = 6000, days: int = 7) -> Holdout:
    rng = np.random.default_rng(seed)
    truth = 1 / (1 + np.exp(-rng.normal(-1.2, 1.0, rows)))
    return Holdout((rng.random(rows) < truth).astype(int), np.arange(rows) * days // rows, truth)


def worse_by(holdout: Holdout, nats: float, seed: int) -> np.ndarray:
    """Scores with noise in the log-odds that costs about so many nats per row."""
    logits = np.log(holdout.truth / (1 - holdout.truth))
    spread = np.sqrt(2 * nats / (holdout.truth * (1 - holdout.truth)).mean())
    # Another stream than that of the rows, or the noise would follow the truth.
    noise = np.random.default_rng([seed, 1]).normal(0, spread, len(logits))
    return np.asarray(1 / (1 + np.exp(-(logits + noise))))


def judge(holdout, challenger, champion, policy=POLICY, slices=NOTHING):
    return compare(holdout.labels, challenger, champion, holdout.dates, slices, policy, Traits(0.25))


@pytest.mark.parametrize("nats", [0.01, 0.03, 0.06])
@pytest.mark.parametrize("metric", ["log_loss", "auc"])
def test_a_real_improvement_in_a_week_of_rows_is_promoted(nats, metric):
    promoted = 0
    for seed in range(20):
        holdout = draw(seed)
        result = judge(holdout, holdout.truth, worse_by(holdout, nats, seed), replace(POLICY, metric=metric))
        promoted += result.decision is Decision.PROMOTE
    assert promoted >= 18


def test_no_improvement_is_promoted_no_more_often_than_the_confidence_allows():
    promoted = 0
    for seed in range(300):
        holdout = draw(seed, rows=2100)
        ours, theirs = worse_by(holdout, 0.02, seed + 1000), worse_by(holdout, 0.02, seed + 5000)
        promoted += judge(holdout, ours, theirs).decision is Decision.PROMOTE
    assert promoted / 300 <= 0.12


def test_a_good_day_among_bad_ones_may_be_chance():
    holdout = draw(3)
    champion = worse_by(holdout, 0.1, 1)
    challenger = np.where(holdout.dates == 2, holdout.truth, champion)
    result = judge(holdout, challenger, champion)
    assert result.decision is Decision.REJECT
    assert result.advantage > POLICY.margin
    assert "may be chance" in result.reason
    assert "90%" in result.reason


SCORES = st.lists(st.floats(0, 1), min_size=60, max_size=60).map(np.array).filter(lambda scores: not degenerate(scores))
LABELS = st.lists(st.integers(0, 1), min_size=60, max_size=60).map(np.array)
DAYS = np.arange(60) % 6


@settings(max_examples=60)
@given(LABELS, SCORES, SCORES)
def test_two_versions_never_beat_each_other(labels, ours, theirs):
    forth = compare(labels, ours, theirs, DAYS, NOTHING, POLICY, Traits(0.5))
    back = compare(labels, theirs, ours, DAYS, NOTHING, POLICY, Traits(0.5))
    assert {forth.decision, back.decision} != {Decision.PROMOTE}
    assert forth.advantage == pytest.approx(-back.advantage)


@given(LABELS, SCORES)
def test_a_version_never_beats_itself(labels, scores):
    result = compare(labels, scores, scores, DAYS, NOTHING, POLICY, Traits(0.5))
    assert result.decision is Decision.REJECT
    assert result.advantage == 0
    assert "equal" in result.reason


@settings(max_examples=60)
@given(LABELS, SCORES, SCORES, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(labels, ours, theirs, random):
    order = list(range(60))
    random.shuffle(order)
    straight = compare(labels, ours, theirs, DAYS, NOTHING, POLICY, Traits(0.5))
    mixed = compare(labels[order], ours[order], theirs[order], DAYS[order], NOTHING, POLICY, Traits(0.5))
    assert mixed.advantage == pytest.approx(straight.advantage)
    assert mixed.lower_bound == pytest.approx(straight.lower_bound)


@given(LABELS, SCORES)
def test_a_version_is_not_worse_than_itself(labels, scores):
    result = compare(labels, scores, scores, DAYS, NOTHING, replace(POLICY, margin=-0.001), Traits(0.5))
    assert result.decision is not Decision.REJECT


def test_what_is_worse_by_as_much_as_a_margin_below_zero_is_promoted_no_more_often_than_the_confidence_allows():
    pairs = [(holdout := draw(seed, rows=2100), worse_by(holdout, 0.02, seed + 1000)) for seed in range(300)]
    lost = -float(np.mean([judge(holdout, ours, holdout.truth).advantage for holdout, ours in pairs]))
    assert lost > 0.015
    for margin, least, most in ((-lost, 0, 0.12), (-3 * lost, 0.95, 1)):
        policy = replace(POLICY, margin=margin)
        results = [judge(holdout, ours, holdout.truth, policy) for holdout, ours in pairs]
        assert least <= np.mean([result.decision is Decision.PROMOTE for result in results]) <= most
    assert any(
        "may be worse than the margin" in judge(*pair, pair[0].truth, replace(POLICY, margin=-lost)).reason
        for pair in pairs
    )


def test_a_first_version_must_beat_the_training_rate_whatever_the_margin():
    holdout = draw(5)
    dull = np.where(np.arange(6000) % 2, 0.2499, 0.2501)
    result = judge(holdout, dull, None, replace(POLICY, margin=-0.5))
    assert result.advantage is not None
    assert (result.advantage > 0) == (result.decision is Decision.PROMOTE)
    worse = judge(holdout, 1 - holdout.truth, None, replace(POLICY, margin=-1.0))
    assert worse.decision is Decision.REJECT
    assert "not more than the margin of 0" in worse.reason


@given(LABELS, SCORES, SCORES, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_larger_margin_never_promotes_more(labels, ours, theirs, one, other):
    small, large = sorted((one, other))
    strict = compare(labels, ours, theirs, DAYS, NOTHING, replace(POLICY, margin=large), Traits(0.5))
    mild = compare(labels, ours, theirs, DAYS, NOTHING, replace(POLICY, margin=small), Traits(0.5))
    eager = [Decision.REJECT, Decision.ASK, Decision.PROMOTE]
    assert eager.index(strict.decision) <= eager.index(mild.decision)


def test_a_slice_that_becomes_worse_is_named():
    holdout = draw(4)
    champion = worse_by(holdout, 0.03, 1)
    origin = np.where(np.arange(6000) % 10 == 0, "JFK", "EWR").astype(object)
    challenger = np.where(origin == "JFK", worse_by(holdout, 0.2, 2), holdout.truth)
    policy = replace(POLICY, slices=("origin",))
    result = judge(holdout, challenger, champion, policy, {"origin": origin})
    assert result.advantage > 0
    assert result.decision is Decision.REJECT
    assert "origin=JFK becomes" in result.reason
    assert {part.value: part.rows for part in result.slices} == {"EWR": 5400, "JFK": 600}
    assert judge(holdout, challenger, champion, replace(policy, slice_tolerance=1.0), {"origin": origin}).decision is (
        Decision.PROMOTE
    )


def test_a_slice_with_few_rows_is_not_judged():
    holdout = draw(4)
    origin = np.where(np.arange(6000) % 40 == 0, "JFK", "EWR").astype(object)
    challenger = np.where(origin == "JFK", worse_by(holdout, 0.5, 2), holdout.truth)
    result = judge(
        holdout, challenger, worse_by(holdout, 0.03, 1), replace(POLICY, slices=("origin",)), {"origin": origin}
    )
    assert result.decision is Decision.PROMOTE
    assert [part.value for part in result.slices] == ["EWR"]


@pytest.mark.parametrize("metric", ["log_loss", "auc"])
def test_a_first_version_must_beat_the_training_rate(metric):
    holdout = draw(6)
    policy = replace(POLICY, metric=metric, slices=("part",))
    parts = {"part": np.array(["a"] * 6000, dtype=object)}
    good = judge(holdout, holdout.truth, None, policy, parts)
    assert good.decision is Decision.PROMOTE
    assert good.slices[0].champion is None
    assert "first version" in good.reason
    blind = judge(holdout, np.full(6000, 0.25), None, policy, parts)
    assert (blind.decision, blind.advantage) == (Decision.REJECT, None)
    assert blind.reason == "the challenger answers 0.25 to every one of 6000 rows"
    inverted = judge(holdout, 1 - holdout.truth, None, policy, parts)
    assert inverted.decision is Decision.REJECT
    assert "worse" in inverted.reason


def test_a_holdout_of_two_days_is_too_short_to_compare():
    holdout = draw(7, days=2)
    result = judge(holdout, holdout.truth, worse_by(holdout, 0.05, 1))
    assert result.decision is Decision.REJECT
    assert result.lower_bound is None
    assert "lengthen training.holdout" in result.reason
    assert judge(holdout, holdout.truth, None).decision is Decision.PROMOTE


def test_better_but_worse_calibrated_is_rejected():
    holdout = draw(8)
    champion = worse_by(holdout, 0.05, 1)
    policy = replace(POLICY, metric="auc", calibration_tolerance=0.05)
    assert judge(holdout, holdout.truth, champion, policy).decision is Decision.PROMOTE
    result = judge(holdout, holdout.truth**2, champion, policy)  # the same order, other probabilities
    assert result.decision is Decision.REJECT
    assert "further from what happens than the champion's (calibration_tolerance 0.05)" in result.reason


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        (Traits(0.25, latency=2.5), "an answer to one row takes 2.5 s (latency 1 s)"),
        (Traits(0.25, size=2 * 10**9), "its archive has 2,000 MB (size 1,000 MB)"),
    ],
)
def test_slow_and_large_versions_are_rejected(traits, said):
    holdout = draw(9)
    arguments = holdout.dates, NOTHING, POLICY, traits
    result = compare(holdout.labels, holdout.truth, worse_by(holdout, 0.05, 1), *arguments)
    assert (result.decision, said in result.reason) == (Decision.REJECT, True), result.reason


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (lambda truth: np.where(np.arange(6000) == 7, np.nan, truth), "answers 1 of 6000 rows with what is no probability, such as nan"),
        (lambda truth: truth * 100, "with what is no probability, such as"),
        (lambda truth: np.full(6000, 0.0), "answers 0 to every one of 6000 rows"),
    ],
)  # fmt: skip
def test_what_is_no_prediction_is_rejected_with_its_reason(scores, said):
    holdout = draw(10)
    for champion in (None, worse_by(holdout, 0.5, 1)):
        result = judge(holdout, scores(holdout.truth), champion)
        assert (result.decision, result.advantage) == (Decision.REJECT, None)
        assert said in result.reason


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        (Traits(0.25, changed_inputs=("its requests have other columns",)), "its requests have other columns"),
        (Traits(0.25, champion_rate=0.05), "label 1 has 25.0% of the rows that it learned from, and 5.0% of the champion's"),
    ],
)  # fmt: skip
def test_what_figures_do_not_answer_is_asked_of_a_person(traits, said):
    holdout = draw(11)
    champion = worse_by(holdout, 0.05, 1)
    result = compare(holdout.labels, holdout.truth, champion, holdout.dates, NOTHING, POLICY, traits)
    assert (result.decision, said in result.reason) == (Decision.ASK, True), result.reason
    # A worse one is rejected whatever else there is to ask.
    worse = compare(holdout.labels, champion, holdout.truth, holdout.dates, NOTHING, POLICY, traits)
    assert (worse.decision, said in worse.reason) == (Decision.REJECT, False)


def test_a_champion_that_cannot_be_scored_leaves_the_decision_to_a_person():
    holdout = draw(12)
    traits = Traits(0.25, champion_fault="its archive is gone")
    result = compare(holdout.labels, holdout.truth, None, holdout.dates, NOTHING, POLICY, traits)
    assert result.decision is Decision.ASK
    assert result.reason.startswith("challenger: log-loss")
    assert "the champion could not be compared: its archive is gone" in result.reason


def test_what_is_too_good_is_asked_once():
    holdout = draw(13)
    leaked = np.where(holdout.labels == 1, 0.99, 0.01) + holdout.truth / 1000
    champion = worse_by(holdout, 0.05, 1)
    first = judge(holdout, leaked, champion)
    assert first.decision is Decision.ASK
    assert "too good to be believed" in first.reason
    # A champion that a person let pass makes the next one believable.
    before = np.where(holdout.labels == 1, 0.9, 0.1) + holdout.truth / 1000
    assert judge(holdout, leaked, before).decision is Decision.PROMOTE


def test_a_holdout_of_one_class_is_asked_about():
    holdout = draw(14)
    ours, theirs = holdout.truth * 0.2, holdout.truth * 0.21
    result = compare(np.zeros(6000, int), ours, theirs, holdout.dates, NOTHING, POLICY, Traits(0.25))
    assert result.decision is Decision.ASK
    assert "rows of one class only" in result.reason


def test_no_rows_is_an_error():
    with pytest.raises(ValueError, match="no rows"):
        compare(np.array([]), np.array([]), np.array([]), np.array([]), NOTHING, POLICY, Traits(0.5))
