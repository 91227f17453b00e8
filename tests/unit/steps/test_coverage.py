"""How many predictions have their labels by now."""

from __future__ import annotations

import json

import numpy as np
import pytest

from driftloop.data.capture import SCORE
from driftloop.data.rows import by_date, select, write_rows
from pipelines.steps import prepare
from pipelines.steps.coverage import count_labels, coverage_faults
from tests.unit.steps.cloud import Cloud
from tests.unit.steps.examples import (
    CURATED,
    HOLDOUT_DAYS,
    HOLDOUT_END,
    LIVE,
    NAME,
    PER_DAY,
    SCHEMA,
    TRAINING_DAYS,
    WINDOWS,
    day,
    rows,
)


def days(**labelled):
    return {name: {"predictions": 100, "labelled": count} for name, count in labelled.items()}


@pytest.mark.parametrize("usual", [100, 40])
def test_a_day_whose_labels_are_still_coming_is_named(usual):
    late = days(a=usual, b=usual, c=usual, d=usual // 4)
    (fault,) = coverage_faults(late, 0.5, 50)
    assert fault.startswith(f"{usual // 4}% of the 100 predictions of d have labels, and {usual}% of an ordinary day's")
    assert list(coverage_faults(late, 0.2, 50)) == []
    assert list(coverage_faults(late, 0, 50)) == []


def test_where_every_day_has_few_labels_few_are_usual():
    assert list(coverage_faults(days(a=10, b=9, c=11, d=8), 0.5, 50)) == []
    assert list(coverage_faults(days(a=0, b=0, c=0), 0.5, 50)) == []


def test_what_says_too_little():
    assert list(coverage_faults({}, 0.5, 50)) == []
    assert list(coverage_faults(days(a=100, b=0), 0.5, 50)) == []
    few = days(a=100, b=100, c=100) | {"d": {"predictions": 49, "labelled": 0}}
    assert list(coverage_faults(few, 0.5, 50)) == []


def test_predictions_are_counted_by_event_date():
    table = rows(days=2)
    known = set(table["trip"][::2].tolist())
    counted = count_labels(SCHEMA, iter([select(table, slice(0, 450)), select(table, slice(450, None))]), known)
    assert counted == {day(n): {"predictions": PER_DAY, "labelled": PER_DAY // 2} for n in range(2)}


@pytest.fixture
def cloud(server: str) -> Cloud:
    return Cloud(server)


def test_the_manifest_says_how_many_predictions_of_the_holdout_have_labels(aws, spec_dir, tmp_path):
    table = rows()
    scored = table | {SCORE: np.full(len(table["trip"]), 0.5)}
    last = day(TRAINING_DAYS + HOLDOUT_DAYS - 1)
    for date, part in by_date(scored, SCHEMA.time).items():
        aws.put(LIVE, f"rows/{NAME}/{date}/aa.csv", write_rows(SCHEMA, {"capture-1": part}))
        labelled = select(part, slice(0, 30 if date == last else None))
        aws.put(LIVE, f"labelled/{NAME}/{date}/aa.csv", write_rows(SCHEMA, {"labels-1": labelled}, label=True))
    outputs = [part for name in ("training", "holdout", "manifest") for part in (f"--{name}", tmp_path / name)]
    arguments = ["--spec", spec_dir, "--live-bucket", LIVE, "--curated-bucket", CURATED, *WINDOWS]
    more = ["--holdout-end", HOLDOUT_END, *outputs, "--message", tmp_path / "message"]
    assert prepare.main([str(a) for a in (*arguments, *more)]) == 0
    manifest = json.loads((tmp_path / "manifest" / "manifest.json").read_text())
    full = {"predictions": PER_DAY, "labelled": PER_DAY}
    holdout = [day(TRAINING_DAYS + n) for n in range(HOLDOUT_DAYS)]
    assert manifest["labels"] == dict.fromkeys(holdout, full) | {last: {"predictions": PER_DAY, "labelled": 30}}
    aws.put(LIVE, f"rows/{NAME}/{last}/bb.csv", b"not,rows\n1,2\n")
    assert prepare.main([str(a) for a in (*arguments, *more)]) != 0
    assert f"rows/{NAME}/{last}/bb.csv cannot be read" in (tmp_path / "message").read_text()
