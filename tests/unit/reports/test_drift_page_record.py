"""Reading drift reports: both formats, and clear errors for anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from driftloop.reports.drift.record import read_report
from driftloop.reports.drift.rules import rules_of
from driftloop.reports.record import RecordError
from tests.unit.reports.drift_reports import SHIFT, format_1, on, plain_reports


def test_every_report_of_the_library_is_read_whole() -> None:
    for value in plain_reports():
        report = read_report(json.dumps(value))
        assert report.format == 2
        assert [rule.name for rule in report.rules] == [rule["name"] for rule in value["rules"]]
        assert [f.psi for f in report.features] == [f["psi"] for f in value["features"]]
        assert [(s.column, s.value, s.score) for s in report.slices] == [
            (s["column"], s["value"], s["score"]) for s in value["slices"]
        ]
        assert report.usual == value["usual"]
        assert len(report.restated) == len(value["restated"])


def test_format_1_keeps_its_scores_as_rules() -> None:
    report = read_report(json.dumps(format_1(plain_reports()[SHIFT + 1])))
    new = on(SHIFT + 1)
    assert report.format == 1
    scores = {rule.name: rule.score for rule in rules_of(report)}
    assert scores["input drift"] == new.input_drift
    assert scores["prediction drift"] == new.prediction_drift
    assert scores["estimated loss"] is None
    assert [rule.fired for rule in rules_of(report) if rule.name == "input drift"] == [True]
    assert report.slices == ()


def _spoilt(**parts: Any) -> str:
    return json.dumps({**plain_reports()[SHIFT], **parts})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "kept.json: not JSON: "),
        ("[" * 100_000, "kept.json: not JSON: maximum recursion depth"),
        ("[]", "kept.json: a drift report is a JSON object, and this is list"),
        (_spoilt(format=3), "kept.json: format 3 is not known; this version reads 1 and 2; update driftloop"),
        (_spoilt(verdict="fine"), "kept.json: verdict: Input should be 'stable', "),
        (_spoilt(input_drift=float("nan")), "kept.json: input_drift: Input should be a finite number"),
        (_spoilt(rows=-1), "kept.json: rows: Input should be greater than or equal to 0"),
        (_spoilt(window={"start": "soon"}), "kept.json: window.start: "),
        (
            _spoilt(predictions={"cells": ["a", "b"], "before": [1.0], "after": [0.5, 0.5]}),
            "kept.json: predictions: Value error, a histogram has one share per cell, and here are 2 cells, 1 shares before, 2 after",
        ),
        (
            _spoilt(predictions={"cells": ["a"], "before": [1.0], "after": [-1.0]}),
            "kept.json: predictions.after.0: Input should be greater than or equal to 0",
        ),
        (
            _spoilt(faults=[{"kind": "constant", "columns": [], "share": 2, "reason": ""}]),
            "kept.json: faults.0.share: ",
        ),
    ],
)
def test_what_cannot_be_read_is_named(text: str, told: str) -> None:
    with pytest.raises(RecordError) as error:
        read_report(text, "kept.json")
    assert str(error.value).startswith(told)


def test_keys_of_a_later_writer_do_no_harm() -> None:
    assert read_report(_spoilt(mood="fine")) == on(SHIFT)
