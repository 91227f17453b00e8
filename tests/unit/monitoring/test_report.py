"""Verdicts: stable, shifted, broken upstream, not enough data."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pytest

from driftloop.data.schema import Columns
from driftloop.data.windows import Window
from driftloop.monitoring.assessment import Labelled, assess
from driftloop.monitoring.outcomes import Outcomes, count_outcomes
from driftloop.monitoring.profile import profile_columns
from driftloop.monitoring.report import DriftReport, Verdict
from tests.fakes.examples import NAME, SCHEMA, START, baseline, traffic

BASELINE = baseline()  # limits for two days of 200 rows
WINDOW = Window(START, START + timedelta(days=1))


def _day(seed: int, rows: int = 200, shift: float = 0.0) -> Columns:
    return traffic(rows, seed=seed, shift=shift)


def _assess(*windows: Columns, outcomes: Outcomes | None = None, smoothing: int = 2) -> DriftReport:
    """Oldest first, the judged one last."""
    profiles = [profile_columns(BASELINE.bins, columns, SCHEMA) for columns in windows]
    labelled = Labelled(outcomes, 0.5) if outcomes else None
    return assess(
        BASELINE, profiles, labelled, model=NAME, version=3, window=WINDOW, min_rows=20, smoothing=smoothing
    )  # fmt: skip


def _break(columns: Columns, name: str, value: object, share: float) -> Columns:
    spoilt = columns[name].copy()
    spoilt[: round(share * len(spoilt))] = value
    return {**columns, name: spoilt}


def test_the_same_world_is_stable() -> None:
    report = _assess(_day(4), _day(5))
    assert report.verdict is Verdict.STABLE
    assert report.reasons == ["every score is below its limit"]
    assert report.rows == 200
    assert 0 < (report.input_drift or 0) < 1
    assert 0 < (report.prediction_drift or 0) < 1


def test_false_alarms_are_rare() -> None:
    verdicts = [_assess(_day(seed), _day(5000 + seed)).verdict for seed in range(200)]
    assert verdicts.count(Verdict.STABLE) >= 190  # two signals at 0.01 each would give 4 alarms
    assert set(verdicts) <= {Verdict.STABLE, Verdict.SHIFTED}


def test_moved_inputs_are_a_shift_and_named() -> None:
    report = _assess(_day(4, shift=8), _day(5, shift=8))
    assert report.verdict is Verdict.SHIFTED
    assert (report.input_drift or 0) > 1
    assert report.reasons[0].startswith("inputs moved")
    assert "mostly delay (" in report.reasons[0]
    assert report.features[0].name == "delay"
    assert report.features[0].score > 1
    assert sum(feature.cause for feature in report.features) == pytest.approx(1)


def test_moved_predictions_are_a_shift() -> None:
    days = [{**_day(seed), "score": np.sqrt(_day(seed)["score"])} for seed in (4, 5)]
    report = _assess(*days)
    assert report.verdict is Verdict.SHIFTED
    assert report.reasons == [
        f"predictions moved {report.prediction_drift:.2f} times as far as the limit",
        f"the log-loss to expect of these predictions rose {report.estimated_loss:.2f} times as far as the limit",
    ]
    assert report.estimated is not None
    assert report.usual is not None
    assert report.estimated.log_loss > report.usual.log_loss


def test_an_estimate_speaks_until_labels_do() -> None:
    days = [{**_day(seed), "score": np.clip(_day(seed)["score"] * 1.1, 0, 1)} for seed in (4, 5)]
    alone = _assess(*days)
    estimate = next(rule for rule in alone.rules if rule.name == "estimated loss")
    assert estimate.fired == (estimate.score >= 1)
    assert estimate.score > 1
    columns = traffic(2000, days=2, seed=5)
    labelled = _assess(*days, outcomes=count_outcomes(columns["late"], columns["score"]))
    assert labelled.estimated_loss == alone.estimated_loss
    assert not any(rule.fired for rule in labelled.rules if rule.name == "estimated loss")
    assert not any("to expect" in reason for reason in labelled.reasons)


def test_lost_calibration_is_a_shift() -> None:
    columns = traffic(2000, days=2, seed=5)
    worse = count_outcomes(columns["late"], np.clip(columns["score"] * 2, 0, 1))
    report = _assess(_day(4), _day(5), outcomes=worse)
    assert report.verdict is Verdict.SHIFTED
    assert "loss that recalibration would win back" in report.reasons[0]
    assert report.labelled_rows == 2000
    calibrated = _assess(_day(4), _day(5), outcomes=count_outcomes(columns["late"], columns["score"]))
    assert calibrated.verdict is Verdict.STABLE


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("delay", np.nan, "delay is missing in 80% of rows (usually 0.0%)"),
        ("line", "", "line is missing in 80% of rows (usually 0.0%)"),
        ("delay", -999.0, "delay is outside what can be real (0 to 100) in 80% of rows"),
        ("delay", 1000.1, "delay is outside what can be real (0 to 100) in 80% of rows"),
        ("line", "NORTH", "line has known names with another case in 80% of rows: 'NORTH'"),
    ],
)
def test_a_broken_feed_is_not_a_shift(name: str, value: object, reason: str) -> None:
    report = _assess(_day(4), _break(_day(5), name, value, 0.8))
    assert report.verdict is Verdict.BROKEN_UPSTREAM
    assert len(report.reasons) == 1
    assert report.reasons[0].startswith(reason)
    assert (report.input_drift, report.prediction_drift, report.quality_loss) == (None, None, None)


def test_what_training_never_saw_but_can_be_real_is_a_shift() -> None:
    hottest = float(traffic(6000, days=30, seed=99)["delay"].max())
    assert hottest < 95  # the declared range ends at 100
    heat = np.linspace(hottest + 1, 99.0, 160)
    report = _assess(*(_break(_day(seed), "delay", heat, 0.8) for seed in (4, 5)))
    assert report.verdict is Verdict.SHIFTED
    assert report.features[0].name == "delay"
    assert report.features[0].cells[-3:] == [f"{hottest:.6g} to 100", "above 100", "missing"]
    assert report.features[0].after[-3:] == [0.8, 0.0, 0.0]


def test_a_little_missing_is_no_broken_feed() -> None:
    report = _assess(*(_break(_day(seed), "delay", np.nan, 0.3) for seed in (4, 5)))
    assert report.verdict is Verdict.SHIFTED


def test_broken_windows_do_not_count_among_the_several() -> None:
    broken = _break(_day(3), "delay", np.nan, 0.8)
    report = _assess(_day(4), broken, _day(5), smoothing=3)
    assert report.verdict is Verdict.STABLE
    delay = next(feature for feature in report.features if feature.name == "delay")
    assert delay.after[-1] == 0
    without = _assess(_day(4), _day(5), smoothing=2)
    assert [f.divergence for f in report.features] == [f.divergence for f in without.features]
    assert report.rows == 200


def test_limits_rise_with_what_is_left_out() -> None:
    broken, empty, thin = _break(_day(3), "delay", np.nan, 0.8), _day(3, rows=1), _day(3, rows=19)
    whole = BASELINE.judge_inputs(profile_columns(BASELINE.bins, traffic(400, days=2, seed=5), SCHEMA)).score
    for left_out in (broken, empty, thin):
        report = _assess(left_out, traffic(400, seed=5))
        assert report.input_drift == pytest.approx(whole / 2)


def test_a_version_that_has_seen_one_window_is_not_judged_on_drift() -> None:
    report = _assess(_day(5, shift=8))
    assert report.verdict is Verdict.NOT_ENOUGH_DATA
    assert report.reasons == ["version 3 has seen 1 of the 2 windows that drift is judged on"]
    assert (report.input_drift, report.prediction_drift) == (None, None)
    assert report.features[0].name == "delay"  # what can be seen is told all the same


def test_the_first_full_span_is_judged() -> None:
    seen = [_day(seed, shift=8) for seed in range(7)]
    for count in range(1, 7):
        assert _assess(*seen[:count], smoothing=7).verdict is Verdict.NOT_ENOUGH_DATA
    assert _assess(*seen, smoothing=7).verdict is Verdict.SHIFTED


def test_a_new_version_can_be_broken_or_badly_calibrated_at_once() -> None:
    assert _assess(_break(_day(5), "delay", np.nan, 0.8)).verdict is Verdict.BROKEN_UPSTREAM
    columns = traffic(2000, days=2, seed=5)
    worse = count_outcomes(columns["late"], np.clip(columns["score"] * 2, 0, 1))
    report = _assess(_day(5), outcomes=worse)
    assert report.verdict is Verdict.SHIFTED
    assert [reason.split(" is ")[0] for reason in report.reasons] == ["loss that recalibration would win back"]


def test_features_of_one_window_are_not_held_against_the_limits_of_several() -> None:
    alarms = [max(f.score for f in _assess(_day(seed), smoothing=2).features) >= 1 for seed in range(200)]
    assert sum(alarms) <= 6


@pytest.mark.parametrize("rows", [0, 19])
def test_too_few_rows_say_nothing(rows: int) -> None:
    report = _assess(_day(4), {name: values[:rows] for name, values in _day(5).items()})
    assert report.verdict is Verdict.NOT_ENOUGH_DATA
    assert report.reasons == [f"{rows} rows, and at least 20 are needed"]
    assert report.input_drift is None


def test_a_report_is_plain_json() -> None:
    value = json.loads(json.dumps(_assess(_day(4, shift=8), _day(5, shift=8)).to_dict()))
    assert value["window"] == {"start": "2026-03-02T00:00:00Z", "end": "2026-03-03T00:00:00Z"}
    assert value["verdict"] == "shifted"
    assert value["baseline"] == BASELINE.id
    for feature in value["features"]:
        assert len(feature["cells"]) == len(feature["before"]) == len(feature["after"])
        assert sum(feature["after"]) == pytest.approx(1, abs=1e-4)
