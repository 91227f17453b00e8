"""Every training run is in MLflow, whatever became of it, and once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from driftloop.cli import tracking

from .examples import MODEL_FILES, TRAIN, TRAM
from .kit import Kit

READ = """
import json, pathlib, sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1], registry_uri=sys.argv[1])
found = {}
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        found.setdefault(experiment.name, []).append({
            **run.to_dictionary(), "files": {
                item.path: pathlib.Path(client.download_artifacts(run.info.run_id, item.path)).read_text()
                for item in client.list_artifacts(run.info.run_id)
            },
        })
versions = [
    {"name": one.name, "run": one.run_id, "source": one.source, "tags": one.tags}
    for one in client.search_model_versions()
]
champion = client.get_model_version_by_alias("driftloop-late-train", "champion")
print(json.dumps({"runs": found, "versions": versions, "champion": champion.run_id}))
"""


def read(folder: Path) -> dict[str, Any]:
    """All that is in the database, by MLflow's own client."""
    command = [str(tracking._PYTHON), "-c", READ, f"sqlite:///{folder}/mlflow.db"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def folder(served: Kit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's folder, written once."""
    place = tmp_path_factory.mktemp("mlflow")
    assert served.retrain(TRAM, "a run that fails").status == "failed"
    told = served.done("mlflow", "--no-ui", "--folder", place)
    assert f"{TRAIN}: {len(served.executions(TRAIN))} runs" in told
    assert f"{TRAM}: {len(served.executions(TRAM))} runs" in told
    return place


@pytest.fixture(scope="module")
def written(folder: Path) -> dict[str, Any]:
    """What is in it then."""
    return read(folder)


def test_a_run_says_what_it_was_made_from_and_what_became_of_it(served: Kit, written: dict[str, Any]) -> None:
    champion = served.ledger.champion(TRAIN)
    assert champion
    runs = written["runs"]["driftloop-late-train"]
    [run] = [one for one in runs if one["data"]["tags"].get("driftloop.model_package_arn") == champion.package_arn]
    data = run["data"]
    assert run["info"]["status"] == "FINISHED"
    assert run["info"]["start_time"] < run["info"]["end_time"]
    assert data["params"]["hyperparameters.max_iter"] == "20"
    assert data["params"]["training.start"] < data["params"]["training.end"]
    assert data["metrics"]["challenger.log_loss"] < data["metrics"]["training_rows"]
    assert data["tags"]["driftloop.gate.decision"] == "promote"
    assert data["tags"]["driftloop.reason"] == "the first version"
    assert data["tags"]["driftloop.serves"] == "yes"
    inputs = run["inputs"]["dataset_inputs"]
    assert {value for one in inputs for value in one["tags"].values()} == {"training", "holdout"}
    manifest = json.loads(run["files"]["manifest.json"])
    assert {one["dataset"]["digest"] for one in inputs} == {manifest["manifest_sha256"][:36]}
    signature = json.loads(run["files"]["signature.json"])
    assert [column["name"] for column in json.loads(signature["inputs"])] == ["line", "delay", "cars"]
    assert {"evaluation.json", "training.json", "spec.json"} <= run["files"].keys()
    [version] = [one for one in written["versions"] if one["run"] == run["info"]["run_id"]]
    assert written["champion"] == run["info"]["run_id"]
    assert version["tags"]["driftloop.approval"] == "Approved"
    assert version["source"].endswith("/model.tar.gz")


def test_a_run_that_failed_is_there_with_its_reason(written: dict[str, Any]) -> None:
    runs = written["runs"]["driftloop-full-tram"]
    failed = [one for one in runs if one["info"]["status"] == "FAILED"]
    assert failed
    assert all(one["data"]["tags"]["driftloop.outcome"] for one in failed)


def test_again_nothing_is_written_twice(served: Kit, folder: Path, written: dict[str, Any]) -> None:
    told = served.done("mlflow", "--no-ui", "--folder", folder)
    count = sum(len(served.executions(model)) for model in MODEL_FILES)
    assert f"0 created, 0 updated, {count} unchanged" in told
    assert read(folder) == written


def test_what_cannot_be_reached_is_said(served: Kit) -> None:
    refused = served.run("mlflow", TRAIN, "--no-ui", "--tracking-uri", "nonsense://here")
    assert refused.exit_code == 1
    assert "MLflow refused the runs at nonsense://here:" in refused.output
    unknown = served.run("mlflow", "nobody", "--no-ui")
    assert "no model 'nobody' is deployed" in unknown.output
