"""A month of drift reports as the library writes them: every verdict, a fault, slices, labels that come late."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import DAY, Window
from driftloop.monitoring.assessment import Labelled, assess
from driftloop.monitoring.baseline import Baseline, Windowing, build_baseline
from driftloop.monitoring.outcomes import NO_OUTCOMES, Outcomes, count_outcomes
from driftloop.monitoring.profile import Profile, profile_columns
from driftloop.monitoring.report import DriftReport, WindowQuality
from driftloop.reports.drift.record import WindowReport, read_report
from tests.fakes.examples import NAME, START, spec, traffic

Plain = dict[str, Any]
SCHEMA = Schema.from_spec(spec(gate={"slices": ["line"]}))
HOSTILE = "</style><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> & </td>"
DAYS, SMOOTHING, MIN_ROWS = 30, 2, 20
THIN, BROKEN, SHIFT, SECOND = 5, 12, 18, 24
"""Days on which something happens: few rows, a broken feed, another world, another version that knows it."""
_OLD = (
    "model", "version", "baseline", "window", "rows", "verdict", "reasons", "input_drift", "prediction_drift",
    "quality_loss", "labelled_rows",
)  # fmt: skip
_OLD_FEATURE = ("name", "importance", "divergence", "score", "cause", "cells", "before", "after")


@cache
def plain_reports() -> tuple[Plain, ...]:
    """The month in plain form, in time order."""
    return tuple(json.loads(json.dumps(report.to_dict())) for report in _month())


@cache
def reports() -> tuple[WindowReport, ...]:
    """The month as the page reads it."""
    return tuple(read_report(json.dumps(value)) for value in plain_reports())


def on(day: int) -> WindowReport:
    """The report of one day."""
    return reports()[day]


def format_1(value: Plain) -> Plain:
    """A report as it was written before format 2."""
    features = [{key: feature[key] for key in _OLD_FEATURE} for feature in value["features"]]
    return {key: value[key] for key in _OLD} | {"features": features}


def hostile() -> WindowReport:
    """Names and reasons from outside that try to be markup."""
    value = plain_reports()[SHIFT + 1]
    feature = {**value["features"][0], "name": HOSTILE, "cells": [HOSTILE, *value["features"][0]["cells"][1:]]}
    fault = {"kind": "went missing", "columns": [HOSTILE], "share": 0.5, "reason": HOSTILE}
    rule = {**value["rules"][0], "name": HOSTILE, "unit": HOSTILE}
    parts = {"reasons": [HOSTILE], "next_steps": [HOSTILE], "features": [feature], "faults": [fault], "rules": [rule]}
    item = {**value["slices"][0], "column": HOSTILE, "value": HOSTILE}
    return read_report(json.dumps(value | parts | {"model": HOSTILE, "baseline": HOSTILE, "slices": [item]}))


def _month() -> list[DriftReport]:
    first, second = _baseline(0.0), _baseline(3.0)
    rows = [_day(number) for number in range(DAYS)]
    outcomes = [count_outcomes(day["late"], day["score"]) for day in rows]
    found = []
    for number in range(DAYS):
        version, baseline, since = (1, first, 0) if number < SECOND else (2, second, SECOND)
        seen = range(max(since, number - SMOOTHING + 1), number + 1)
        profiles = [profile_columns(baseline.bins, rows[n], SCHEMA) for n in seen]
        found.append(_report(number, version, baseline, profiles, outcomes, since))
    return found


def _baseline(shift: float) -> Baseline:
    columns = traffic(9000, days=30, seed=99, shift=shift)
    return build_baseline(SCHEMA, columns, columns, {"line": 1.0, "delay": 3.0}, Windowing(86400, 20, 2, 0.01, 7))


def _day(number: int) -> Columns:
    start = START + DAY * number
    rows = MIN_ROWS - 1 if number == THIN else 300
    day = traffic(rows, start=start, seed=number, shift=3.0 if number >= SHIFT else 0.0)
    if number == BROKEN:
        day["delay"][: rows * 4 // 5] = np.nan
    if SHIFT <= number < SECOND:
        # One slice is scored much too high: slices tell where, and labels tell that it is wrong.
        south = day["line"] == "south"
        day["score"] = np.where(south, np.sqrt(day["score"]), day["score"]).round(6)
    return day


def _report(
    number: int, version: int, baseline: Baseline, profiles: list[Profile], outcomes: Sequence[Outcomes], since: int
) -> DriftReport:
    known = range(max(since, number - SMOOTHING), number)
    total = sum((outcomes[n] for n in known), start=NO_OUTCOMES)
    report = assess(
        baseline, profiles, Labelled(total, 0.95) if total.total >= MIN_ROWS else None, model=NAME, version=version,
        window=_window(number), min_rows=MIN_ROWS, smoothing=SMOOTHING,
    )  # fmt: skip
    restated = [WindowQuality(_window(n), outcomes[n].total, outcomes[n]) for n in range(max(0, number - 4), number)]
    return replace(report, restated=restated)


def _window(number: int) -> Window:
    start: datetime = START + timedelta(days=number)
    return Window(start, start + DAY)
