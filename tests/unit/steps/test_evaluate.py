from __future__ import annotations

import json
import shutil

import joblib
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from driftloop.data.rows import select
from driftloop.data.tables import write_table
from pipelines.steps import evaluate
from pipelines.steps.champion import find_champion
from pipelines.steps.step import StepError
from tests.unit.steps.cloud import Cloud
from tests.unit.steps.examples import BASE, HOLDOUT_END, SCHEMA, TRAINING_DAYS, WINDOW_END, compiled, pack, rows


@pytest.fixture
def cloud(server: str) -> Cloud:
    """Each test has its own champion."""
    return Cloud(server)


@pytest.fixture
def judged(aws, trained, spec_dir, tmp_path):
    """Run the step on the trained challenger; exit status and evaluation or message."""
    (tmp_path / "holdout").mkdir()
    holdout = select(rows(), slice(TRAINING_DAYS * 300, None))
    (tmp_path / "holdout" / "rows.csv").write_bytes(write_table(SCHEMA, holdout))

    def run():
        arguments = ["--spec", spec_dir, "--holdout", tmp_path / "holdout", "--model", trained / "archive"]
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


def test_a_champion_that_learned_from_the_holdout_is_not_compared_with(aws, judged, archive):
    def retrained_later(folder):
        record = json.loads((folder / "training.json").read_text())
        record["windows"]["training"]["end"] = "2026-03-19T00:00:00Z"
        (folder / "training.json").write_text(json.dumps(record))

    aws.serve(archive(retrained_later), f"{BASE}-v1")
    status, message = judged()
    assert status == 1
    assert message.startswith("the champion was trained on rows up to 2026-03-19T00:00:00Z and the holdout starts at")


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
def test_a_champion_that_cannot_be_opened_is_named(aws, judged, tmp_path, content):
    (tmp_path / "broken").write_bytes(content)
    uri = aws.serve(tmp_path / "broken", f"{BASE}-v1")
    status, message = judged()
    assert status == 1
    assert message.startswith(f"{uri} is not a model archive")


def test_a_champion_whose_archive_is_gone_is_named(aws, judged, trained):
    uri = aws.serve(trained / "archive" / "model.tar.gz", f"{BASE}-v1")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    aws.s3.delete_object(Bucket=bucket, Key=key)
    status, message = judged()
    assert status == 1
    assert message.startswith(f"{uri} cannot be read")


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
