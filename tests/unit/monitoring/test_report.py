"""Verdicts: stable, shifted, broken upstream, not enough data."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pytest

from driftloop.data.schema import Columns
from driftloop.data.windows import Window
from driftloop.monitoring.outcomes import Outcomes, count_outcomes
from driftloop.monitoring.profile import profile_columns
from driftloop.monitoring.report import DriftReport, Verdict, assess
from tests.fakes.examples import NAME, START, baseline, traffic

BASELINE = baseline()
WINDOW = Window(START, START + timedelta(days=1))


def _assess(columns: Columns, outcomes: Outcomes | None = None) -> DriftReport:
    profile = profile_columns(BASELINE.bins, columns)
    return assess(BASELINE, profile, outcomes, model=NAME, version=3, window=WINDOW, min_rows=20)


def _break(columns: Columns, name: str, value: object, share: float) -> Columns:
    spoilt = columns[name].copy()
    spoilt[: round(share * len(spoilt))] = value
    return {**columns, name: spoilt}


def test_the_same_world_is_stable() -> None:
    report = _assess(traffic(200, seed=5))
    assert report.verdict is Verdict.STABLE
    assert report.reasons == ["every score is below its limit"]
    assert 0 < (report.input_drift or 0) < 1
    assert 0 < (report.prediction_drift or 0) < 1


def test_false_alarms_are_rare() -> None:
    verdicts = [_assess(traffic(200, seed=seed)).verdict for seed in range(200)]
    assert verdicts.count(Verdict.STABLE) >= 190  # two signals at 0.01 each would give 4 alarms
    assert set(verdicts) <= {Verdict.STABLE, Verdict.SHIFTED}


def test_moved_inputs_are_a_shift_and_named() -> None:
    report = _assess(traffic(200, seed=5, shift=8))
    assert report.verdict is Verdict.SHIFTED
    assert (report.input_drift or 0) > 1
    assert report.reasons[0].startswith("inputs moved")
    assert "mostly delay (" in report.reasons[0]
    assert report.features[0].name == "delay"
    assert report.features[0].score > 1
    assert sum(feature.cause for feature in report.features) == pytest.approx(1)


def test_moved_predictions_are_a_shift() -> None:
    columns = traffic(200, seed=5)
    report = _assess({**columns, "score": np.sqrt(columns["score"])})
    assert report.verdict is Verdict.SHIFTED
    assert report.reasons == [f"predictions moved {report.prediction_drift:.2f} times as far as the limit"]


def test_lost_calibration_is_a_shift() -> None:
    columns = traffic(2000, days=2, seed=5)
    worse = count_outcomes(columns["late"], np.clip(columns["score"] * 2, 0, 1))
    report = _assess(traffic(200, seed=5), worse)
    assert report.verdict is Verdict.SHIFTED
    assert "loss that recalibration would win back" in report.reasons[0]
    assert report.labelled_rows == 2000
    calibrated = _assess(traffic(200, seed=5), count_outcomes(columns["late"], columns["score"]))
    assert calibrated.verdict is Verdict.STABLE


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("delay", np.nan, "delay is missing in 80% of rows (usually 0.0%)"),
        ("line", "", "line is missing in 80% of rows (usually 0.0%)"),
        ("delay", -999.0, "delay is outside its known range in 80% of rows"),
        ("delay", 1e9, "delay is outside its known range in 80% of rows"),
        ("line", "NORTH", "line is a category that training did not know in 80% of rows"),
    ],
)
def test_a_broken_feed_is_not_a_shift(name: str, value: object, reason: str) -> None:
    report = _assess(_break(traffic(200, seed=5), name, value, 0.8))
    assert report.verdict is Verdict.BROKEN_UPSTREAM
    assert len(report.reasons) == 1
    assert report.reasons[0].startswith(reason)
    assert (report.input_drift, report.prediction_drift, report.quality_loss) == (None, None, None)


def test_a_little_missing_is_no_broken_feed() -> None:
    report = _assess(_break(traffic(200, seed=5), "delay", np.nan, 0.3))
    assert report.verdict is Verdict.SHIFTED


@pytest.mark.parametrize("rows", [0, 19])
def test_too_few_rows_say_nothing(rows: int) -> None:
    report = _assess(traffic(200, seed=5) if rows is None else traffic(max(rows, 1), seed=5))
    assert report.verdict is Verdict.NOT_ENOUGH_DATA
    assert report.reasons == [f"{max(rows, 1)} rows, and at least 20 are needed"]
    assert report.input_drift is None


def test_a_report_is_plain_json() -> None:
    value = json.loads(json.dumps(_assess(traffic(200, seed=5, shift=8)).to_dict()))
    assert value["window"] == {"start": "2026-03-02T00:00:00Z", "end": "2026-03-03T00:00:00Z"}
    assert value["verdict"] == "shifted"
    assert value["baseline"] == BASELINE.id
    for feature in value["features"]:
        assert len(feature["cells"]) == len(feature["before"]) == len(feature["after"])
        assert sum(feature["after"]) == pytest.approx(1, abs=1e-4)
