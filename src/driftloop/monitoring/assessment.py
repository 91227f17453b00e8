"""Judge one window: is the world as the version knows it, has it moved, or is the feed broken?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftloop.data.decoded import SCORE
from driftloop.data.windows import Window
from driftloop.monitoring import advice
from driftloop.monitoring.baseline import Baseline, Reading
from driftloop.monitoring.bins import Bins, CategoryBins, Counts, NumericBins
from driftloop.monitoring.faults import Fault, find_faults
from driftloop.monitoring.moments import NO_MOMENTS
from driftloop.monitoring.outcomes import Outcomes
from driftloop.monitoring.profile import Profile, merge
from driftloop.monitoring.report import (
    DriftReport,
    FeatureReport,
    Histogram,
    Rule,
    RuleName,
    SliceReport,
    Summary,
    Verdict,
)
from driftloop.monitoring.statistics import Floats, kolmogorov_smirnov, psi, wasserstein

_BITS, _NATS = "bits", "nats per row"


@dataclass(frozen=True)
class Labelled:
    """Labelled predictions of the last windows together."""

    outcomes: Outcomes
    coverage: float
    """Share of the predictions in these windows that have their label."""


@dataclass(frozen=True)
class _Span:
    """The windows that are judged together."""

    profile: Profile
    share: float
    """Their number, as a share of those that the limits are for."""
    settled: bool
    """Whether there are enough to hold them against the limits."""
    broken: list[Fault]
    """Faults of the last window."""


def assess(
    baseline: Baseline,
    profiles: Sequence[Profile],
    labelled: Labelled | None,
    *,
    model: str,
    version: int,
    window: Window,
    min_rows: int,
    smoothing: int,
) -> DriftReport:
    """Judge one window.

    What is broken shows in one window; how far the world has moved shows better in several together, since days differ
    from each other more than weeks do. Windows that were broken or have too few rows are left out of the several, and
    the limits rise with what is left out.

    Args:
        profiles: traffic of the last windows in the baseline's cells, oldest first, the judged one last. Drift is
            judged if there are ``smoothing`` of them, for which the limits were set.
        labelled: labelled predictions of the last windows; None if there are not yet enough.
    """
    current = profiles[-1]
    enough = current.rows >= min_rows
    span = _span(baseline, profiles, min_rows, smoothing)
    rules = _rules(baseline, span, labelled) if enough and not span.broken else []
    scores = {rule.name: rule.score for rule in rules}
    features = _features(baseline, span) if current.rows else []
    verdict = _verdict(enough, span, rules)
    return DriftReport(
        model=model,
        version=version,
        baseline=baseline.id,
        window=window,
        rows=current.rows,
        verdict=verdict,
        reasons=_reasons(verdict, span, rules, features, current.rows, min_rows)
        or [f"version {version} has seen {len(profiles)} of the {smoothing} windows that drift is judged on"],
        next_steps=advice.next_steps(model, verdict, rules, span.broken, current.rows),
        rules=rules,
        faults=span.broken,
        input_drift=scores.get(RuleName.INPUT_DRIFT),
        prediction_drift=scores.get(RuleName.PREDICTION_DRIFT),
        estimated_loss=scores.get(RuleName.ESTIMATED_LOSS),
        quality_loss=scores.get(RuleName.OBSERVED_QUALITY),
        labelled_rows=labelled.outcomes.total if labelled else 0,
        coverage=labelled.coverage if labelled else None,
        usual=baseline.usual,
        estimated=baseline.estimate(span.profile) if current.rows else None,
        observed=labelled.outcomes.performance() if labelled else None,
        features=features,
        predictions=_predictions(baseline, span.profile) if current.rows else None,
        slices=_slices(baseline, span, min_rows),
        restated=[],
    )


def _span(baseline: Baseline, profiles: Sequence[Profile], min_rows: int, smoothing: int) -> _Span:
    current = profiles[-1]
    broken = faults(baseline, current) if current.rows >= min_rows else []
    settled = current.rows >= min_rows and not broken and len(profiles) >= smoothing
    earlier = [p for p in profiles[:-1] if p.rows >= min_rows and not faults(baseline, p)] if settled else []
    sound = [*earlier, current]
    return _Span(merge(baseline.bins, sound), len(sound) / smoothing, settled, broken)


def faults(baseline: Baseline, profile: Profile) -> list[Fault]:
    """What is broken upstream in one window."""
    return find_faults(baseline.bins, baseline.reference, profile, list(baseline.importance), baseline.steady)


def _rules(baseline: Baseline, span: _Span, labelled: Labelled | None) -> list[Rule]:
    readings: list[tuple[RuleName, Reading, str]] = []
    if span.settled:
        readings = [
            (RuleName.INPUT_DRIFT, baseline.judge_inputs(span.profile, span.share), _BITS),
            (RuleName.PREDICTION_DRIFT, baseline.judge_predictions(span.profile, span.share), _BITS),
        ]
        estimate = baseline.judge_estimate(span.profile, span.share)
        if estimate is not None:
            readings.append((RuleName.ESTIMATED_LOSS, estimate, _NATS))
    if labelled is not None:
        readings.append((RuleName.OBSERVED_QUALITY, baseline.judge_quality(labelled.outcomes), _NATS))
    # An estimate speaks until labels do: it takes scores at the baseline's word, and labels may say otherwise.
    silent = {RuleName.ESTIMATED_LOSS} if labelled is not None else set()
    return [
        Rule(name, r.value, r.limit, r.score, r.score >= 1 and name not in silent, unit) for name, r, unit in readings
    ]


def _verdict(enough: bool, span: _Span, rules: list[Rule]) -> Verdict:
    if not enough:
        return Verdict.NOT_ENOUGH_DATA
    if span.broken:
        return Verdict.BROKEN_UPSTREAM
    if any(rule.fired for rule in rules):
        return Verdict.SHIFTED
    return Verdict.STABLE if span.settled else Verdict.NOT_ENOUGH_DATA


def _reasons(
    verdict: Verdict, span: _Span, rules: list[Rule], features: list[FeatureReport], rows: int, min_rows: int
) -> list[str]:
    """Why; nothing if the only reason is that the version is new."""
    if rows < min_rows:
        return [f"{rows} rows, and at least {min_rows} are needed"]
    if span.broken:
        return [fault.reason for fault in span.broken]
    if verdict is Verdict.STABLE:
        over = [rule for rule in rules if rule.score >= 1]
        if not over:
            return ["every score is below its limit"]
        return [f"the {rule.name} is {rule.score:.2f} times its limit, but labels say otherwise" for rule in over]
    return [advice.reason(rule, features) for rule in rules if rule.fired]


def _features(baseline: Baseline, span: _Span) -> list[FeatureReport]:
    readings = {name: baseline.judge_feature(name, span.profile, span.share) for name in baseline.importance}
    total = sum(baseline.importance[name] * reading.value for name, reading in readings.items()) or 1.0
    reports = [
        _feature(baseline, span.profile, name, reading, baseline.importance[name] * reading.value / total)
        for name, reading in readings.items()
    ]
    return sorted(reports, key=lambda report: (-report.cause, report.name))


def _feature(baseline: Baseline, profile: Profile, name: str, reading: Reading, cause: float) -> FeatureReport:
    bins, usual, now = baseline.bins[name], baseline.reference.counts[name], profile.counts[name]
    numeric = isinstance(bins, NumericBins) and now[:-1].sum() > 0 and usual[:-1].sum() > 0
    return FeatureReport(
        name=name,
        importance=baseline.importance[name],
        divergence=reading.value,
        score=reading.score,
        cause=cause,
        statistic="jensen_shannon",
        psi=psi(now, usual),
        ks=kolmogorov_smirnov(now[:-1], usual[:-1]) if numeric else None,
        wasserstein=_moved(bins, baseline.reference, profile, name) if numeric else None,
        cells=bins.labels,
        before=_shares(usual),
        after=_shares(now),
        summary=_summary(bins, baseline.reference, profile, name) if isinstance(bins, NumericBins) else None,
    )


def _moved(bins: Bins, usual: Profile, now: Profile, name: str) -> float | None:
    """Earth mover's distance, bounded by the extremes of both sides where they are known."""
    if not isinstance(bins, NumericBins):
        return None
    both = usual.moments.get(name, NO_MOMENTS) + now.moments.get(name, NO_MOMENTS)
    return wasserstein(now.counts[name], usual.counts[name], bins.edges, both.low, both.high)


