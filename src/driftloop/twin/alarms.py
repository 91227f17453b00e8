"""How CloudWatch decides an alarm's state: period, M of N, missing data. Pure.

Rules: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

EXTRA_PERIODS = 2
"""CloudWatch looks at a few periods more than it evaluates, so that one late data point does not change the state."""


class State(StrEnum):
    """State of an alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """What a period without data counts as."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


COMPARISONS = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


@dataclass(frozen=True)
class Rule:
    """When an alarm is raised."""

    comparison: str
    threshold: float
    periods: int
    datapoints: int
    missing: Missing


def evaluate(rule: Rule, values: Sequence[float | None], state: State) -> State:
    """The alarm's next state.

    Args:
        values: the evaluation range, one per period, oldest first, None where there is no data; at least
            ``rule.periods`` long.
        state: the state so far.
    """
    real = [value for value in values if value is not None]
    if not real:
        return without_data(rule.missing, state)
    # With enough real data in the range, the missing periods in between do not matter.
    considered = real[-rule.periods :]
    breaching = sum(1 for value in considered if COMPARISONS[rule.comparison](value, rule.threshold))
    only_breaches = breaching == len(considered)
    if rule.missing is Missing.BREACHING:
        breaching += rule.periods - len(considered)
    if breaching >= rule.datapoints:
        return State.ALARM
    if rule.missing in (Missing.MISSING, Missing.IGNORE) and only_breaches:
        # Too few points, all bad: an alarm only once the oldest is old enough that good ones would have come by now.
        age = next(len(values) - place for place, value in enumerate(values) if value is not None)
        return State.ALARM if rule.missing is Missing.MISSING and age >= rule.datapoints else state
    return State.OK


def without_data(missing: Missing, state: State) -> State:
    """The next state when the whole evaluation range is empty."""
    return {
        Missing.MISSING: State.INSUFFICIENT_DATA,
        Missing.IGNORE: state,
        Missing.BREACHING: State.ALARM,
        Missing.NOT_BREACHING: State.OK,
    }[missing]
