"""Champion and challenger on the same rows, which neither was trained on; or a first version against an absolute floor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from driftloop.monitoring.statistics import Floats, auc
from driftloop.promotion.clustered import MIN_CLUSTERS, lower_bound
from driftloop.promotion.quality import calibration_error, row_qualities

MIN_SLICE_ROWS = 200
"""Rows from which on a slice is judged; below, its difference is mostly noise."""
_NAMED = 5
"""Slices that a reason names; it is shown as a message of limited length."""
_TOO_GOOD = 0.98
"""AUC that the world rarely allows and a leak of the label easily gives."""
_OTHER_RATE = 3.0
"""Factor by which the share of label 1 may differ between what champion and challenger learned from."""

Values = np.ndarray[Any, Any]


class Decision(StrEnum):
    """What the gate says."""

    PROMOTE = "promote"
    REJECT = "reject"
    ASK = "ask"
    """Nothing speaks against it, but a person should look first: the version waits for approval."""


@dataclass(frozen=True)
class GatePolicy:
    """The ``gate`` part of a model file."""

    metric: str
    margin: float
    confidence: float
    slices: tuple[str, ...]
    slice_tolerance: float
    calibration_tolerance: float = 0.05
    latency: float = 1.0
    """Seconds that an answer to one row may take (median)."""
    size: int = 10**9
    """Bytes that the archive may have."""

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> GatePolicy:
        """Read a compiled model file."""
        gate = spec["gate"]
        given = {
            name: gate[name] for name in ("margin", "confidence", "slice_tolerance", "calibration_tolerance", "size")
        }
        return cls(metric=gate["metric"], slices=tuple(gate["slices"]), latency=float(gate["latency"]), **given)


@dataclass(frozen=True)
class Traits:
    """What there is to know of a challenger besides its scores."""

    training_rate: float
    """Share of label 1 among the rows that it was trained on."""
    latency: float | None = None
    """Seconds that an answer to one row takes (median); None if that was not measured."""
    size: int | None = None
    """Bytes of its archive."""
    champion_rate: float | None = None
    """The same share for the champion."""
    changed_inputs: tuple[str, ...] = ()
    """How its input columns differ from the champion's, in words."""
    champion_fault: str = ""
    """Why a champion that serves could not be scored."""


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
    advantage: float | None
    """None if the challenger's answers are no predictions."""
    lower_bound: float | None
    margin: float
    slices: tuple[SliceResult, ...] = field(default=())


@dataclass(frozen=True)
class _Comparison:
    """Everything that the rules look at."""

    policy: GatePolicy
    traits: Traits
    first: bool
    rows: int
    days: int
    classes: int
    challenger: float
    reference: float
    advantage: float
    bound: float | None
    miscalibrated: float
    """By how much the challenger's calibration error is larger than the reference's."""
    areas: tuple[float | None, float | None]
    """AUC of challenger and champion."""
    slices: tuple[SliceResult, ...]


def compare(
    labels: Values,
    challenger_scores: Floats,
    champion_scores: Floats | None,
    dates: Values,
    slices: Mapping[str, Values],
    policy: GatePolicy,
    traits: Traits,
) -> GateResult:
    """Decide about one challenger.

    A challenger must be better by more than the margin, and the lower confidence bound of its advantage must be
    above zero: the margin says what is worth a change, the bound that it is not chance. A margin below zero asks the
    other question, whether newer rows do harm (non-inferiority): the bound must be above the margin then. A first version
    must beat the constant prediction ``traits.training_rate`` by more than the margin, and at least be better. Both must
    answer with probabilities that differ, quickly enough and from an archive that is small enough; a challenger's must
    be as well calibrated as the champion's. What only a person can judge, such as an answer that is too good to be true, makes it wait for one.

    Args:
        champion_scores: None if there is no champion, or none that can be scored.
        dates: event date of each row; rows of one date are taken as one observation for the uncertainty.
        slices: column -> value of each row.

    Raises ValueError without rows, or if AUC is asked for and a class is missing.
    """
    if not len(labels):
        raise ValueError("the holdout has no rows")
    fault = degenerate(challenger_scores)
    if fault:
        return GateResult(Decision.REJECT, f"the challenger {fault}", None, None, policy.margin)
    first = champion_scores is None
    reference = np.full(len(labels), traits.training_rate) if champion_scores is None else champion_scores
    ours, theirs = (row_qualities(policy.metric, labels, scores) for scores in (challenger_scores, reference))
    return _decide(
        _Comparison(
            policy, traits, first, len(labels), len(np.unique(dates)), len(np.unique(labels)), float(ours.mean()),
            float(theirs.mean()), float((ours - theirs).mean()), lower_bound(ours - theirs, dates, policy.confidence),
            calibration_error(labels, challenger_scores) - calibration_error(labels, reference),
            (auc(labels, challenger_scores), None if champion_scores is None else auc(labels, champion_scores)),
            _slices(policy, labels, challenger_scores, reference, slices, first),
        )
    )  # fmt: skip