def _summary(bins: NumericBins, usual: Profile, now: Profile, name: str) -> dict[str, Summary] | None:
    summaries = {}
    for when, profile in (("before", usual), ("after", now)):
        moments = profile.moments.get(name)
        if moments is None:
            return None
        missing = 1 - moments.count / profile.rows if profile.rows else 0.0
        summaries[when] = Summary(
            moments.mean(bins), moments.deviation(bins), moments.low, moments.high, round(missing, 6)
        )
    return summaries


def _predictions(baseline: Baseline, profile: Profile) -> Histogram:
    usual, now = baseline.reference.counts[SCORE], profile.counts[SCORE]
    return Histogram(baseline.bins[SCORE].labels, _shares(usual), _shares(now))


def _slices(baseline: Baseline, span: _Span, min_rows: int) -> list[SliceReport]:
    """Values of the declared slices that have enough rows, the worst first."""
    reports = []
    width = len(baseline.bins[SCORE].labels)
    centres = _centres(baseline.bins[SCORE])
    for column, joint in span.profile.joint.items():
        bins = baseline.bins[column]
        if column not in baseline.reference.joint or not isinstance(bins, CategoryBins):
            continue
        usual, now = baseline.reference.joint[column].reshape(-1, width), joint.reshape(-1, width)
        known = [
            place
            for place in range(len(bins.values))
            if now[place].sum() >= min_rows and usual[place].sum() >= min_rows
        ]
        for place in known:
            reading = baseline.judge_slice(now[place], usual[place], len(known), span.share)
            reports.append(
                SliceReport(
                    column, bins.values[place], int(now[place].sum()),
                    round(float(usual[place].sum() / usual.sum()), 6), round(float(now[place].sum() / now.sum()), 6),
                    reading.value, reading.score, _mean(usual[place], centres), _mean(now[place], centres),
                )
            )  # fmt: skip
    return sorted(reports, key=lambda report: (-report.score, report.column, report.value))


def _centres(bins: Bins) -> Floats:
    """Middle of each cell of a probability; the outermost edges are 0 and 1, and nothing lies beyond them."""
    edges = np.asarray(bins.edges if isinstance(bins, NumericBins) else (0.0, 1.0))
    return np.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:], [0.0]])


def _mean(counts: Counts, centres: Floats) -> float:
    return round(float((counts * centres).sum() / counts.sum()), 6)


def _shares(counts: Counts) -> list[float]:
    return [round(share, 6) for share in (counts / max(1, counts.sum())).tolist()]
