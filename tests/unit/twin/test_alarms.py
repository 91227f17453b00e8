"""Alarm states against AWS's documentation, whose two tables of missing data are copied here row by row.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.twin.alarms import COMPARISONS, EXTRA_PERIODS, Missing, Rule, State, evaluate

KEEP = None
OK, ALARM, INSUFFICIENT = State.OK, State.ALARM, State.INSUFFICIENT_DATA
TREATMENTS = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)
VALUES = {"0": 0.0, "X": 9.0, "-": None}

# Data points (newest last), then the state for missing, ignore, breaching, notBreaching; KEEP: retain the state.
THREE_OF_THREE = [
    ("0-X-X", (OK, OK, OK, OK)),
    ("0----", (OK, OK, OK, OK)),
    ("-----", (INSUFFICIENT, KEEP, ALARM, OK)),
    ("0XX-X", (ALARM, ALARM, ALARM, ALARM)),
    ("--X--", (ALARM, KEEP, ALARM, OK)),
]
TWO_OF_THREE = [
    ("0-X-X", (ALARM, ALARM, ALARM, ALARM)),
    ("00X0X", (ALARM, ALARM, ALARM, ALARM)),
    ("0-X--", (OK, OK, ALARM, OK)),
    ("----0", (OK, OK, ALARM, OK)),
    ("---X-", (ALARM, KEEP, ALARM, OK)),
]
# The text below the tables: a breach that is too young to be sure of does not raise the alarm.
PREMATURE = [("----X", (KEEP, KEEP, ALARM, OK)), ("---X-", (KEEP, KEEP, ALARM, OK))]

CASES = [
    pytest.param(m, points, treatment, expected, id=f"{m}of3 {points} {treatment}")
    for m, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE), (3, PREMATURE))
    for points, row in table
    for treatment, expected in zip(TREATMENTS, row, strict=True)
]


def rule(m: int, n: int, missing: Missing = Missing.MISSING, comparison: str = "GreaterThanThreshold") -> Rule:
    return Rule(comparison, 1.0, n, m, missing)


def points(text: str) -> list[float | None]:
    return [VALUES[letter] for letter in text]


@pytest.mark.parametrize(("m", "shown", "treatment", "expected"), CASES)
@pytest.mark.parametrize("state", list(State))
def test_awss_tables_of_missing_data(
    m: int, shown: str, treatment: Missing, expected: State | None, state: State
) -> None:
    assert len(shown) == 3 + EXTRA_PERIODS
    assert evaluate(rule(m, 3, treatment), points(shown), state) is (expected or state)


@pytest.mark.parametrize("n", range(1, 5))
def test_m_of_n_counts_breaches_among_the_last_n(n: int) -> None:
    for m in range(1, n + 1):
        for letters in itertools.product("0X", repeat=n + EXTRA_PERIODS):
            shown = "".join(letters)
            expected = ALARM if shown[-n:].count("X") >= m else OK
            assert evaluate(rule(m, n), points(shown), INSUFFICIENT) is expected


def test_older_points_step_in_for_missing_ones_and_only_for_those() -> None:
    assert evaluate(rule(3, 3, Missing.NOT_BREACHING), points("XX--X"), OK) is ALARM
    assert evaluate(rule(3, 3), points("XXX00"), OK) is OK


@pytest.mark.parametrize(
    ("comparison", "at", "above", "below"),
    [
        ("GreaterThanOrEqualToThreshold", ALARM, ALARM, OK),
        ("GreaterThanThreshold", OK, ALARM, OK),
        ("LessThanThreshold", OK, OK, ALARM),
        ("LessThanOrEqualToThreshold", ALARM, OK, ALARM),
    ],
)
def test_every_comparison(comparison: str, at: State, above: State, below: State) -> None:
    assert set(COMPARISONS) >= {comparison}
    for value, expected in ((1.0, at), (1.5, above), (0.5, below)):
        assert evaluate(rule(1, 1, comparison=comparison), [None, None, value], OK) is expected


@given(
    letters=st.lists(st.sampled_from("0X-"), min_size=5, max_size=5),
    m=st.integers(1, 3),
    treatment=st.sampled_from(TREATMENTS),
    state=st.sampled_from(list(State)),
)
def test_the_treatments_never_contradict_each_other(
    letters: list[str], m: int, treatment: Missing, state: State
) -> None:
    """Counting missing points as good can only calm an alarm, counting them as bad can only raise it."""
    values = points("".join(letters))
    calm = evaluate(rule(m, 3, Missing.NOT_BREACHING), values, state)
    wild = evaluate(rule(m, 3, Missing.BREACHING), values, state)
    between = evaluate(rule(m, 3, treatment), values, state)
    assert evaluate(rule(m, 3, treatment), values, between) is between, "the same data must not move the alarm twice"
    if calm is ALARM:
        assert between is ALARM
    if wild is OK:
        assert between is OK
