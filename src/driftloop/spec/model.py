"""The model file: everything that one model needs, in one place (`models/<name>/model.yaml`)."""

from __future__ import annotations

import difflib
import math
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from driftloop.spec.catalog import INSTANCE_TYPES, TRAINING_IMAGES
from driftloop.spec.sizes import Size
from driftloop.spec.units import Duration, Length, Percent, write_duration

# SageMaker names cannot end in a hyphen, and an IAM role name (64 characters) must hold the model, purpose and region.
NAME, COLUMN, EMAIL = r"^[a-z][a-z0-9_]{0,26}[a-z0-9]$", r"^[A-Za-z_][A-Za-z0-9_]{0,63}$", r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
SCRIPT = r"^[A-Za-z_][A-Za-z0-9_]{0,60}\.py$"
HINTS = {
    NAME: "2 to 28 lower-case letters, digits and underscores, with a letter first and no underscore last",
    COLUMN: "up to 64 letters, digits and underscores, not a digit first",
    EMAIL: "an e-mail address such as ops@example.com",
    SCRIPT: "the name of a Python file in the model's folder, such as train.py",
}
"""Pattern -> what it means, for people."""

RESERVED_COLUMNS = frozenset({"object", "score"})
"""Columns that the kit itself adds to decoded rows."""
RESERVED_NAMES = frozenset({"platform"})
"""Models of this name would share the name of the platform's stack."""

GATE_DAYS = 3
"""Days that the gate compares at least; see driftloop.promotion.gate."""
UNSEEN_SHARE = 0.6
"""Share of the training window that has out-of-time predictions; see pipelines.steps.out_of_time."""
MAX_ROLLOUT = timedelta(hours=4)
"""For as long a decision about the next version waits in its queue; see infra.function_catalog."""
MIN_RUNS = 5
"""Runs of windows from which a limit is set at least; see driftloop.monitoring.calibration."""

