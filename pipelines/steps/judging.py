"""Challenger and champion on the same rows with the same code, and what the gate says: in the step and on a laptop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.data.schema import Columns, Schema
from driftloop.data.tables import request_lines
from driftloop.data.windows import Window, iso
from driftloop.monitoring.statistics import Floats, auc, log_loss
from driftloop.promotion.gate import GatePolicy, GateResult, Traits, compare, degenerate
from driftloop.promotion.quality import calibration_error
from pipelines.steps.holdout import unseen_part
from pipelines.steps.inference import CSV, Predictor, input_fn, model_fn, output_fn, predict_fn, score
from pipelines.steps.record import read_record, window_of
from pipelines.steps.step import StepError, say

_REQUESTS = 25
"""One-row requests by which the latency is measured, after one that warms up."""
_SECONDS = 10.0
"""Fewer requests are enough if they take this long together."""


@dataclass(frozen=True)
class Version:
    """One version: what its archive holds."""

    predictor: Predictor
    record: Mapping[str, Any]

    @property
    def rate(self) -> float:
        """Share of label 1 among the rows that it was trained on."""
        return float(self.record["positive_rate"])

    @classmethod
    def load(cls, folder: Path, who: str) -> Version:
        """A version from its extracted archive. Raises StepError."""
        record = read_record(folder, who)
        try:
            return cls(model_fn(str(folder)), record)
        except Exception as error:  # a pickle of another library version may raise anything
            raise StepError(f"the {who} cannot be loaded: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Case:
    """What the gate is asked to judge."""

    spec: Mapping[str, Any]
    holdout: Window
    rows: Columns
    """Labelled rows of the holdout."""
    challenger: Version
    size: int
    """Bytes of the challenger's archive."""
    champion: Version | None
    champion_fault: str = ""
    """Why there is no champion though one serves."""


def judge(case: Case) -> dict[str, Any]:
    """The evaluation: the gate's answer, and the figures that it rests on. Raises StepError."""
    schema = Schema.from_spec(case.spec)
    _check_unseen(case.challenger, case.holdout)
    holdout, rows, champion_scores, fault = case.holdout, case.rows, None, case.champion_fault
    if case.champion is not None:
        holdout, rows = unseen_part(schema, holdout, rows, window_of(case.champion.record).end)
        champion_scores, fault = _champion_scores(case.champion, rows)
    scores = _scores(case.challenger, rows, "challenger")
    traits = Traits(
        case.challenger.rate,
        _latency(case.challenger.predictor, rows),
        case.size,
        case.champion.rate if case.champion else None,
        _changed_inputs(case.challenger.predictor.schema, case.champion.predictor.schema) if case.champion else (),
        fault,
    )
    dates = rows[schema.time].astype("datetime64[D]")
    try:
        result = compare(
            rows[schema.label], scores, champion_scores, dates, rows, GatePolicy.from_spec(case.spec), traits
        )
    except ValueError as error:
        raise StepError(f"the versions cannot be compared: {error}") from error
    say(f"evaluate: {result.decision}: {result.reason}")
    evaluation = _evaluation(rows[schema.label], scores, champion_scores, traits, result)
    return {
        "metric": case.spec["gate"]["metric"], **evaluation, "holdout": {"start": iso(holdout.start), "end": iso(holdout.end)},
    }  # fmt: skip


def _check_unseen(challenger: Version, holdout: Window) -> None:
    end = window_of(challenger.record).end
    if end > holdout.start:
        raise StepError(
            f"the challenger was trained on rows up to {iso(end)} and the holdout starts at {iso(holdout.start)}: scores "
            "on rows that a version has learned from say nothing"
        )


def _champion_scores(champion: Version, rows: Columns) -> tuple[Floats | None, str]:
    """Its scores, or why there are none to compare with."""
    try:
        scores = _scores(champion, rows, "champion")
    except StepError as error:
        return None, str(error)
    fault = degenerate(scores)
    # A constant is a prediction that can be beaten; what is no probability cannot be compared.
    return (None, f"it {fault}") if fault and not np.isfinite(scores).all() else (scores, "")


def _scores(version: Version, rows: Columns, who: str) -> Floats:
    try:
        scores = score(version.predictor, _as_known_to(version.predictor, rows, who))
    except Exception as error:  # the classifier may be anybody's
        raise StepError(f"the {who} cannot score the holdout: {type(error).__name__}: {error}") from error
    say(f"evaluate: {who} scored {len(scores)} rows")
    return scores


def _as_known_to(predictor: Predictor, rows: Columns, who: str) -> Columns:
    """The rows with the columns of the version's own model file; what is no longer sent is missing, as in serving."""
    table = dict(rows)
    for feature in predictor.schema.features:
        gone = feature.name not in rows or (rows[feature.name].dtype == object) != feature.is_category
        if gone:
            say(f"evaluate: {who} knows a {feature.type} {feature.name} that the model file no longer has")
            empty = "" if feature.is_category else np.nan
            table[feature.name] = np.full(len(next(iter(rows.values()))), empty, dtype=object if empty == "" else float)
    return table


def _latency(predictor: Predictor, rows: Columns) -> float:
    """Seconds from a request of one row to its answer, the middle of some."""
    took = []
    for line in request_lines(predictor.schema, rows, _REQUESTS + 1):
        started = time.perf_counter()
        output_fn(predict_fn(input_fn(line, CSV), predictor), CSV)
        took.append(time.perf_counter() - started)
        if sum(took) > _SECONDS:
            break
    return float(np.median(took[1:] or took))


def _changed_inputs(new: Schema, old: Schema) -> tuple[str, ...]:
    before = {feature.name: feature.type for feature in old.features}
    after = {feature.name: feature.type for feature in new.features}
    parts = [
        (f"{what} {', '.join(names)}")
        for what, names in (
            ("new:", sorted(after.keys() - before.keys())),
            ("gone:", sorted(before.keys() - after.keys())),
            ("of another type:", sorted(name for name in after.keys() & before.keys() if after[name] != before[name])),
            ("in another order:", sorted(after) if sorted(after) == sorted(before) and [*after] != [*before] else []),
        )
        if names
    ]
    return (f"its requests have other columns than the champion's ({'; '.join(parts)})",) if parts else ()


def _evaluation(
    labels: np.ndarray[Any, Any], challenger: Floats, champion: Floats | None, traits: Traits, result: GateResult
) -> dict[str, Any]:
    slices: dict[str, dict[str, Any]] = {}
    for part in result.slices:
        figures = {"rows": part.rows, "challenger": part.challenger, "champion": part.champion}
        slices.setdefault(part.column, {})[part.value] = figures
    return {
        "rows": len(labels),
        "challenger": {**_figures(labels, challenger), "latency_s": traits.latency, "bytes": traits.size},
        "champion": None if champion is None else _figures(labels, champion),
        # What a shadow is compared with.
        "difference": None if champion is None else float(np.abs(challenger - champion).mean()),
        "baseline_rate_log_loss": log_loss(labels, np.full(len(labels), traits.training_rate)),
        "slices": slices,
        "gate": {name: value for name, value in asdict(result).items() if name != "slices"},
    }


def _figures(labels: np.ndarray[Any, Any], scores: Floats) -> dict[str, float | None]:
    # What is no probability counts as wholly wrong.
    scores = np.where((scores >= 0) & (scores <= 1), scores, 1.0 - labels)
    return {
        "log_loss": log_loss(labels, scores), "auc": auc(labels, scores), "calibration_error": calibration_error(labels, scores),
    }  # fmt: skip
