"""Champion and challenger on the same rows, which neither was trained on; or a first version against an absolute floor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from driftloop.monitoring.statistics import Floats
from driftloop.promotion.clustered import MIN_CLUSTERS, lower_bound
from driftloop.promotion.quality import row_qualities

MIN_SLICE_ROWS = 200
"""Rows from which on a slice is judged; below, its difference is mostly noise."""
_NAMED = 5
"""Slices that a reason names; it is shown as a message of limited length."""

Values = np.ndarray[Any, Any]


class Decision(StrEnum):
    """What the gate says."""

    PROMOTE = "promote"
    REJECT = "reject"


@dataclass(frozen=True)
class GatePolicy:
    """The ``gate`` part of a model file."""

    metric: str
    margin: float
    confidence: float
    slices: tuple[str, ...]
    slice_tolerance: float

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> GatePolicy:
        """Read a compiled model file."""
        gate = spec["gate"]
        slices = tuple(gate["slices"])
        return cls(gate["metric"], gate["margin"], gate["confidence"], slices, gate["slice_tolerance"])


@dataclass(frozen=True)
class SliceResult:
    """Both versions on the rows of one slice, in the gate's metric; None where it is not defined."""

    column: str
    value: str
    rows: int
    challenger: float | None
    champion: float | None
    gain: float | None
    """How much better the challenger is, or the first version than the floor; negative if it is worse."""


@dataclass(frozen=True)
class GateResult:
    """The gate's answer; ``advantage`` and ``lower_bound`` are positive where the challenger is better."""

    decision: Decision
    reason: str
    advantage: float
    lower_bound: float | None
    margin: float
    slices: tuple[SliceResult, ...] = field(default=())


@dataclass(frozen=True)
class _Comparison:
    """Everything that the rules look at."""

    policy: GatePolicy
    first: bool
    rows: int
    days: int
    challenger: float
    reference: float
    advantage: float
    bound: float | None
    training_rate: float
    slices: tuple[SliceResult, ...]


def compare(
    labels: Values,
    challenger_scores: Floats,
    champion_scores: Floats | None,
    dates: Values,
    slices: Mapping[str, Values],
    policy: GatePolicy,
    training_rate: float,
) -> GateResult:
    """Decide about one challenger.

    A challenger must be better by more than the margin, and the lower confidence bound of its advantage must be
    above zero: the margin says what is worth a change, the bound that it is not chance. A first version must beat
    the constant prediction ``training_rate`` by more than the margin.

    Args:
        champion_scores: None if there is no champion.
        dates: event date of each row; rows of one date are taken as one observation for the uncertainty.
        slices: column -> value of each row.

    Raises ValueError without rows, or if AUC is asked for and a class is missing.
    """
    if not len(labels):
        raise ValueError("the holdout has no rows")
    first = champion_scores is None
    reference = np.full(len(labels), training_rate) if champion_scores is None else champion_scores
    ours, theirs = (row_qualities(policy.metric, labels, scores) for scores in (challenger_scores, reference))
    seen = _Comparison(
        policy, first, len(labels), len(np.unique(dates)), float(ours.mean()), float(theirs.mean()),
        float((ours - theirs).mean()), lower_bound(ours - theirs, dates, policy.confidence), training_rate,
        _slices(policy, labels, challenger_scores, reference, slices, first),
    )  # fmt: skip
    return _decide(seen)


def _decide(seen: _Comparison) -> GateResult:
    objections = _objections(seen)
    decision = Decision.REJECT if objections else Decision.PROMOTE
    reason = "; ".join([_headline(seen), *objections])
    return GateResult(decision, reason, seen.advantage, seen.bound, seen.policy.margin, seen.slices)


def _objections(seen: _Comparison) -> list[str]:
    policy, objections = seen.policy, []
    if seen.advantage <= policy.margin:
        objections.append(f"that is not more than the margin of {policy.margin:g}")
    if seen.first:
        return objections
    if seen.bound is None:
        objections.append(
            f"rows of {seen.days} days do not show how much days differ, at least {MIN_CLUSTERS} are needed: "
            "lengthen training.holdout"
        )
    elif seen.bound <= 0:
        objections.append(f"it may be chance: with {policy.confidence:.0%} confidence it is only {seen.bound:+.4f}")
    worse = [part for part in seen.slices if part.gain is not None and part.gain < -policy.slice_tolerance]
    for part in sorted(worse, key=lambda part: part.gain or 0.0)[:_NAMED]:
        objections.append(
            f"{part.column}={part.value or 'missing'} becomes {-(part.gain or 0.0):.4f} worse on {part.rows} rows "
            f"(tolerance {policy.slice_tolerance:g})"
        )
    if len(worse) > _NAMED:
        objections.append(f"and so do {len(worse) - _NAMED} more")
    return objections


def _headline(seen: _Comparison) -> str:
    name, sign = ("log-loss", -1) if seen.policy.metric == "log_loss" else ("AUC", 1)
    ours, theirs = sign * seen.challenger, sign * seen.reference
    against = f"predicting {seen.training_rate:.1%} for every row" if seen.first else "the champion"
    who = "first version" if seen.first else "challenger"
    how = f"{abs(seen.advantage):.4f} {'better' if seen.advantage > 0 else 'worse'}" if seen.advantage else "equal"
    certain = ""
    if not seen.first and seen.bound is not None and seen.bound > 0:
        certain = f" (at least {seen.bound:.4f} with {seen.policy.confidence:.0%} confidence)"
    return (
        f"{who}: {name} {ours:.4f} against {theirs:.4f} of {against}, {how}{certain}, "
        f"on {seen.rows} rows of {seen.days} days"
    )


def _slices(
    policy: GatePolicy, labels: Values, ours: Floats, theirs: Floats, columns: Mapping[str, Values], first: bool
) -> tuple[SliceResult, ...]:
    results = []
    for column in policy.slices:
        values, sizes = np.unique(columns[column].astype(str), return_counts=True)
        for value in values[sizes >= MIN_SLICE_ROWS].tolist():
            chosen = columns[column] == value
            mine = _quality(policy.metric, labels[chosen], ours[chosen])
            other = _quality(policy.metric, labels[chosen], theirs[chosen])
            gain = None if mine is None or other is None else mine - other
            sign = -1 if policy.metric == "log_loss" else 1
            figures = [None if quality is None else sign * quality for quality in (mine, other)]
            champion = None if first else figures[1]
            results.append(SliceResult(column, value, int(chosen.sum()), figures[0], champion, gain))
    return tuple(results)


def _quality(metric: str, labels: Values, scores: Floats) -> float | None:
    """Mean quality; None for the AUC of a slice that has one class only."""
    if metric == "auc" and len(np.unique(labels)) < 2:
        return None
    return float(row_qualities(metric, labels, scores).mean())
