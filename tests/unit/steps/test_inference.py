"""The model archive under SageMaker's serving toolkit, in a process that has nothing but the archive's code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from driftloop.data.archives import extract_archive
from driftloop.data.rows import select
from driftloop.data.tables import write_table
from pipelines.steps.inference import input_fn, model_fn, output_fn, predict_fn, score
from tests.unit.steps.examples import SCHEMA, rows

SERVE = Path(__file__).with_name("serve_requests.py")


@pytest.fixture(scope="module")
def model_dir(trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("serving")
    extract_archive((trained / "archive" / "model.tar.gz").read_bytes(), folder)
    return folder


def ask(model_dir, *requests):
    """Answers as (status, content type, body), from one process of the toolkit."""
    environment = {"SAGEMAKER_PROGRAM": "inference.py", "PYTHONPATH": str(model_dir / "code"), "HOME": str(model_dir)}
    done = subprocess.run(
        [sys.executable, str(SERVE), str(model_dir)], input=json.dumps(requests), env=environment,
        cwd=model_dir, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_answers_are_those_of_the_evaluation_and_bad_requests_are_refused(model_dir):
    table = select(rows(), slice(0, 50))
    table["line"][0], table["delay"][1] = "never seen", np.nan
    lines = [line.rpartition(",")[0] for line in write_table(SCHEMA, table).decode().splitlines()[1:]]
    bad_row = "a,2026-03-02T00:00:00Z,north,1,2\nb,2026-03-02T00:00:00Z,north,fast,2\n"
    good, short, wrong, foreign, broken = ask(
        model_dir,
        ["text/csv", "\n".join(lines) + "\n"],
        ["text/csv", "a,b\n"],
        ["text/csv", bad_row],
        ["application/json", "{}"],
        ["text/csv; charset=utf-8", 'a,"b'],
    )
    assert good[:2] == [200, "text/csv"]
    expected = score(model_fn(str(model_dir)), table)
    np.testing.assert_allclose([float(line) for line in good[2].splitlines()], expected, atol=5e-7)
    assert len(set(good[2].splitlines())) > 10
    assert (short[0], short[2].splitlines()[0]) == (
        400,
        "row 1: has 2 cells where the model file declares 5",
    )
    assert (wrong[0], wrong[2].splitlines()[0]) == (400, "row 2: delay 'fast' is not a number")
    assert (foreign[0], foreign[2].splitlines()[0]) == (
        415,
        "content type 'application/json' is not supported; send text/csv",
    )
    assert broken[0] == 400


def test_the_images_own_server_answers_a_refusal_with_its_status(trained, monkeypatch):
    """sagemaker-containers makes 500 of whatever is raised, so its own kind of response is returned."""
    framework = SimpleNamespace(worker=SimpleNamespace(Response=lambda **answer: answer))
    monkeypatch.setitem(sys.modules, "sagemaker_containers.beta.framework", framework)
    predictor = model_fn(str(trained / "model"))
    for content_type, status, reason in (("text/csv", 400, "row 1: has 2 cells"), ("text/html", 415, "'text/html' is")):
        answer = output_fn(predict_fn(input_fn("a,b\n", content_type), predictor), "text/csv")
        assert (answer["status"], answer["mimetype"]) == (status, "text/plain")
        assert reason in answer["response"]
    assert output_fn(np.array([0.5]), "text/csv") == ("0.500000\n", "text/csv")
