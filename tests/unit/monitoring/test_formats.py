"""Files of earlier formats stay readable, and say the same; today's format is what it was yesterday."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from driftloop.data.windows import Window
from driftloop.monitoring.assessment import assess
from driftloop.monitoring.baseline import Baseline
from driftloop.monitoring.profile import Profile, merge, profile_columns
from tests.fakes import examples as ex

GOLDEN = Path(__file__).parents[2] / "golden"


def _golden(name: str) -> str:
    return (GOLDEN / name).read_text().rstrip("\n")


def _today() -> Profile:
    columns = ex.traffic(100, seed=4, shift=8)
    columns["line"][:30] = "west"
    return profile_columns(ex.baseline().bins, columns, ex.SCHEMA)


def test_a_baseline_and_profiles_of_format_1_give_the_report_that_they_gave() -> None:
    baseline = Baseline.from_json(_golden("baseline-1.json").encode())
    then = json.loads(_golden("report-1.json"))
    assert baseline.id == then["id"]
    profiles = [Profile.from_dict(value, baseline.bins) for value in json.loads(_golden("profiles-1.json"))]
    window = Window(ex.START, ex.START + timedelta(days=1))
    report = assess(baseline, profiles, None, model=ex.NAME, version=1, window=window, min_rows=20, smoothing=2)
    assert report.verdict == then["verdict"]
    assert report.input_drift == pytest.approx(then["input_drift"])
    assert report.prediction_drift == pytest.approx(then["prediction_drift"])
    assert report.estimated_loss is report.estimated is report.usual is None
    assert json.loads(json.dumps(report.to_dict()))["features"][0]["summary"] is None


def test_profiles_of_format_1_merge_with_those_of_today() -> None:
    baseline = Baseline.from_json(_golden("baseline-1.json").encode())
    old, _ = (Profile.from_dict(value, baseline.bins) for value in json.loads(_golden("profiles-1.json")))
    columns = ex.traffic(100, seed=4)
    new = profile_columns(baseline.bins, columns, ex.SCHEMA)
    both = merge(baseline.bins, [old, new])
    assert both.rows == 200
    assert both.moments["delay"].count == 100
    assert {int(counts.sum()) for counts in both.counts.values()} == {200}


def test_the_format_of_today_is_what_is_documented_and_kept() -> None:
    assert json.loads(json.dumps(_today().to_dict())) == json.loads(_golden("profile-2.json"))
    today, kept = json.loads(ex.baseline().to_json()), json.loads(_golden("baseline-2.json"))
    limits = {name: value for name, value in today.pop("limits").items() if name != "features"}
    # Logarithms may differ in the last digit from processor to processor.
    assert limits == pytest.approx({name: value for name, value in kept.pop("limits").items() if name != "features"})
    assert today == kept


def test_a_baseline_keeps_its_identity() -> None:
    text = ex.baseline().to_json()
    assert Baseline.from_json(text).id == ex.baseline().id


@pytest.mark.parametrize("form", [0, 3, "2", None])
def test_a_format_of_the_future_is_refused(form: object) -> None:
    with pytest.raises(ValueError, match="is not known; this version reads 1 and 2"):
        Profile.from_dict({"format": form, "rows": 0, "counts": {}}, {})
