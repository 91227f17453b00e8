from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from driftloop.data.manifests import digest
from driftloop.data.rows import concatenate, select
from driftloop.data.tables import write_table
from driftloop.data.windows import Window
from pipelines.steps import validate
from pipelines.steps.manifest import build_manifest
from pipelines.steps.validate import table_faults, window_faults
from tests.unit.steps.examples import HOLDOUT_END, SCHEMA, SPEC, START, WINDOWS, rows

MIDDLE, END = datetime(2026, 3, 18, tzinfo=UTC), datetime(2026, 3, 22, tzinfo=UTC)
WINDOW = Window(START, END)


def faults(table, min_rows=100):
    return list(table_faults(SCHEMA, table, WINDOW, min_rows))


def test_good_rows_have_no_faults():
    assert faults(rows()) == []


def test_a_few_unreal_values_are_borne_and_many_are_not():
    table = rows()
    table["delay"][:50] = 1e9
    assert faults(table) == []
    table["delay"][:500] = -5
    assert faults(table) == [faults(table)[0]]
    assert faults(table)[0].startswith("delay lies outside 0 to 100 in ")
    assert "from -5 to" in faults(table)[0]


def test_missing_share_whole_numbers_and_size():
    table = rows(days=1)
    table["delay"][:200] = np.nan
    table["line"][:200] = ""
    table["cars"][3] = 2.5
    found = faults(table, min_rows=301)
    assert found[0] == "300 rows, and at least 301 are needed"
    assert [fault.split(" ")[0] for fault in found[1:]] == ["line", "delay", "cars"]
    assert "cars is not a whole number in 1 rows, e.g. 2.5" in found


def test_one_class_and_no_rows():
    table = rows(days=1)
    table["late"][:] = 0
    assert faults(table) == ["late is 0 in all rows; both classes are needed"]
    assert faults(select(table, slice(0, 0))) == ["0 rows, and at least 100 are needed"]


def test_windows_that_are_too_few_to_set_limits_say_what_to_change():
    """The first four of ten days are learned from before anything is predicted."""
    times = rows(days=10)["departure"]
    monitoring = {"window": 86400, "min_rows": 300, "smoothing": 2}
    assert list(window_faults(times, monitoring)) == []
    assert list(window_faults(times, {**monitoring, "min_rows": 301})) == [
        "0 of the last 6 windows of 24 h have monitoring.min_rows (301) rows (half of all have 300 or more), and at least 6 are "
        "needed to set limits for a monitoring.smoothing of 2: lower min_rows or smoothing, or lengthen monitoring.window or "
        "training.window"
    ]
    assert len(list(window_faults(times, {**monitoring, "smoothing": 3}))) == 1
    assert list(window_faults(times[:0], monitoring)) == []


@pytest.fixture
def data_set(tmp_path, spec_dir):
    """A data set with a true manifest; the function runs the step on it."""

    def run(training, holdout, labels=None, **changes):
        files = {}
        for name, table in (("training", training), ("holdout", holdout)):
            content = table if isinstance(table, bytes) else write_table(SCHEMA, table)
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "rows.csv").write_bytes(content)
            files[f"{name}/rows.csv"] = {"sha256": digest(content)}
        windows = {"training": Window(START, MIDDLE), "holdout": Window(MIDDLE, END)}
        manifest = build_manifest(SPEC, windows, [], files, labels) | changes
        (tmp_path / "manifest").mkdir(exist_ok=True)
        (tmp_path / "manifest" / "manifest.json").write_text(json.dumps(manifest))
        parts = [part for name in ("training", "holdout", "manifest") for part in (f"--{name}", str(tmp_path / name))]
        message = ["--message", str(tmp_path / "message")]
        status = validate.main(["--spec", str(spec_dir), *WINDOWS, "--holdout-end", HOLDOUT_END, *parts, *message])
        return status, (tmp_path / "message").read_text().splitlines() if status else []

    return run


def test_a_true_data_set_passes(data_set):
    assert data_set(rows(days=16), rows(first_day=16, days=4)) == (0, [])


def test_a_holdout_whose_labels_are_still_coming_is_refused(data_set):
    labels = {f"2026-03-{day}": {"predictions": 300, "labelled": 300 if day < 21 else 60} for day in range(18, 22)}
    status, (reason,) = data_set(rows(days=16), rows(first_day=16, days=4), labels)
    assert status == 1
    assert reason.startswith("holdout: 20% of the 300 predictions of 2026-03-21 have labels, and 100% of an ordinary")


def test_an_id_in_both_parts_is_a_leak(data_set):
    holdout = rows(first_day=16, days=4)
    holdout["trip"][0] = "T0-5"
    assert data_set(rows(days=16), holdout) == (1, ["1 ids are in the training and in the holdout rows"])


def test_unreadable_rows_and_a_foreign_manifest_are_told_together(data_set):
    status, reasons = data_set(b"trip\n", rows(first_day=16, days=4), windows={}, spec_sha256="0")
    assert status == 1
    assert reasons[:3] == [
        "the manifest does not have the content that its hash was made of",
        "the data set was made with another model file",
        "the data set was made for other windows",
    ]
    assert reasons[3].startswith("training: header is not trip,departure,line,delay,cars,late")


def test_a_manifest_that_was_edited_is_refused(data_set):
    status, reasons = data_set(rows(days=16), rows(first_day=16, days=4), manifest_sha256="0" * 64)
    assert (status, reasons) == (1, ["the manifest does not have the content that its hash was made of"])


def test_a_feature_that_gives_the_label_away_is_refused(data_set):
    tables = rows(days=16), rows(first_day=16, days=4)
    for table in tables:
        table["cars"] = np.where(table["late"] == 1, 2.0, 11.0)
    status, reasons = data_set(*tables)
    assert status == 1
    assert [reason.partition(" with")[0] for reason in reasons] == ["cars alone tells late"]


def test_labels_that_contradict_each_other_are_refused(data_set):
    training = rows(days=16)
    again = select(training, slice(0, 500))
    again |= {"trip": again["trip"] + "x", "late": 1 - again["late"]}
    status, reasons = data_set(concatenate([training, again]), rows(first_day=16, days=4))
    assert status == 1
    [reason] = reasons
    assert reason.startswith("training: 18.9% of rows have the same time and features as a row with the other late")
