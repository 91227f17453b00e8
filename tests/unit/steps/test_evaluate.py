from __future__ import annotations

import json
import shutil
import time

import joblib
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from driftloop.data.rows import select
from driftloop.data.tables import write_table
from driftloop.monitoring.statistics import log_loss
from pipelines.steps import evaluate
from pipelines.steps.champion import find_champion
from pipelines.steps.step import StepError
from tests.unit.steps.cloud import Cloud
from tests.unit.steps.examples import (
    BASE,
    HOLDOUT_END,
    PER_DAY,
    SCHEMA,
    TRAINING_DAYS,
    WINDOW_END,
    compiled,
    pack,
    rows,
)


@pytest.fixture
def cloud(server: str) -> Cloud:
    """Each test has its own champion."""
    return Cloud(server)


@pytest.fixture
def judged(aws, trained, spec_dir, tmp_path):
    """Run the step on the trained challenger; exit status and evaluation or message."""
    (tmp_path / "holdout").mkdir()
    holdout = select(rows(), slice(TRAINING_DAYS * PER_DAY, None))
    (tmp_path / "holdout" / "rows.csv").write_bytes(write_table(SCHEMA, holdout))

    def run(model=trained / "archive", approval="PendingManualApproval", spec=spec_dir):
        arguments = ["--spec", spec, "--approval", approval, "--holdout", tmp_path / "holdout", "--model", model]
        windows = ["--endpoint", BASE, "--window-end", WINDOW_END, "--holdout-end", HOLDOUT_END]
        outputs = ["--evaluation", tmp_path / "evaluation", "--message", tmp_path / "message"]
        status = evaluate.main([str(argument) for argument in (*arguments, *windows, *outputs)])
        if status:
            return status, (tmp_path / "message").read_text()
        return status, json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())

    return run


@pytest.fixture
def archive(trained, tmp_path):
    """The trained version with changes, as another archive."""

    def change(edit):
        folder = tmp_path / "other"
        shutil.copytree(trained / "model", folder)
        edit(folder)
        return pack(folder, tmp_path / "other.tar.gz")

    return change


def _blind(folder):
    """A champion that knows the rate and nothing else."""
    saved = joblib.load(folder / "model.joblib")
    table = rows(days=TRAINING_DAYS)
    saved["classifier"] = DummyClassifier(strategy="prior").fit(np.zeros((len(table["late"]), 3)), table["late"])
    joblib.dump(saved, folder / "model.joblib")


def test_the_champion_is_never_replaced_by_itself(aws, judged, trained):
    uri = aws.serve(trained / "archive" / "model.tar.gz", f"{BASE}-v1")
    status, evaluation = judged()
    assert status == 0
    assert evaluation["gate"]["decision"] == "reject"
    assert evaluation["gate"]["advantage"] == 0
    champion = evaluation["champion"]
    assert (champion["model_data_url"], champion["endpoint_config"]) == (uri, f"{BASE}-v1")
    assert champion["log_loss"] == evaluation["challenger"]["log_loss"]
    assert all(part["champion"] == part["challenger"] for part in evaluation["slices"]["line"].values())


def test_a_blind_champion_is_replaced(aws, judged, archive):
    aws.serve(archive(_blind), f"{BASE}-v1")
    status, evaluation = judged()
    assert (status, evaluation["gate"]["decision"]) == (0, "promote")
    assert evaluation["gate"]["lower_bound"] > 0
    assert evaluation["champion"]["auc"] == 0.5
    assert evaluation["gate"]["advantage"] == pytest.approx(
        evaluation["champion"]["log_loss"] - evaluation["challenger"]["log_loss"]
    )


def _fitted_until(end):
    """A change of an archive: its version is blind, and has learned from rows up to then."""

    def edit(folder):
        _blind(folder)
        record = json.loads((folder / "training.json").read_text())
        record["windows"]["training"]["end"] = end
        (folder / "training.json").write_text(json.dumps(record))

    return edit


