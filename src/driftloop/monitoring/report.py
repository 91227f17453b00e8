"""The drift report: what one window showed, with the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from driftloop.data.windows import Window, iso
from driftloop.monitoring.baseline import Baseline
from driftloop.monitoring.bins import NumericBins
from driftloop.monitoring.outcomes import Outcomes
from driftloop.monitoring.profile import Profile, merge

BROKEN_SHARE = 0.5
USUAL_SHARE = 0.1


class Verdict(StrEnum):
    """What the evidence says."""

    STABLE = "stable"
    SHIFTED = "shifted"
    BROKEN_UPSTREAM = "broken upstream"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True)
class FeatureReport:
    """One feature in the windows that drift was judged on, or in the one window where it was not."""

    name: str
    importance: float
    divergence: float
    score: float
    """Divergence / limit."""
    cause: float
    """Share of the weighted divergence that is due to this feature."""
    cells: list[str]
    before: list[float]
    after: list[float]


@dataclass(frozen=True)
class DriftReport:
    """One window of one version. Scores are value / limit; None where there is nothing to say."""

    model: str
    version: int
    baseline: str
    window: Window
    rows: int
    verdict: Verdict
    reasons: list[str]
    input_drift: float | None
    prediction_drift: float | None
    quality_loss: float | None
    labelled_rows: int
    features: list[FeatureReport]

    def to_dict(self) -> dict[str, Any]:
        """Plain form for JSON."""
        return {**asdict(self), "window": {"start": iso(self.window.start), "end": iso(self.window.end)}}


def assess(
    baseline: Baseline,
    profiles: Sequence[Profile],
    outcomes: Outcomes | None,
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
        outcomes: labelled predictions of the last windows together; None if there are not yet enough.
    """
    current = profiles[-1]
    broken = _broken(baseline, current) if current.rows >= min_rows else []
    trusted = current.rows >= min_rows and not broken
    settled = trusted and len(profiles) >= smoothing
    sound = [p for p in profiles if p.rows >= min_rows and not _broken(baseline, p)] if settled else [current]
    span, share = merge(baseline.bins, sound), len(sound) / smoothing
    inputs = baseline.input_score(span, share) if settled else None
    predictions = baseline.prediction_score(span, share) if settled else None
    quality = baseline.quality_score(outcomes) if trusted and outcomes else None
    features = _features(baseline, span, share) if current.rows else []
    over = _over_limit(inputs, predictions, quality, features)
    if current.rows < min_rows:
        verdict, reasons = Verdict.NOT_ENOUGH_DATA, [f"{current.rows} rows, and at least {min_rows} are needed"]
    elif broken:
        verdict, reasons = Verdict.BROKEN_UPSTREAM, broken
    elif over:
        verdict, reasons = Verdict.SHIFTED, over
    elif not settled:
        seen = f"version {version} has seen {len(profiles)} of the {smoothing} windows that drift is judged on"
        verdict, reasons = Verdict.NOT_ENOUGH_DATA, [seen]
    else:
        verdict, reasons = Verdict.STABLE, ["every score is below its limit"]
    labelled = outcomes.total if outcomes else 0
    return DriftReport(
        model, version, baseline.id, window, current.rows, verdict, reasons, inputs, predictions, quality, labelled,
        features,
    )  # fmt: skip


def _over_limit(
    inputs: float | None, predictions: float | None, quality: float | None, features: list[FeatureReport]
) -> list[str]:
    reasons = []
    if inputs is not None and inputs >= 1:
        causes = ", ".join(f"{f.name} ({f.cause:.0%})" for f in features[:3])
        reasons.append(f"inputs moved {inputs:.2f} times as far as the limit, mostly {causes}")
    if predictions is not None and predictions >= 1:
        reasons.append(f"predictions moved {predictions:.2f} times as far as the limit")
    if quality is not None and quality >= 1:
        reasons.append(f"loss that recalibration would win back is {quality:.2f} times its limit")
    return reasons


def _features(baseline: Baseline, profile: Profile, share: float) -> list[FeatureReport]:
    divergences = {name: baseline.feature_drift(name, profile) for name in baseline.importance}
    total = sum(baseline.importance[name] * value for name, value in divergences.items()) or 1.0
    reports = [
        FeatureReport(
            name, baseline.importance[name], value, baseline.feature_score(name, profile, share),
            baseline.importance[name] * value / total, baseline.bins[name].labels,
            _shares(baseline.reference, name), _shares(profile, name),
        )
        for name, value in divergences.items()
    ]  # fmt: skip
    return sorted(reports, key=lambda report: (-report.cause, report.name))


def _shares(profile: Profile, name: str) -> list[float]:
    counts = profile.counts[name]
    return [round(share, 6) for share in (counts / max(1, counts.sum())).tolist()]


def _broken(baseline: Baseline, profile: Profile) -> list[str]:
    """Faults of the feed rather than changes of the world: retraining would learn the fault."""
    faults = []
    for name in baseline.importance:
        before, after = _shares(baseline.reference, name), _shares(profile, name)
        if after[-1] >= BROKEN_SHARE and before[-1] < USUAL_SHARE:
            faults.append(f"{name} is missing in {after[-1]:.0%} of rows (usually {before[-1]:.1%})")
        outside = (0, -2) if isinstance(baseline.bins[name], NumericBins) else (-2,)
        now, usual = sum(after[i] for i in outside), sum(before[i] for i in outside)
        if now >= BROKEN_SHARE and usual < USUAL_SHARE:
            what = "outside what can be real" if len(outside) == 2 else "a category that training did not know"
            faults.append(f"{name} is {what} in {now:.0%} of rows (usually {usual:.1%})")
    return faults
