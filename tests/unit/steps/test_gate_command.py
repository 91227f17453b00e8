"""`driftloop gate` judges local models as the pipeline's evaluation does."""

from __future__ import annotations

import json
import shutil

import joblib
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from sklearn.dummy import DummyClassifier

from driftloop.cli import main
from driftloop.data.rows import select
from driftloop.data.tables import write_table
from tests.unit.steps.examples import PER_DAY, RAW, SCHEMA, TRAINING_DAYS, rows


@pytest.fixture
def files(trained, tmp_path):
    """Model file, rows and two models: what was trained, and one that knows nothing."""
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(RAW, sort_keys=False))
    holdout = select(rows(), slice(TRAINING_DAYS * PER_DAY, None))
    (tmp_path / "rows.csv").write_bytes(write_table(SCHEMA, holdout))
    shutil.copytree(trained / "model", tmp_path / "blind")
    saved = joblib.load(tmp_path / "blind" / "model.joblib")
    saved["classifier"] = DummyClassifier(strategy="prior").fit(np.zeros((10, 3)), [0, 1] * 5)
    joblib.dump(saved, tmp_path / "blind" / "model.joblib")
    return tmp_path


@pytest.fixture
def gate(files, trained):
    def run(*more, challenger=trained / "archive" / "model.tar.gz", champion=files / "blind", data=files / "rows.csv"):
        arguments = ["--challenger", challenger, "--data", data, "--spec", files / "model.yaml", *more]
        if champion:
            arguments += ["--champion", champion]
        return CliRunner().invoke(main, ["gate", *map(str, arguments)])

    return run


def test_a_better_challenger_is_promoted(gate):
    found = json.loads(gate("--json").stdout)
    assert found["decision"] == found["gate"]["decision"] == "promote"
    assert found["rows"] == 4 * PER_DAY
    assert found["gate"]["lower_bound"] > 0
    assert found["champion"]["auc"] == 0.5


def test_the_reason_is_told_in_words(gate, trained):
    said = gate(champion=trained / "model").stdout
    assert said.startswith("reject: challenger: log-loss")
    assert "equal" in said


def test_a_first_version_is_judged_without_a_champion(gate):
    said = gate(champion=None).stdout
    assert said.startswith("promote: first version: log-loss")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"challenger": "absent.tar.gz"}, "absent.tar.gz cannot be read: No such file or directory"),
        ({"data": "absent.csv"}, "absent.csv cannot be read: No such file or directory"),
    ],
)
def test_missing_files_are_named(gate, options, said):
    result = gate(**options)
    assert (result.exit_code, said in result.stderr) == (1, True)


def test_rows_that_the_challenger_has_learned_from_are_refused(gate, files):
    (files / "early.csv").write_bytes(write_table(SCHEMA, rows()))
    result = gate(data=files / "early.csv")
    assert result.exit_code == 1
    assert "the challenger was trained on rows up to 2026-03-18T00:00:00Z" in result.stderr


def test_faults_of_rows_are_named_with_their_line(gate, files):
    (files / "bad.csv").write_text((files / "rows.csv").read_text().replace("T0-4800", "", 1))
    result = gate(data=files / "bad.csv")
    assert result.exit_code == 1
    assert f"{files / 'bad.csv'}: line 2" in result.stderr