def degenerate(scores: Floats) -> str:
    """Why these are no predictions, in words that follow a name; empty if they are."""
    wrong = ~((scores >= 0) & (scores <= 1))  # also true for what is no number
    if wrong.any():
        return f"answers {wrong.sum()} of {len(scores)} rows with what is no probability, such as {scores[wrong][0]:g}"
    if len(scores) > 1 and scores.min() == scores.max():
        return f"answers {scores[0]:.6g} to every one of {len(scores)} rows"
    return ""


def _decide(seen: _Comparison) -> GateResult:
    objections, doubts = list(_objections(seen)), list(_doubts(seen))
    decision = Decision.REJECT if objections else Decision.ASK if doubts else Decision.PROMOTE
    reason = "; ".join([_headline(seen), *(objections or doubts)])
    return GateResult(decision, reason, seen.advantage, seen.bound, seen.policy.margin, seen.slices)


def _objections(seen: _Comparison) -> Iterator[str]:
    policy, traits = seen.policy, seen.traits
    margin = max(0.0, policy.margin) if seen.first else policy.margin
    if seen.advantage <= margin:
        yield f"that is not more than the margin of {margin:g}"
    if not seen.first:
        yield from _uncertain(seen)
        yield from _worse_slices(seen)
        yield from _miscalibrated(seen)
    if traits.latency is not None and traits.latency > policy.latency:
        yield f"an answer to one row takes {traits.latency:.3g} s (latency {policy.latency:g} s)"
    if traits.size is not None and traits.size > policy.size:
        yield f"its archive has {traits.size / 1e6:,.0f} MB (size {policy.size / 1e6:,.0f} MB)"


def _uncertain(seen: _Comparison) -> Iterator[str]:
    if seen.bound is None:
        yield (
            f"rows of {seen.days} days do not show how much days differ, at least {MIN_CLUSTERS} are needed: "
            "lengthen training.holdout"
        )
    elif seen.advantage > (least := min(0.0, seen.policy.margin)) >= seen.bound:
        chance = "chance" if least == 0 else f"worse than the margin of {least:g} allows"
        yield f"it may be {chance}: with {seen.policy.confidence:.0%} confidence it is only {seen.bound:+.4f}"


def _worse_slices(seen: _Comparison) -> Iterator[str]:
    tolerance = seen.policy.slice_tolerance
    worse = [(part.gain, part) for part in seen.slices if part.gain is not None and part.gain < -tolerance]
    for gain, part in sorted(worse, key=lambda found: found[0])[:_NAMED]:
        yield (
            f"{part.column}={part.value or 'missing'} becomes {-gain:.4f} worse on {part.rows} rows "
            f"(tolerance {tolerance:g})"
        )
    if len(worse) > _NAMED:
        yield f"and so do {len(worse) - _NAMED} more"


def _miscalibrated(seen: _Comparison) -> Iterator[str]:
    """Only of a challenger: the constant that a first version is compared with is always well calibrated."""
    tolerance = seen.policy.calibration_tolerance
    if seen.miscalibrated > tolerance:
        yield (
            f"its probabilities are {seen.miscalibrated:.4f} further from what happens than the champion's "
            f"(calibration_tolerance {tolerance:g})"
        )


def _doubts(seen: _Comparison) -> Iterator[str]:
    """What the figures do not answer."""
    traits, (ours, theirs) = seen.traits, seen.areas
    if traits.champion_fault:
        yield f"the champion could not be compared: {traits.champion_fault}"
    yield from traits.changed_inputs
    if ours is not None and ours > _TOO_GOOD and (theirs is None or theirs <= _TOO_GOOD):
        yield f"an AUC of {ours:.4f} is too good to be believed: make sure that no feature gives the label away"
    if seen.classes < 2:
        yield "the holdout has rows of one class only, on which whoever predicts it always looks best"
    rate, before = traits.training_rate, traits.champion_rate
    if before is not None and max(rate, before) > _OTHER_RATE * min(rate, before):
        yield f"label 1 has {rate:.1%} of the rows that it learned from, and {before:.1%} of the champion's"


def _headline(seen: _Comparison) -> str:
    name, sign = ("log-loss", -1) if seen.policy.metric == "log_loss" else ("AUC", 1)
    ours, theirs = sign * seen.challenger, sign * seen.reference
    against = f"predicting {seen.traits.training_rate:.1%} for every row" if seen.first else "the champion"
    who = "first version" if seen.first and not seen.traits.champion_fault else "challenger"
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
