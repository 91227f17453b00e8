"""The baseline of one version: its bins, reference profile and limits. It lives and dies with the version."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from driftloop.data.decoded import SCORE
from driftloop.data.rows import select
from driftloop.data.schema import Columns, Schema
from driftloop.monitoring.bins import Bins, Counts, bins_from_dict, bins_to_dict, fit_bins, fit_numeric
from driftloop.monitoring.calibration import block_limit, outcome_limit, rise_limit, runs_of
from driftloop.monitoring.chance import divergence_allowance, divergence_floor, loss_allowance, loss_floor
from driftloop.monitoring.faults import steady_columns
from driftloop.monitoring.outcomes import NO_OUTCOMES, Outcomes, count_outcomes
from driftloop.monitoring.performance import Performance
from driftloop.monitoring.profile import Profile, merge, profile_columns
from driftloop.monitoring.statistics import jensen_shannon

FORMAT = 2


@dataclass(frozen=True)
class Limits:
    """Values at which a score is 1.0, for as many windows together as drift is judged on, with the usual rows."""

    input_drift: float
    prediction_drift: float
    quality_loss: float
    features: Mapping[str, float]
    sensitivity: float
    """False-alarm rate per window that the limits were set for."""
    rows: int
    """Rows of the usual (median) run of time blocks."""
    labelled_rows: int
    """Labelled rows of as many usual blocks as quality is averaged over."""
    estimated_loss: float | None = None
    """Rise of the estimated log-loss above the usual one, nats per row; None in format 1."""


@dataclass(frozen=True)
class Reading:
    """A value and the limit that holds for as many rows and windows as it was made from, in one unit."""

    value: float
    limit: float

    @property
    def score(self) -> float:
        """Value / limit: 1.0 is at the limit."""
        return self.value / self.limit


@dataclass(frozen=True)
class Baseline:
    """What a version was made from, as far as monitoring needs to know."""

    bins: Mapping[str, Bins]
    reference: Profile
    importance: Mapping[str, float]
    """Share of each feature in what the model uses; sums to one."""
    limits: Limits
    outcomes: Outcomes = NO_OUTCOMES
    """Out-of-time predictions with their labels: how well the version did when it was made."""
    steady: frozenset[str] = frozenset()
    """Features that hold one value for whole windows by nature, as the weekday does in windows of a day."""
    text: bytes = field(default=b"", repr=False, compare=False)
    """What it was read from, if it was."""

    @cached_property
    def id(self) -> str:
        """Content hash; profiles of different baselines never mix."""
        return hashlib.sha256(self.text or self.to_json()).hexdigest()[:16]

    def to_json(self) -> bytes:
        """Deterministic JSON text."""
        value = {
            "format": FORMAT,
            "bins": {name: bins_to_dict(bins) for name, bins in self.bins.items()},
            "reference": self.reference.to_dict(),
            "importance": dict(self.importance),
            "limits": {**vars(self.limits), "features": dict(self.limits.features)},
            "outcomes": self.outcomes.to_list(),
            "steady": sorted(self.steady),
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Baseline:
        """The other way round, format 1 included. Raises ValueError for other formats and what is no baseline."""
        try:
            return cls._from_value(json.loads(text), text)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a baseline: {type(error).__name__}: {error}") from error

    @classmethod
    def _from_value(cls, value: Any, text: bytes) -> Baseline:
        form = value.get("format") if isinstance(value, dict) else None
        if form not in (1, FORMAT):
            raise ValueError(f"baseline format {form!r} is not known; this version reads 1 and {FORMAT}")
        bins = {name: bins_from_dict(item) for name, item in value["bins"].items()}
        outcomes = Outcomes.from_list(value["outcomes"]) if "outcomes" in value else NO_OUTCOMES
        reference = Profile.from_dict(value["reference"], bins)
        steady = frozenset(value.get("steady", ()))
        return cls(bins, reference, value["importance"], Limits(**value["limits"]), outcomes, steady, text)

    def input_drift(self, profile: Profile, weights: Mapping[str, float] | None = None) -> float:
        """Divergence of the inputs, weighted by what the model uses (or otherwise); bits."""
        return sum(
            w * self.feature_drift(name, profile)
            for name, w in (self.importance if weights is None else weights).items()
        )

    def feature_drift(self, name: str, profile: Profile) -> float:
        """Divergence of one column from the reference; bits."""
        return jensen_shannon(profile.counts[name], self.reference.counts[name])

    @cached_property
    def usual(self) -> Performance | None:
        """Performance of the out-of-time predictions; None in format 1."""
        return self.outcomes.performance() if self.outcomes.total else None

    def estimate(self, profile: Profile) -> Performance | None:
        """Performance to expect without labels; None without probabilities or anything to calibrate them with."""
        known = self.outcomes.total and profile.probabilities.any()
        return self.outcomes.estimate(profile.probabilities) if known else None

    def judge_inputs(self, profile: Profile, share: float = 1.0) -> Reading:
        """Input drift against its limit.

        ``share`` is how many windows the profile is the sum of, as a share of those that the limits are for. Days that
        differ by themselves average out in proportion to their number, so the limit of fewer is that much higher; and
        features that are steady within a window are left out if windows are.
        """
        weights = {name: w for name, w in self.importance.items() if share >= 1 or name not in self.steady}
        extra = self._allowance(list(weights), list(weights.values()), profile.rows, 1)
        return Reading(self.input_drift(profile, weights), self.limits.input_drift / share + extra)

    def judge_predictions(self, profile: Profile, share: float = 1.0) -> Reading:
        """Prediction drift against its limit."""
        extra = self._allowance([SCORE], [1.0], profile.rows, 1)
        return Reading(self.feature_drift(SCORE, profile), self.limits.prediction_drift / share + extra)

    def judge_feature(self, name: str, profile: Profile, share: float = 1.0) -> Reading:
        """Drift of one feature against its limit."""
        extra = self._allowance([name], [1.0], profile.rows, len(self.importance))
        # A week without its Monday has no Mondays: that says nothing of the world.
        limit = 1.0 if name in self.steady and share < 1 else self.limits.features[name] / share + extra
        return Reading(self.feature_drift(name, profile), limit)

    def judge_slice(self, counts: Counts, usual: Counts, slices: int, share: float = 1.0) -> Reading:
        """Drift of the predictions of one slice against the limit of all predictions, and what chance adds to it.

        Args:
            counts, usual: the slice's predictions in the cells of the score, now and in the reference.
            slices: how many slices share the false-alarm rate.
        """
        extra = self._allowance([SCORE], [1.0], int(counts.sum()), slices)
        return Reading(jensen_shannon(counts, usual), self.limits.prediction_drift / share + extra)

    def judge_estimate(self, profile: Profile, share: float = 1.0) -> Reading | None:
        """Rise of the estimated log-loss against its limit; None if the baseline has none.

        A mean of fewer rows and days scatters more, with the square root of their number.
        """
        estimated, usual, limit = self.estimate(profile), self.usual, self.limits.estimated_loss
        if estimated is None or usual is None or limit is None:
            return None
        rise = max(0.0, estimated.log_loss - usual.log_loss)
        return Reading(rise, limit * math.sqrt(max(1.0, 1 / share, self.limits.rows / profile.rows)))

    def judge_quality(self, outcomes: Outcomes) -> Reading:
        """Calibration loss against its limit."""
        extra = loss_allowance(outcomes.occupied, outcomes.total, self.limits.labelled_rows, self.limits.sensitivity)
        return Reading(outcomes.loss(), self.limits.quality_loss + extra)

    def _allowance(self, names: list[str], weights: list[float], rows: int, shared: int) -> float:
        """What few rows may differ more; ``shared`` looks divide the false-alarm rate."""
        freedoms = [int((self.reference.counts[name] > 0).sum()) - 1 for name in names]
        limits = self.limits
        return divergence_allowance(freedoms, weights, rows, limits.rows, limits.sensitivity / shared)


@dataclass(frozen=True)
class Windowing:
    """How live traffic will be looked at; limits are set for the same windows."""

    seconds: int
    min_rows: int
    smoothing: int
    sensitivity: float
    seed: int

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Windowing:
        """Read the ``monitoring`` part of a compiled model file."""
        part = spec["monitoring"]
        seed = spec["training"]["seed"]
        return cls(part["window"], part["min_rows"], part["smoothing"], part["sensitivity"], seed)


def build_baseline(
    schema: Schema, training: Columns, predictions: Columns, importance: Mapping[str, float], windowing: Windowing
) -> Baseline:
    """Baseline of a version.

    Args:
        training: payload columns of all training rows.
        predictions: out-of-time predictions on training rows (time, ``score`` and label columns): made by models that
            were trained on earlier rows only, since a model's scores on its own training rows are too good.
        importance: non-negative use of each feature by the model.
        windowing: the live windows.

    Raises ValueError if there are too few full windows to calibrate from.
    """
    bins: dict[str, Bins] = {f.name: fit_bins(f, training[f.name]) for f in schema.features}
    score_bins = fit_numeric(predictions[SCORE], 0.0, 1.0)
    inputs = profile_columns(bins, training, schema)
    scored = [_scored(bins, score_bins, block, schema) for block in _blocks(predictions, schema.time, windowing)]
    total = sum(importance.values())
    weights = {f.name: importance[f.name] / total if total > 0 else 1 / len(schema.features) for f in schema.features}
    draft = Baseline(bins, inputs, weights, Limits(1, 1, 1, {}, windowing.sensitivity, 1, 1))
    days = [profile_columns(bins, block, schema) for block in _blocks(training, schema.time, windowing)]
    outcomes = [count_outcomes(b[schema.label], b[SCORE]) for b in _blocks(predictions, schema.time, windowing)]
    return replace(
        draft,
        bins={**bins, SCORE: score_bins},
        reference=_with_scores(inputs, _scored(bins, score_bins, predictions, schema)),
        limits=_limits(draft, days, scored, outcomes, windowing),
        outcomes=count_outcomes(predictions[schema.label], predictions[SCORE]),
        steady=steady_columns(bins, days),
    )


def _scored(bins: Mapping[str, Bins], score_bins: Bins, predictions: Columns, schema: Schema) -> Profile:
    """Profile of predictions, and of the declared slices that come with them."""
    slices = {name: bins[name] for name in schema.slices if name in predictions}
    return profile_columns({SCORE: score_bins, **slices}, predictions, schema)


def _with_scores(inputs: Profile, scored: Profile) -> Profile:
    """The inputs of the training rows and the predictions of the out-of-time ones; they are not the same rows."""
    return replace(
        inputs,
        counts={**inputs.counts, SCORE: scored.counts[SCORE]},
        moments={**inputs.moments, SCORE: scored.moments[SCORE]},
        joint=scored.joint,
        probabilities=scored.probabilities,
    )


def _limits(
    draft: Baseline, days: list[Profile], scored: list[Profile], outcomes: list[Outcomes], windowing: Windowing
) -> Limits:
    """Limits from runs of time blocks, none below what chance alone reaches."""
    sensitivity, smoothing = windowing.sensitivity, windowing.smoothing
    inputs, features, rows = _input_limits(
        draft, [merge(draft.bins, run) for run in runs_of(days, smoothing)], sensitivity
    )
    known = sum(outcomes, start=NO_OUTCOMES)
    labelled_rows = int(np.median([block.total for block in outcomes])) * smoothing
    losses = [
        known.estimate(np.sum(run, axis=0)).log_loss - known.performance().log_loss
        for run in runs_of([profile.probabilities for profile in scored], smoothing)
    ]
    return Limits(
        input_drift=inputs,
        prediction_drift=_prediction_limit([profile.counts[SCORE] for profile in scored], windowing),
        quality_loss=max(
            outcome_limit(outcomes, smoothing, sensitivity, windowing.seed),
            loss_floor(known.occupied, labelled_rows, sensitivity),
        ),
        features=features,
        sensitivity=sensitivity,
        rows=rows,
        labelled_rows=labelled_rows,
        estimated_loss=rise_limit(losses, sensitivity),
    )


def _input_limits(draft: Baseline, spans: list[Profile], sensitivity: float) -> tuple[float, dict[str, float], int]:
    """Limit of the inputs together, of each feature, and the usual number of rows."""
    # A run is compared with the rest of the training window: it is a part of the whole and would look too close to it,
    # while live traffic is no part of it.
    others = [(replace(draft, reference=draft.reference - span), span) for span in spans]
    rows, reference = int(np.median([span.rows for span in spans])), draft.reference.rows
    freedoms = {name: int((draft.reference.counts[name] > 0).sum()) - 1 for name in draft.importance}
    floor = divergence_floor(list(freedoms.values()), list(draft.importance.values()), rows, reference, sensitivity)
    # Each feature is looked at in every window, so the false-alarm rate is shared out among them (Bonferroni).
    share = sensitivity / len(freedoms)
    features = {
        name: _bits(
            [rest.feature_drift(name, span) for rest, span in others],
            share,
            divergence_floor([freedom], [1.0], rows, reference, share),
        )
        for name, freedom in freedoms.items()
    }
    return _bits([rest.input_drift(span) for rest, span in others], sensitivity, floor), features, rows


def _prediction_limit(counts: list[Counts], windowing: Windowing) -> float:
    everything = np.sum(counts, axis=0)
    runs = [np.sum(run, axis=0) for run in runs_of(counts, windowing.smoothing)]
    usual, freedom = int(np.median([run.sum() for run in runs])), int((everything > 0).sum()) - 1
    floor = divergence_floor([freedom], [1.0], usual, int(everything.sum()), windowing.sensitivity)
    return _bits([jensen_shannon(run, everything - run) for run in runs], windowing.sensitivity, floor)


def _bits(divergences: Sequence[float], sensitivity: float, least: float) -> float:
    """Limit of a divergence in bits, not below what chance alone reaches. Few and uneven blocks ask for more than the one
    bit that it can reach."""
    return min(1.0, max(least, block_limit(divergences, sensitivity)))


def _blocks(columns: Columns, time: str, windowing: Windowing) -> list[Columns]:
    """Time blocks of the live window's length; those with too few rows would be 'not enough data' when live."""
    block = columns[time].astype("datetime64[s]").astype(np.int64) // windowing.seconds
    numbers, sizes = np.unique(block, return_counts=True)
    return [select(columns, block == number) for number in numbers[sizes >= windowing.min_rows]]
