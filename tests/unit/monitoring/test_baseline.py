"""The baseline of a version."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from driftloop.monitoring.baseline import Baseline, Windowing, build_baseline
from driftloop.monitoring.profile import profile_columns
from tests.fakes.examples import SCHEMA, baseline, traffic

WINDOWING = Windowing(86400, 20, 2, 0.01, 7)


def test_a_baseline_survives_json_exactly() -> None:
    made = baseline()
    read = Baseline.from_json(made.to_json())
    assert read.to_json() == made.to_json()
    assert read.id == made.id
    assert read.limits == made.limits
    assert read.bins == made.bins


def test_a_baseline_is_reproducible_and_its_id_is_its_content() -> None:
    assert baseline().id == baseline().id
    columns = traffic(6000, days=30, seed=98)
    assert build_baseline(SCHEMA, columns, columns, {"line": 1, "delay": 3}, WINDOWING).id != baseline().id


@pytest.mark.parametrize("known", [None, 0, 3, "1"])
def test_an_unknown_format_is_refused(known: object) -> None:
    value = json.loads(baseline().to_json()) | {"format": known}
    with pytest.raises(ValueError, match="is not known; this version reads 1"):
        Baseline.from_json(json.dumps(value).encode())


@pytest.mark.parametrize("text", [b"not json", b"[]", b"5"])
def test_what_is_no_baseline_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|format None is not known"):
        Baseline.from_json(text)


def test_importances_become_shares() -> None:
    assert baseline().importance == {"line": 0.25, "delay": 0.75}
    columns = traffic(600, days=30)
    unused = build_baseline(SCHEMA, columns, columns, {"line": 0, "delay": 0}, WINDOWING)
    assert unused.importance == {"line": 0.5, "delay": 0.5}


def test_too_few_full_windows_set_no_limits() -> None:
    columns = traffic(400, days=4)
    with pytest.raises(ValueError, match="time blocks are too few"):
        build_baseline(SCHEMA, columns, columns, {"line": 1, "delay": 1}, WINDOWING)


def test_windows_with_too_few_rows_are_no_blocks() -> None:
    columns = traffic(400, days=30)  # 13 rows a day
    with pytest.raises(ValueError, match="0 time blocks are too few"):
        build_baseline(SCHEMA, columns, columns, {"line": 1, "delay": 1}, WINDOWING)


def test_a_calendar_is_not_drift_where_windows_are_left_out() -> None:
    columns = traffic(6000, days=30, seed=99)
    days = columns["departure"].astype("datetime64[D]").astype(int)
    columns["line"] = np.array([f"day {number % 7}" for number in days], dtype=object)
    made = build_baseline(SCHEMA, columns, columns, {"line": 1, "delay": 1}, replace(WINDOWING, smoothing=7))
    assert made.steady == {"line"}
    week = profile_columns(made.bins, {name: values[days % 7 != 3] for name, values in columns.items()}, SCHEMA)
    assert made.feature_drift("line", week) > made.limits.features["line"]
    assert made.judge_feature("line", week, 6 / 7).score < 1
    assert made.judge_inputs(week, 6 / 7).score < 1
    assert made.judge_inputs(week).score > 1
