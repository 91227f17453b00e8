"""One drift report as the page reads it (``DriftReport.to_dict``): format 2, and format 1 from before it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from driftloop.monitoring.report import Verdict
from driftloop.reports.record import FeatureScore, Interval, RecordError

FORMATS = (1, 2)
SHOWN_FAULTS = 5

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Performance = dict[str, FiniteFloat | None]
"""Measure -> value; None where it is not defined."""

_Matched = TypeVar("_Matched", bound="FeatureDrift | Predictions")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Rule(_Part):
    """One rule: ``score`` is value / limit, and the rule fires from 1.0 on; None where there was nothing to judge."""

    name: str
    value: FiniteFloat | None = None
    limit: FiniteFloat | None = None
    score: FiniteFloat | None = None
    fired: bool = False
    unit: str = ""


class NamedFault(_Part):
    """What broke upstream; ``share`` of the rows."""

    kind: str
    columns: tuple[str, ...]
    share: Share
    reason: str


class Moments(_Part):
    """One column of numbers on one side; ``missing`` is a share of the rows, the rest is in the column's unit."""

    mean: FiniteFloat | None = None
    deviation: FiniteFloat | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    missing: FiniteFloat | None = None


class BeforeAfter(_Part):
    """Training against the window."""

    before: Moments = Moments()
    after: Moments = Moments()


class FeatureDrift(FeatureScore):
    """One feature; the divergence is Jensen-Shannon's, in bits. Statistics are None in format 1 or where undefined."""

    before: tuple[Share, ...]
    after: tuple[Share, ...]
    divergence: FiniteFloat
    psi: FiniteFloat | None = None
    wasserstein: FiniteFloat | None = None
    ks: FiniteFloat | None = None
    summary: BeforeAfter | None = None

    @model_validator(mode="after")
    def _one_share_per_cell(self) -> Self:
        return _matching(self)


class Predictions(_Part):
    """Histogram of the model's output; shares per cell."""

    cells: tuple[str, ...]
    before: tuple[Share, ...]
    after: tuple[Share, ...]

    @model_validator(mode="after")
    def _one_share_per_cell(self) -> Self:
        return _matching(self)


class SliceDrift(_Part):
    """Predictions within one value of a declared slice."""

    column: str
    value: str
    rows: int
    share_before: FiniteFloat | None = None
    share_after: FiniteFloat | None = None
    divergence: FiniteFloat | None = None
    score: FiniteFloat | None = None
    mean_before: FiniteFloat | None = None
    mean_after: FiniteFloat | None = None


class Restated(_Part):
    """One earlier window's quality as it was known when a later window was judged: labels go on arriving."""

    window: Interval
    rows: int
    labelled_rows: int = 0
    coverage: FiniteFloat | None = None
    observed: Performance | None = None


class WindowReport(_Part):
    """What one window showed. Scores are value / limit; None where there is nothing to say."""

    format: int = 1
    model: str
    version: int
    baseline: str = ""
    window: Interval
    rows: int = Field(ge=0)
    verdict: Verdict
    reasons: tuple[str, ...]
    next_steps: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    faults: tuple[NamedFault, ...] = ()
    input_drift: FiniteFloat | None
    prediction_drift: FiniteFloat | None
    estimated_loss: FiniteFloat | None = None
    quality_loss: FiniteFloat | None
    labelled_rows: int = 0
    coverage: FiniteFloat | None = None
    estimated: Performance | None = None
    usual: Performance | None = None
    observed: Performance | None = None
    features: tuple[FeatureDrift, ...]
    restated: tuple[Restated, ...] = ()
    predictions: Predictions | None = None
    slices: tuple[SliceDrift, ...] = ()


def _matching(part: _Matched) -> _Matched:
    if not len(part.cells) == len(part.before) == len(part.after):
        sizes = f"{len(part.cells)} cells, {len(part.before)} shares before, {len(part.after)} after"
        raise ValueError(f"a histogram has one share per cell, and here are {sizes}")
    return part


def read_report(text: str | bytes, source: str = "drift report") -> WindowReport:
    """Read a drift report. Raises RecordError that names the source, each faulty place and the reason."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{source}: not JSON: {error}") from error
    _check_format(value, source)
    try:
        return WindowReport.model_validate(value)
    except ValidationError as error:
        faults = [f"{source}: {_place(fault['loc'])}: {fault['msg']}" for fault in error.errors()[:SHOWN_FAULTS]]
        raise RecordError("\n".join(faults)) from error


def _check_format(value: Any, source: str) -> None:
    if not isinstance(value, dict):
        raise RecordError(f"{source}: a drift report is a JSON object, and this is {type(value).__name__}")
    form = value.get("format", 1)
    if form not in FORMATS:
        known = " and ".join(str(number) for number in FORMATS)
        raise RecordError(f"{source}: format {form!r} is not known; this version reads {known}; update driftloop")


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the whole report"
