"""What one run of the loop left behind, as the report page needs it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError

from driftloop.monitoring.report import Verdict
from driftloop.retraining.episode import Status


class RecordError(ValueError):
    """A record that cannot be read; the message names the source, the place and the reason."""


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


Moment = Annotated[datetime, AfterValidator(_utc)]
"""Time in UTC; a time without a zone is taken as UTC."""
Text = Annotated[str, BeforeValidator(_or_empty)]
"""Text where null means that there is nothing to say."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Data(_Part):
    """The traffic that was replayed."""

    rows_replayed: int
    first_day: date
    last_day: date


class Stack(_Part):
    """One deployed CloudFormation stack."""

    name: str
    resources: int
    status: str


class Episode(_Part):
    """One retraining, or the refusal of one."""

    id: str
    trigger: str
    reason: Text = ""
    opened_at: Moment
    status: Status
    outcome: Text = ""
    """How it ended, in words, where the ledger's entry is at hand."""
    pipeline_execution_arn: Text = ""
    model_package_arn: Text = ""


class Promotion(_Part):
    """What the gate decided about one registered version."""

    model_package_arn: str
    metric: str
    champion: FiniteFloat | None
    challenger: FiniteFloat
    decision: str
    at: Moment


class Quality(_Part):
    """Log-loss in nats per row, lower is better; AUC is null where a window holds one class only."""

    log_loss: FiniteFloat
    auc: FiniteFloat | None = None


class QualityWindow(_Part):
    """One day: the version that served, and the first version on the same rows."""

    window_start: Moment
    rows: int = Field(gt=0)
    served: Quality
    static: Quality


class Timings(_Part):
    """Seconds of real time."""

    boot: FiniteFloat
    synth: FiniteFloat
    deploy: FiniteFloat
    first_training: FiniteFloat
    replay: FiniteFloat
    total: FiniteFloat


class Summary(_Part):
    """The run in numbers (``summary.json``)."""

    model: str
    data: Data
    stacks: tuple[Stack, ...]
    episodes: tuple[Episode, ...]
    promotions: tuple[Promotion, ...]
    quality: tuple[QualityWindow, ...]
    timings_s: Timings


class Interval(_Part):
    """Half-open time interval."""

    start: Moment
    end: Moment


class FeatureScore(_Part):
    """One feature in one window; ``score`` is 1.0 at the limit, shares are per cell."""

    name: str
    importance: FiniteFloat
    score: FiniteFloat
    cause: FiniteFloat
    cells: tuple[str, ...]
    before: tuple[FiniteFloat, ...]
    after: tuple[FiniteFloat, ...]


class Report(_Part):
    """One drift report (``DriftReport.to_dict``)."""

    window: Interval
    version: int
    verdict: Verdict
    reasons: tuple[str, ...]
    input_drift: FiniteFloat | None
    prediction_drift: FiniteFloat | None
    quality_loss: FiniteFloat | None
    features: tuple[FeatureScore, ...]


class AlarmChange(_Part):
    """One alarm went from one state to another."""

    alarm: str
    at: Moment
    old: str
    new: str
    reason: Text = ""


class SliceScore(_Part):
    """Metric of both versions on the holdout rows of one slice; null where it is not defined."""

    rows: int
    challenger: FiniteFloat | None
    champion: FiniteFloat | None = None


class Gate(_Part):
    """The decision and what it rests on; advantage, bound and margin are in the metric's unit, positive is better."""

    decision: str
    reason: str
    advantage: FiniteFloat | None = None
    lower_bound: FiniteFloat | None = None
    margin: FiniteFloat | None = None


class EvaluationDetails(_Part):
    """``evaluation.json``."""

    metric: str
    rows: int
    challenger: Quality
    champion: Quality | None = None
    baseline_rate_log_loss: FiniteFloat
    slices: dict[str, dict[str, SliceScore]] = {}
    gate: Gate
    holdout: Interval


class Evaluation(_Part):
    """One challenger against the champion of its time."""

    model_package_arn: Text = ""
    episode_id: Text = ""
    evaluation: EvaluationDetails


class LoopRecord(_Part):
    """Everything that the report page shows."""

    summary: Summary
    reports: tuple[Report, ...]
    alarms: tuple[AlarmChange, ...]
    evaluations: tuple[Evaluation, ...]

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "record") -> LoopRecord:
        """Read a record from JSON text with the keys summary, reports, alarms and evaluations.

        Raises RecordError that names the source, each faulty place and the reason.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            faults = [f"{source}: {_place(fault['loc'])}: {fault['msg']}" for fault in error.errors()[:5]]
            raise RecordError("\n".join(faults)) from error

    def to_json(self) -> str:
        """The other way round."""
        return self.model_dump_json()


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the whole text"