Name = Annotated[str, StringConstraints(pattern=NAME)]
Column = Annotated[str, StringConstraints(pattern=COLUMN)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _fault(place: tuple[str, ...], reason: str) -> PydanticCustomError:
    """A fault of a deeper place than the part that was being checked."""
    return PydanticCustomError("model_file", "{reason}", {"reason": reason, "place": place})


def _known(kind: str, known: tuple[str, ...]) -> BeforeValidator:
    def check(value: object) -> object:
        if value not in known:
            close = difflib.get_close_matches(str(value), known, n=3) or known[:3]
            raise ValueError(f"{value!r} is not a {kind} that driftloop knows; try {' or '.join(close)}")
        return value

    return BeforeValidator(check)


Instance = Annotated[
    str, _known("SageMaker instance type", INSTANCE_TYPES), Field(json_schema_extra={"enum": list(INSTANCE_TYPES)})
]
Image = Annotated[
    str, _known("training image", tuple(TRAINING_IMAGES)), Field(json_schema_extra={"enum": list(TRAINING_IMAGES)})
]


def _holdout(value: timedelta) -> timedelta:
    if value < timedelta(days=GATE_DAYS):
        raise ValueError(
            f"{write_duration(value)} is too short: the gate compares days and needs {GATE_DAYS}; write {GATE_DAYS}d or more"
        )
    return value


def _canary(share: float) -> float:
    if not 0.01 <= share <= 0.5:
        raise ValueError(f"{share:.3g} of the fleet is no canary; SageMaker takes 1% to 50%, such as 10%")
    return share


def _step(share: float) -> float:
    if not 0.1 <= share <= 0.5:
        raise ValueError(f"{share:.3g} of the fleet is no step; SageMaker takes 10% to 50%, such as 25%")
    return share


def _bake(value: timedelta) -> timedelta:
    if value > timedelta(hours=1):
        raise ValueError(f"{write_duration(value)} is longer than SageMaker bakes a rollout; write 1h or less")
    return value


def _shadow(value: timedelta) -> timedelta:
    if value.total_seconds() % 3600 or not timedelta(hours=1) <= value <= timedelta(days=7):
        raise ValueError(f"{write_duration(value)} is not whole hours from 1h to 7d, by which shadows are looked at")
    return value


def _minutes(value: timedelta) -> timedelta:
    if value.total_seconds() % 60:
        raise ValueError(f"{write_duration(value)} is not whole minutes, which is all that schedules know; write 14d")
    return value


class Feature(_Part):
    """One input column. In the file a bare type name is short for ``{type: name}``."""

    type: Literal["category", "integer", "number"]
    range: tuple[float, float] | None = Field(None, description="Smallest and largest value that can be real.")
    max_missing: Percent = Field(0.5, description="Share of missing values above which a data set is refused.")

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Feature:
        if self.range is not None and self.type == "category":
            raise ValueError("a category has no range; drop `range`, or make the feature a number or an integer")
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range {list(self.range)} is empty; write the smaller bound first")
        return self


def _widen(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


class Data(_Part):
    """Columns of the model: who a row is, when it happened, what is known and what was to be predicted."""

    id: Column = Field(description="Column that identifies a row; labels refer to it.")
    time: Column = Field(description="Event-time column, ISO-8601 in UTC; windows are cut on it.")
    label: Column = Field(description="Column to predict: 0 or 1.")
    label_delay: Duration = Field(description="How long after the event its label is usually known.")
    features: dict[Column, Annotated[Feature, BeforeValidator(_widen)]] = Field(
        min_length=1, description="Input columns, in the order of the request payload."
    )

    @model_validator(mode="after")
    def _roles_are_distinct(self) -> Data:
        for role in ("label", "id", "time"):
            if getattr(self, role) in self.features:
                why = (
                    "the model would see the answer" if role == "label" else "it says which row this is, not how it is"
                )
                raise _fault(("features", getattr(self, role)), f"this is the {role} column and {why}; remove it here")
        if len({self.id, self.time, self.label}) < 3:
            raise ValueError("id, time and label must be three different columns")
        return self

    @model_validator(mode="after")
    def _columns_are_free(self) -> Data:
        places: dict[str, tuple[str, ...]] = {self.id: ("id",), self.time: ("time",), self.label: ("label",)}
        places |= {name: ("features", name) for name in self.features}
        for taken in sorted(RESERVED_COLUMNS & places.keys()):
            raise _fault(places[taken], f"driftloop adds a column {taken!r} of its own; give yours another name")
        return self


class Tuning(_Part):
    """Which other hyperparameters are tried."""

    search: dict[str, Annotated[list[int | float | str | bool], Field(min_length=1)]] = Field(
        default_factory=dict, description="Hyperparameter -> values to try; none for no tuning."
    )
    trials: int = Field(10, ge=1, le=200, description="Draws at most, each of which is one fit more.")


class Training(_Part):
    """How a version is trained."""

    window: Length = Field(timedelta(days=60), description="Length of the training window, in event time.")
    holdout: Annotated[Length, AfterValidator(_holdout)] = Field(
        timedelta(days=7),
        description="Most recent stretch, kept for the gate: what is compared there was not trained on it; 3d or more.",
    )
    image: Image = "sklearn-1.9-0"
    instance: Instance = "ml.m5.large"
    max_runtime: Length = timedelta(hours=1)
    min_rows: int = Field(1000, ge=50, description="Fewer training rows than this fail the pipeline with the reason.")
    max_feature_auc: float = Field(
        0.98, gt=0.5, le=1, description="A feature that alone tells the label better is taken for a leak; 1 for none."
    )
    max_conflicts: Percent = Field(
        0.05, description="Share of rows with a twin (same time, same features) of the other label that is too many."
    )
    label_coverage: Percent = Field(
        0.5, description="Share of the usual labels that each day of the holdout must have; 0% for no check."
    )
    half_life: Length | None = Field(
        None, description="A row that is older than the newest by this much counts half as much; all alike without it."
    )
    script: Annotated[str, StringConstraints(pattern=SCRIPT)] | None = Field(
        None, description="Training code of your own, beside the model file: a module with a function `fit`."
    )
    seed: int = 20130101
    hyperparameters: dict[str, int | float | str | bool] = Field(default_factory=dict)
    tuning: Tuning = Tuning()


class Gate(_Part):
    """When a challenger may replace the champion."""

    metric: Literal["log_loss", "auc"] = "log_loss"
    margin: float = Field(
        0.0,
        ge=-1,
        description="How much better than the champion a challenger must be; below 0, how much worse it must not be.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="One-sided confidence of the paired comparison.")
    slices: tuple[Column, ...] = Field((), description="Category features on which no group may become worse.")
    slice_tolerance: float = Field(0.02, ge=0, description="How much worse a slice may become.")
    calibration_tolerance: float = Field(
        0.05, ge=0, le=1, description="How much further from what happens its probabilities may be, on average."
    )
    latency: Length = Field(timedelta(seconds=1), description="What an answer to one row may take, whole seconds.")
    size: Size = Field(10**9, description="What the model archive may have.", json_schema_extra={"default": "1GB"})


class Rollout(_Part):
    """How traffic moves to a new version."""

    strategy: Literal["canary", "linear", "all_at_once"] = "canary"
    canary: Annotated[Percent, AfterValidator(_canary)] = Field(0.1, description="1% to 50%.")
    step: Annotated[Percent, AfterValidator(_step)] = Field(0.25, description="Of a linear rollout, 10% to 50%.")
    bake: Annotated[Duration, AfterValidator(_bake)] = Field(timedelta(minutes=10), description="Up to 1h.")
    shadow: Annotated[Length, AfterValidator(_shadow)] | None = Field(
        None, description="How long a version is a shadow of the one that serves before it is rolled out; 1h to 7d."
    )
    tolerance: float = Field(
        0.05,
        ge=0,
        le=1,
        description="How much more than before the gate a new version's probabilities may differ, on average.",
    )

    @model_validator(mode="after")
    def _shares_fit_the_strategy(self) -> Rollout:
        for name, strategy in (("canary", "canary"), ("step", "linear")):
            if name in self.model_fields_set and self.strategy != strategy:
                raise _fault(
                    (name,), f"strategy {self.strategy} has no {name}; remove it, or write strategy: {strategy}"
                )
        return self

    @model_validator(mode="after")
    def _it_ends_in_time(self) -> Rollout:
        longest = (math.ceil(1 / self.step) + 2) * self.bake
        if self.strategy == "linear" and longest > MAX_ROLLOUT:
            raise ValueError(
                f"steps of {self.step:.0%} that bake for {write_duration(self.bake)} each may take {longest}, which is "
                f"longer than {write_duration(MAX_ROLLOUT)}: take larger steps or bake for less"
            )
        return self


class Batch(_Part):
    """How files of rows are answered."""

    every: Annotated[Length, AfterValidator(_minutes)] | None = Field(
        None, description="How often files of rows that wait in the live bucket are answered, whole minutes."
    )
    instance: Instance = Field("ml.m5.large", description="Of the jobs; there while they run.")
    count: int = Field(1, ge=1, le=20, description="Instances of a job, among which its files are divided.")

    @model_validator(mode="after")
    def _jobs_have_a_time(self) -> Batch:
        if self.every is None and self.model_fields_set - {"every"}:
            raise ValueError("`instance` and `count` are of jobs that answer files: say how often, with `every`")
        return self


class Serving(_Part):
    """How predictions are served."""

    mode: Literal["realtime", "serverless", "asynchronous"] = Field(
        "realtime",
        description="On instances that answer at once, on none while nobody asks, or on instances with a queue.",
    )
    instance: Instance = Field("ml.m5.large", description="Of modes realtime and asynchronous.")
    count: int = Field(1, ge=1, le=100, description="Instances, of modes realtime and asynchronous.")
    max_count: int | None = Field(
        None, ge=2, le=100, description="Instances at most: with it their number follows the requests, from `count` on."
    )
    requests: int = Field(600, ge=1, description="Requests a minute that one instance is to answer, with `max_count`.")
    memory: Literal["1GB", "2GB", "3GB", "4GB", "5GB", "6GB"] = Field("2GB", description="Of mode serverless.")
    concurrency: int = Field(5, ge=1, le=200, description="Requests at a time that are answered, of mode serverless.")
    http: bool = Field(
        False, description="A URL that takes JSON and CSV, signed with IAM; mode serverless always has it."
    )
    capture: Percent = Field(1.0, description="Share of requests that is captured for monitoring.")
    max_latency: Length | None = Field(
        None, description="Average time to an answer, whole seconds, above which an alarm rings and rollouts go back."
    )
    rollout: Rollout = Rollout()
    batch: Batch = Batch()

    @property
    def has_url(self) -> bool:
        """True if predictions can be asked for over HTTP."""
        return self.http or self.mode == "serverless"

    @model_validator(mode="after")
    def _settings_fit_the_mode(self) -> Serving:
        other = {
            "realtime": ("memory", "concurrency"),
            "serverless": ("instance", "count", "max_count", "requests"),
            "asynchronous": ("memory", "concurrency", "max_count", "requests", "http"),
        }[self.mode]
        for name in other:
            if name in self.model_fields_set:
                raise _fault((name,), f"mode {self.mode} has no {name}; remove it, or choose another mode")
        if "requests" in self.model_fields_set and self.max_count is None:
            raise _fault(
                ("requests",), "it says how many instances there are, up to max_count; write max_count, or drop it"
            )
        if self.max_count is not None and self.max_count <= self.count:
            raise _fault(
                ("max_count",), f"{self.max_count} is not above count ({self.count}); drop it, or write a larger one"
            )
        if self.rollout.shadow and (self.mode != "realtime" or self.max_count is not None):
            # SageMaker has shadows of instances only, and a number of them that changes is no comparison.
            what = "max_count" if self.mode == "realtime" else f"mode {self.mode}"
            raise _fault(("rollout", "shadow"), f"a shadow does not go with {what}; remove one of the two")
        chosen = self.rollout.model_fields_set & {"strategy", "canary", "step"}
        if self.mode == "serverless" and chosen and self.rollout.strategy != "all_at_once":
            raise _fault(
                ("rollout", min(chosen)),
                "SageMaker moves the traffic of mode serverless all at once; remove it, or write strategy: all_at_once",
            )
        return self


class Monitoring(_Part):
    """How traffic is watched."""

    window: Length = Field(timedelta(days=1), description="Length of a window; whole hours.")
    sensitivity: float = Field(
        0.01, gt=0, lt=0.5, description="False-alarm rate per window that the limits are set for."
    )
    min_rows: int = Field(200, ge=20, description="A window with fewer rows has the verdict 'not enough data'.")
    smoothing: int = Field(
        7, ge=1, le=60, description="Windows that drift and observed quality are judged on together."
    )
    datapoints: int = Field(3, ge=1, le=10, description="Windows at or over the limit that raise the alarm ...")
    of: int = Field(3, ge=1, le=10, description="... among this many.")
    spark_above: Size | None = Field(
        None, description="Backfills of more captured data than this run on Spark, for which a job is deployed."
    )

    @model_validator(mode="after")
    def _periods_fit(self) -> Monitoring:
        seconds = int(self.window.total_seconds())
        if seconds % 3600 or 86400 % seconds:
            raise ValueError(
                "window must be a whole number of hours that divides a day: 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d"
            )
        if self.datapoints > self.of:
            raise ValueError(f"datapoints ({self.datapoints}) cannot exceed of ({self.of})")
        if seconds * self.of > 7 * 86400:
            raise ValueError("CloudWatch looks back seven days at most: window times `of` must not exceed 7d")
        return self


class Budget(_Part):
    """What retraining may cost."""

    per_day: int = Field(2, ge=0, description="Retrainings in any 24 hours.")
    per_month: int = Field(8, ge=0, description="Retrainings in any 30 days.")
    cost: float = Field(0.0, ge=0, description="What one retraining costs about, in your currency.")
    cost_per_month: float | None = Field(
        None, ge=0, description="What retrainings may cost in any 30 days; needs `cost`."
    )

    @model_validator(mode="after")
    def _cost_is_known(self) -> Budget:
        if self.cost_per_month is not None and not self.cost:
            raise ValueError("`cost_per_month` needs `cost`: say what one retraining costs about")
        return self


class Retraining(_Part):
    """When a retraining may start by itself."""

    on: tuple[Literal["drift", "quality", "schedule", "data", "code"], ...] = ("drift", "quality")
    every: Annotated[Length, AfterValidator(_minutes)] | None = Field(
        None, description="Period of scheduled retraining, whole minutes; needs `schedule` in `on`."
    )
    new_rows: int | None = Field(
        None,
        ge=1,
        description="Labelled rows that must be new before a retraining starts by itself; `data` in `on` starts one.",
    )
    cooldown: Duration = Field(timedelta(days=3), description="Quiet time after an episode has ended.")
    give_up_after: int = Field(
        5, ge=1, le=20, description="Retrainings in a row that brought nothing, after which a person is asked."
    )
    budget: Budget = Budget()
    approval: Literal["auto", "manual", "second_person"] = Field(
        "auto", description="Who approves a version that passed the gate; a second person is not who asked for it."
    )

    @model_validator(mode="after")
    def _schedule_has_period(self) -> Retraining:
        if ("schedule" in self.on) != (self.every is not None):
            raise ValueError("`schedule` in `on` and `every` go together: give both or neither")
        return self

    @model_validator(mode="after")
    def _data_has_a_number(self) -> Retraining:
        if "data" in self.on and self.new_rows is None:
            raise ValueError("`data` in `on` needs `new_rows`: say how many new labelled rows are worth a retraining")
        return self


class ModelSpec(_Part):
    """One model of the kit."""

    name: Name
    owner: Annotated[str, StringConstraints(pattern=EMAIL)] = Field(description="Who is told when a person is needed.")
    description: str = ""
    task: Literal["binary_classification"]
    data: Data
    training: Training = Training()
    gate: Gate = Gate()
    serving: Serving = Serving()
    monitoring: Monitoring = Monitoring()
    retraining: Retraining = Retraining()
    _source: str | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _name_is_free(self) -> ModelSpec:
        if self.name in RESERVED_NAMES:
            raise _fault(("name",), f"{self.name!r} is the name of driftloop's own stack; give the model another one")
        if self.name.endswith("_profile"):
            # The model without this ending may have a pipeline of this one's name.
            raise _fault(("name",), f"{self.name!r} ends like the pipelines that profile; give the model another one")
        return self

    @model_validator(mode="after")
    def _slices_are_categories(self) -> ModelSpec:
        for column in self.gate.slices:
            feature = self.data.features.get(column)
            if feature is None or feature.type != "category":
                raise _fault(("gate", "slices"), f"{column!r} is not a category feature of this model")
        return self

    @model_validator(mode="after")
    def _limits_can_be_set(self) -> ModelSpec:
        """Fewer windows would fail the training step, an hour later."""
        length, smoothing = self.monitoring.window, self.monitoring.smoothing
        needed = smoothing + MIN_RUNS - 1
        unseen = int(UNSEEN_SHARE * (self.training.window / length) + 1e-9)
        if unseen < needed:
            enough = write_duration(math.ceil(needed / UNSEEN_SHARE - 1e-9) * length)
            raise _fault(
                ("training", "window"),
                f"limits are set on its last {UNSEEN_SHARE:.0%}, {unseen} windows of {write_duration(length)}, and "
                f"monitoring.smoothing of {smoothing} needs {needed}; write {enough} or more, or smooth less",
            )
        return self

    def compiled(self) -> dict[str, Any]:
        """The plain form that functions read: durations in seconds, shares as fractions."""
        return self.model_dump(mode="json")

    def for_steps(self) -> dict[str, Any]:
        """The plain form that pipeline steps read: with the text of the training code, if the model has its own.

        Functions do without it, as a parameter holds 8 KB.
        """
        plain = self.compiled()
        if self._source is not None:
            plain["training"]["source"] = self._source
        return plain

    def with_source(self, source: str) -> ModelSpec:
        """The same model with the text of ``training.script``."""
        copy = self.model_copy()
        copy._source = source
        return copy