def test_only_rows_that_the_champion_has_not_learned_from_are_compared(aws, judged, archive):
    aws.serve(archive(_fitted_until("2026-03-19T00:00:00Z")), f"{BASE}-v1")
    status, evaluation = judged()
    assert status == 0
    assert evaluation["holdout"] == {"start": "2026-03-19T00:00:00Z", "end": HOLDOUT_END}
    assert evaluation["rows"] == 3 * PER_DAY
    assert sum(part["rows"] for part in evaluation["slices"]["line"].values()) <= 3 * PER_DAY
    assert evaluation["gate"]["decision"] == "promote"
    assert "on 900 rows of 3 days" in evaluation["gate"]["reason"]
    table = select(rows(), slice((TRAINING_DAYS + 1) * PER_DAY, None))
    rate = rows(days=TRAINING_DAYS)["late"].mean()
    assert evaluation["champion"]["log_loss"] == pytest.approx(log_loss(table["late"], np.full(3 * PER_DAY, rate)))


@pytest.mark.parametrize(
    ("end", "left"), [("2026-03-20T00:00:00Z", "600 rows of 2 days"), ("2026-04-01T00:00:00Z", "0 rows of 0 days")]
)
def test_too_few_days_that_the_champion_has_not_learned_from_are_refused_with_a_date(aws, judged, archive, end, left):
    aws.serve(archive(_fitted_until(end)), f"{BASE}-v1")
    status, message = judged()
    assert status == 1
    assert message.startswith(f"the champion was fitted on rows up to {end}, which leaves {left} of the holdout")
    labels, known = {"20": ("03-23", "03-23T12"), "01": ("04-04", "04-04T12")}[end[8:10]]
    assert message.endswith(f"retrain when labels up to 2026-{labels}T00:00:00Z are known, from 2026-{known}:00:00Z on")


def test_a_challenger_that_learned_from_the_holdout_is_refused(aws, judged, trained, spec_dir, archive, tmp_path):
    (tmp_path / "model").mkdir()
    archive(_fitted_until("2026-03-19T00:00:00Z")).rename(tmp_path / "model" / "model.tar.gz")
    status, message = judged(tmp_path / "model")
    assert status == 1
    assert message.startswith("the challenger was trained on rows up to 2026-03-19T00:00:00Z and the holdout starts")


def test_a_champion_of_an_older_model_file_is_scored_on_what_it_still_gets(aws, judged, archive, capsys):
    def knew_more(folder):
        _blind(folder)
        spec = compiled()
        spec["data"]["features"]["guard"] = {"type": "category", "range": None, "max_missing": 0.5}
        spec["data"]["id"] = "journey"
        (folder / "spec.json").write_text(json.dumps(spec))
        saved = joblib.load(folder / "model.joblib")
        saved["categories"]["guard"] = ["yes", "no"]
        saved["classifier"] = DummyClassifier(strategy="prior").fit(np.zeros((10, 4)), [0, 1] * 5)
        joblib.dump(saved, folder / "model.joblib")

    aws.serve(archive(knew_more), f"{BASE}-v1")
    status, evaluation = judged()
    assert status == 0
    assert evaluation["champion"]["log_loss"] == pytest.approx(np.log(2))
    assert "category guard that the model file no longer has" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"not an archive", b""])
def test_about_a_champion_that_cannot_be_opened_a_person_is_asked(aws, judged, tmp_path, content):
    (tmp_path / "broken").write_bytes(content)
    uri = aws.serve(tmp_path / "broken", f"{BASE}-v1")
    status, evaluation = judged(approval="Approved")
    assert (status, evaluation["gate"]["decision"], evaluation["champion"]) == (0, "ask", None)
    assert f"the champion could not be compared: {uri} is not a model archive" in evaluation["gate"]["reason"]
    assert evaluation["approval"] == "PendingManualApproval"


def test_about_a_champion_whose_archive_is_gone_a_person_is_asked(aws, judged, trained):
    uri = aws.serve(trained / "archive" / "model.tar.gz", f"{BASE}-v1")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    aws.s3.delete_object(Bucket=bucket, Key=key)
    status, evaluation = judged()
    assert (status, evaluation["gate"]["decision"]) == (0, "ask")
    assert f"{uri} cannot be read" in evaluation["gate"]["reason"]


