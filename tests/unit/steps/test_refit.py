"""The version that passed the gate, fitted again on the rows that the gate judged on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import joblib
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from driftloop.data.rows import select
from driftloop.data.tables import write_table
from driftloop.data.windows import Window
from driftloop.monitoring.statistics import log_loss
from pipelines.steps import refit
from pipelines.steps.inference import model_fn, score
from pipelines.steps.step import StepError
from tests.unit.steps.examples import (
    HOLDOUT_DAYS,
    HOLDOUT_END,
    PER_DAY,
    SCHEMA,
    SPEC,
    TRAINING_DAYS,
    WINDOW_END,
    WINDOW_START,
    day,
    pack,
    rows,
)

TRAINING_ROWS = TRAINING_DAYS * PER_DAY
HOLDOUT = select(rows(), slice(TRAINING_ROWS, None))
LATEST = select(rows(), slice(HOLDOUT_DAYS * PER_DAY, None))
"""As many days as the tested version learned from, up to the end of the holdout."""


@pytest.fixture(scope="module")
def holdout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("holdout")
    (folder / "rows.csv").write_bytes(write_table(SCHEMA, HOLDOUT))
    return folder


@pytest.fixture(scope="module")
def run(trained, spec_dir, holdout):
    """Run the step; exit status and message."""

    def run(out, tested=trained / "archive", holdout=holdout):
        arguments = ["--spec", spec_dir, "--training", trained / "training", "--holdout", holdout, "--tested", tested]
        outputs = ["--holdout-end", HOLDOUT_END, "--model", out / "model", "--message", out / "failure"]
        status = refit.main([str(argument) for argument in (*arguments, *outputs)])
        return status, (out / "failure").read_text() if status else ""

    return run


@pytest.fixture(scope="module")
def refitted(run, tmp_path_factory):
    """What the step wrote."""
    folder = tmp_path_factory.mktemp("refitted")
    assert run(folder) == (0, "")
    return folder / "model"


def test_it_has_learned_from_as_many_days_up_to_the_holdouts_end(refitted):
    expected = refit.fit_all(SCHEMA, LATEST, SPEC["training"])
    assert (score(model_fn(str(refitted)), rows()) == score(expected, rows())).all()


def test_the_baseline_is_the_one_that_the_evaluation_keeps(refitted, trained):
    assert (refitted / "baseline.json").read_bytes() == (trained / "model" / "baseline.json").read_bytes()


def test_the_record_says_what_it_was_made_from(refitted, trained):
    record = json.loads((refitted / "training.json").read_text())
    tested = json.loads((trained / "model" / "training.json").read_text())
    assert record["windows"] == {"training": {"start": f"{day(HOLDOUT_DAYS)}T00:00:00Z", "end": HOLDOUT_END}}
    assert record["rows"] == TRAINING_DAYS * PER_DAY
    assert record["positive_rate"] == pytest.approx(LATEST["late"].mean())
    for same in ("manifest_sha256", "importance", "seed", "versions"):
        assert record[same] == tested[same]
    assert record["tested"]["windows"] == {"training": {"start": WINDOW_START, "end": WINDOW_END}}
    before = score(model_fn(str(trained / "model")), HOLDOUT)
    losses = {"holdout_log_loss": pytest.approx(log_loss(HOLDOUT["late"], before), abs=1e-6)}
    assert record["tested"]["metrics"] == {**tested["metrics"], **losses}
    after = score(model_fn(str(refitted)), HOLDOUT)
    assert record["metrics"]["holdout_log_loss"] == pytest.approx(log_loss(HOLDOUT["late"], after), abs=1e-6)
    assert record["metrics"]["holdout_log_loss"] < record["tested"]["metrics"]["holdout_log_loss"]


def test_the_archive_has_the_members_of_every_version(refitted, trained):
    names = [{str(path.relative_to(f)) for path in f.rglob("*")} for f in (refitted, trained / "model")]
    assert names[0] == names[1]


def test_fitting_twice_gives_the_same_files(run, refitted, tmp_path):
    assert run(tmp_path) == (0, "")
    for path in (path for path in refitted.rglob("*") if path.is_file()):
        assert (tmp_path / "model" / path.relative_to(refitted)).read_bytes() == path.read_bytes(), path


def test_it_is_made_with_what_the_tested_version_was_tuned_to(run, trained, tmp_path):
    folder = tmp_path / "tuned"
    shutil.copytree(trained / "model", folder)
    tuned = {**SPEC["training"], "hyperparameters": {"max_iter": 40}}
    (folder / "spec.json").write_text(json.dumps(SPEC | {"training": tuned}))
    pack(folder, tmp_path / "tested" / "model.tar.gz")
    assert run(tmp_path, tmp_path / "tested") == (0, "")
    assert json.loads((tmp_path / "model" / "spec.json").read_text())["training"] == tuned
    expected = refit.fit_all(SCHEMA, LATEST, tuned)
    assert (score(model_fn(str(tmp_path / "model")), rows()) == score(expected, rows())).all()


def test_a_version_that_is_worse_on_rows_it_has_seen_is_not_registered(run, trained, tmp_path):
    """The tested version knows the holdout by heart, which no fit on more rows can keep up with."""
    folder = tmp_path / "other"
    shutil.copytree(trained / "model", folder)
    saved = joblib.load(folder / "model.joblib")
    oracle = refit.fit_all(SCHEMA, HOLDOUT, {**SPEC["training"], "hyperparameters": {"max_iter": 200}})
    joblib.dump(saved | {"classifier": oracle.classifier, "categories": oracle.categories}, folder / "model.joblib")
    pack(folder, tmp_path / "tested" / "model.tar.gz")
    status, message = run(tmp_path, tmp_path / "tested")
    losses = [log_loss(HOLDOUT["late"], score(version, HOLDOUT)) for version in (_latest(), oracle)]
    assert losses[0] > losses[1]
    assert status == 1
    assert message == (
        f"the refitted version has log-loss {losses[0]:.6f} on the holdout, and the version that passed the gate "
        f"{losses[1]:.6f}: it has learned from these rows and must not be worse on them"
    )
    assert not (tmp_path / "model").exists()


def _latest():
    return refit.fit_all(SCHEMA, LATEST, SPEC["training"])


def test_a_holdout_longer_than_the_window_is_learned_from_in_full():
    start = datetime(2026, 3, 2, tzinfo=UTC)
    tested = Window(start, start + timedelta(days=3))
    assert refit.refitted_window(tested, start + timedelta(days=4)) == Window(
        tested.start + timedelta(days=1), start + timedelta(days=4)
    )
    assert refit.refitted_window(tested, start + timedelta(days=9)) == Window(tested.end, start + timedelta(days=9))


class _Broken:
    """Answers what no classifier should."""

    def __init__(self, *values):
        self.values = values

    def predict_proba(self, matrix):
        scores = np.resize(np.array(self.values), len(matrix))
        return np.column_stack([1 - scores, scores])


@pytest.mark.parametrize(
    ("classifier", "reason"),
    [
        (_Broken(0.25, np.nan), "600 scores of the refitted version are no numbers"),
        (_Broken(0.25), "the refitted version answers 0.250000 to every row of the holdout"),
    ],
)
def test_scores_that_say_nothing_are_refused(trained, classifier, reason):
    tested = model_fn(str(trained / "model"))
    with pytest.raises(StepError, match=reason):
        refit.check(tested, replace(tested, classifier=classifier), HOLDOUT)


def test_a_tested_version_without_a_finite_loss_is_refused(trained):
    tested = model_fn(str(trained / "model"))
    with pytest.raises(StepError, match="the version that passed the gate nan"):
        refit.check(replace(tested, classifier=_Broken(np.nan)), tested, HOLDOUT)


def test_a_constant_is_never_registered(trained):
    tested = model_fn(str(trained / "model"))
    constant = DummyClassifier(strategy="prior").fit(np.zeros((10, 3)), [0, 1] * 5)
    with pytest.raises(StepError, match=r"answers 0\.500000 to every row"):
        refit.check(replace(tested, classifier=constant), replace(tested, classifier=constant), HOLDOUT)


def test_what_is_missing_is_named(run, tmp_path):
    (tmp_path / "empty").mkdir()
    status, message = run(tmp_path, tmp_path / "empty")
    assert status == 1
    assert message == f"{tmp_path / 'empty' / 'model.tar.gz'} is missing: the step before did not write it"
    (tmp_path / "rows.csv").write_text("trip,departure\n")
    status, message = run(tmp_path, holdout=tmp_path)
    assert status == 1
    assert message.startswith(f"{tmp_path / 'rows.csv'}: ")
