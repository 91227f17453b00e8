"""The drift report: what one window showed, with the reasons. Its plain form is format 2."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from driftloop.data.windows import Window, iso
from driftloop.monitoring.faults import Fault
from driftloop.monitoring.outcomes import Outcomes
from driftloop.monitoring.performance import Performance

FORMAT = 2


class Verdict(StrEnum):
    """What the evidence says."""

    STABLE = "stable"
    SHIFTED = "shifted"
    BROKEN_UPSTREAM = "broken upstream"
    NOT_ENOUGH_DATA = "not enough data"


class RuleName(StrEnum):
    """What is held against a limit."""

    INPUT_DRIFT = "input drift"
    PREDICTION_DRIFT = "prediction drift"
    ESTIMATED_LOSS = "estimated loss"
    OBSERVED_QUALITY = "observed quality"


@dataclass(frozen=True)
class Rule:
    """One value against its limit."""

    name: RuleName
    value: float
    limit: float
    score: float
    """Value / limit."""
    fired: bool
    unit: str


@dataclass(frozen=True)
class Summary:
    """A column of numbers in a few numbers; None where it has no values."""

    mean: float | None
    deviation: float | None
    low: float | None
    high: float | None
    missing: float
    """Share of rows."""


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
    statistic: str
    """What ``divergence`` is; the limit is set for it. The statistics below are for people who think in them."""
    psi: float
    ks: float | None
    wasserstein: float | None
    """In the column's unit; None for categories, as ``ks``."""
    cells: list[str]
    before: list[float]
    after: list[float]
    summary: dict[str, Summary] | None
    """``before`` and ``after``, for numbers."""


@dataclass(frozen=True)
class SliceReport:
    """Predictions for one value of a declared slice."""

    column: str
    value: str
    rows: int
    share_before: float
    share_after: float
    divergence: float
    score: float
    mean_before: float
    mean_after: float


@dataclass(frozen=True)
class Histogram:
    """Shares before and after in named cells."""

    cells: list[str]
    before: list[float]
    after: list[float]


@dataclass(frozen=True)
class WindowQuality:
    """One window's labelled predictions so far."""

    window: Window
    rows: int
    """Predictions that were counted."""
    outcomes: Outcomes

    def to_dict(self) -> dict[str, Any]:
        """Plain form for JSON."""
        labelled = self.outcomes.total
        return {
            "window": _plain(self.window),
            "rows": self.rows,
            "labelled_rows": labelled,
            "coverage": min(1.0, labelled / self.rows) if self.rows else None,
            "observed": self.outcomes.performance().to_dict() if labelled else None,
        }


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
    next_steps: list[str]
    rules: list[Rule]
    faults: list[Fault]
    input_drift: float | None
    prediction_drift: float | None
    estimated_loss: float | None
    quality_loss: float | None
    labelled_rows: int
    coverage: float | None
    """Share of the predictions of the labelled windows that have their label."""
    usual: Performance | None
    """Of the version's out-of-time predictions, when it was made."""
    estimated: Performance | None
    """Of the judged windows, without labels."""
    observed: Performance | None
    """Of the last windows whose labels can be known."""
    features: list[FeatureReport]
    predictions: Histogram | None
    slices: list[SliceReport]
    restated: list[WindowQuality]
    """Observed quality of the last windows by what labels have arrived, oldest first."""
    superseded: bool = False
    """Whether another version serves by now. Then the scores are for people: an alarm would blame the other one."""

    def to_dict(self) -> dict[str, Any]:
        """Plain form for JSON."""
        parts = {item.name: _plain(getattr(self, item.name)) for item in fields(self)}
        return {"format": FORMAT, **parts}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | tuple):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Window):
        return {"start": iso(value.start), "end": iso(value.end)}
    if isinstance(value, WindowQuality):
        return value.to_dict()
    # Several times as fast as asdict, which copies what is within.
    return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