class Stubborn:
    """A classifier that was saved and cannot predict any more."""

    def predict_proba(self, matrix):
        raise AttributeError("attribute of a later library version")


class Slow(DummyClassifier):
    def predict_proba(self, matrix):
        time.sleep(0.05)
        return super().predict_proba(matrix)


class Noughts(DummyClassifier):
    def predict_proba(self, matrix):
        return np.full((len(matrix), 2), np.nan)


def _with(classifier):
    """A change of an archive: another classifier."""

    def edit(folder):
        saved = joblib.load(folder / "model.joblib")
        if isinstance(classifier, DummyClassifier):
            classifier.fit(np.zeros((4, 3)), [0, 1, 0, 1])
        joblib.dump(saved | {"classifier": classifier}, folder / "model.joblib")

    return edit


def test_about_a_champion_that_cannot_predict_any_more_a_person_is_asked(aws, judged, archive):
    aws.serve(archive(_with(Stubborn())), f"{BASE}-v1")
    status, evaluation = judged()
    assert (status, evaluation["gate"]["decision"]) == (0, "ask")
    assert "the champion cannot score the holdout: AttributeError: attribute of a later" in evaluation["gate"]["reason"]


@pytest.fixture
def challenger(archive, tmp_path):
    """The folder of a challenger with another classifier."""

    def make(classifier):
        (tmp_path / "model").mkdir()
        archive(_with(classifier)).rename(tmp_path / "model" / "model.tar.gz")
        return tmp_path / "model"

    return make


def test_a_challenger_that_throws_fails_the_step(aws, judged, challenger):
    status, message = judged(challenger(Stubborn()))
    assert status == 1
    assert message.startswith("the challenger cannot score the holdout: AttributeError")


@pytest.mark.parametrize(
    ("classifier", "said"),
    [
        (Noughts(), "answers 1200 of 1200 rows with what is no probability, such as nan"),
        (DummyClassifier(strategy="prior"), "answers 0.5 to every one of 1200 rows"),
    ],
)
def test_a_challenger_without_predictions_is_rejected(aws, judged, challenger, classifier, said):
    status, evaluation = judged(challenger(classifier))
    assert (status, evaluation["gate"]["decision"]) == (0, "reject")
    assert said in evaluation["gate"]["reason"]


def test_a_slow_challenger_is_rejected(aws, judged, challenger, tmp_path):
    spec = compiled()
    spec["gate"]["latency"] = 0.02
    (tmp_path / "slow.json").write_text(json.dumps(spec))
    status, evaluation = judged(challenger(Slow(strategy="stratified", random_state=1)), spec=tmp_path / "slow.json")
    assert (status, evaluation["gate"]["decision"]) == (0, "reject")
    assert "an answer to one row takes 0.05" in evaluation["gate"]["reason"]


def test_the_approval_is_the_pipeline_s_if_nobody_has_to_be_asked(aws, judged, archive):
    aws.serve(archive(_blind), f"{BASE}-v1")
    assert judged(approval="Approved")[1]["approval"] == "Approved"


def test_no_endpoint_means_no_champion(aws):
    assert find_champion(aws.sagemaker, BASE) is None


def test_an_endpoint_with_two_variants_is_refused(aws):
    aws.sagemaker.create_model(
        ModelName="m", ExecutionRoleArn="arn:aws:iam::123456789012:role/x", PrimaryContainer={"Image": "i"}
    )
    variants = [
        {"VariantName": name, "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        for name in "ab"
    ]
    aws.sagemaker.create_endpoint_config(EndpointConfigName="two", ProductionVariants=variants)
    aws.sagemaker.create_endpoint(EndpointName="two", EndpointConfigName="two")
    with pytest.raises(StepError, match="two has 2 variants"):
        find_champion(aws.sagemaker, "two")
