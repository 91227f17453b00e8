"""The steps one after the other, as the pipeline's jobs run them: from the zip, against S3 and SageMaker."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from driftloop.data.capture import SCORE
from driftloop.data.rows import by_date, write_rows
from driftloop.data.tables import read_table, write_table
from driftloop.monitoring.baseline import Baseline
from tests.unit.steps.cloud import Cloud
from tests.unit.steps.conftest import Run
from tests.unit.steps.examples import (
    BASE,
    CURATED,
    HOLDOUT_DAYS,
    HOLDOUT_END,
    LIVE,
    NAME,
    PER_DAY,
    SCHEMA,
    TRAINING_DAYS,
    WINDOW_END,
    WINDOWS,
    pack,
    rows,
)

LIVE_DAYS = 2


class Executed(NamedTuple):
    folder: Path
    manifest: dict
    evaluation: dict


@pytest.fixture(scope="module")
def executed(cloud: Cloud, run_step: Run, spec_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Executed:
    folder = tmp_path_factory.mktemp("run")
    table = rows()
    for number, (date, part) in enumerate(sorted(by_date(table, SCHEMA.time).items())):
        if number < TRAINING_DAYS + HOLDOUT_DAYS - LIVE_DAYS:
            cloud.put(CURATED, f"history/{NAME}/{date}.csv", write_table(SCHEMA, part))
        else:
            scored = part | {SCORE: np.full(len(part[SCHEMA.id]), 0.125)}
            cloud.put(LIVE, f"labelled/{NAME}/{date}/aa.csv", write_rows(SCHEMA, {"labels-1": scored}, label=True))
    spec, message = ["--spec", spec_dir], ["--message", folder / "message"]
    parts = [(f"--{name}", folder / name) for name in ("training", "holdout", "manifest")]
    data = [argument for part in parts for argument in part]
    windows = [*WINDOWS, "--holdout-end", HOLDOUT_END]
    buckets = ["--live-bucket", LIVE, "--curated-bucket", CURATED]
    _succeeds(run_step("prepare", *spec, *buckets, *windows, *data, *message))
    manifest = json.loads((folder / "manifest" / "manifest.json").read_text())
    _succeeds(run_step("validate", *spec, *windows, *data, *message))
    _succeeds(
        run_step(
            "train", *spec, "--training", folder / "training", *WINDOWS, "--manifest-sha256",
            manifest["manifest_sha256"], "--model", folder / "model", *message,
        )
    )  # fmt: skip
    pack(folder / "model", folder / "archive" / "model.tar.gz")
    _succeeds(
        run_step(
            "evaluate", *spec, "--holdout", folder / "holdout", "--model", folder / "archive", "--endpoint", BASE,
            "--window-end", WINDOW_END, "--holdout-end", HOLDOUT_END, "--evaluation", folder / "evaluation", *message,
        )
    )  # fmt: skip
    _succeeds(
        run_step(
            "refit", *spec, "--training", folder / "training", "--holdout", folder / "holdout", "--tested",
            folder / "archive", "--holdout-end", HOLDOUT_END, "--model", folder / "refitted", *message,
        )
    )  # fmt: skip
    return Executed(folder, manifest, json.loads((folder / "evaluation" / "evaluation.json").read_text()))


def _succeeds(done) -> None:
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") >= 2


def test_data_set_holds_every_row_without_identifiers_and_scores(executed):
    table = rows()
    known = set(table[SCHEMA.id].tolist())
    for name, days in (("training", TRAINING_DAYS), ("holdout", HOLDOUT_DAYS)):
        content = (executed.folder / name / "rows.csv").read_bytes()
        columns = read_table(SCHEMA, content)
        assert len(columns[SCHEMA.id]) == days * PER_DAY
        assert not known & set(columns[SCHEMA.id].tolist())
        assert content.startswith(b"trip,departure,line,delay,cars,late\n")
    # The holdout's last days came from live traffic and lost nothing on the way.
    assert _content(columns) == _content({name: values[-HOLDOUT_DAYS * PER_DAY :] for name, values in table.items()})


def _content(columns):
    """Rows without their ids; rows of the same second have no order."""
    names = ("departure", "line", "cars", "late")
    return sorted(zip(*(columns[name].tolist() for name in names), strict=True))


def test_manifest_pins_sources_and_files(executed, cloud):
    manifest = executed.manifest
    assert len(manifest["sources"]) == TRAINING_DAYS + HOLDOUT_DAYS
    for source in manifest["sources"]:
        content = cloud.s3.get_object(Bucket=source["bucket"], Key=source["key"])["Body"].read()
        assert (source["size"], source["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert {source["origin"] for source in manifest["sources"]} == {"live", "history"}
    for name, file in manifest["files"].items():
        assert file["sha256"] == hashlib.sha256((executed.folder / name).read_bytes()).hexdigest()
    content = {name: value for name, value in manifest.items() if name != "manifest_sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert manifest["manifest_sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_archive_is_complete(executed):
    with tarfile.open(executed.folder / "archive" / "model.tar.gz") as archive:
        names = set(archive.getnames())
    assert {"model.joblib", "spec.json", "baseline.json", "training.json", "code/inference.py"} <= names
    assert "code/driftloop/data/parsing.py" in names
    record = json.loads((executed.folder / "model" / "training.json").read_text())
    assert record["manifest_sha256"] == executed.manifest["manifest_sha256"]
    assert record["rows"] == TRAINING_DAYS * PER_DAY
    assert set(record["importance"]) == {"line", "delay", "cars"}
    # The label does not depend on the number of cars.
    assert record["importance"]["cars"] < min(record["importance"]["line"], record["importance"]["delay"])


def test_what_is_registered_has_learned_from_the_holdout_too(executed):
    record = json.loads((executed.folder / "refitted" / "training.json").read_text())
    assert record["windows"]["training"]["end"] == HOLDOUT_END
    assert record["rows"] == TRAINING_DAYS * PER_DAY
    loss = executed.evaluation["challenger"]["log_loss"]
    assert record["tested"]["metrics"]["holdout_log_loss"] == pytest.approx(loss, abs=1e-6)
    assert record["metrics"]["holdout_log_loss"] < loss


def test_evaluation_follows_the_contract(executed):
    evaluation = executed.evaluation
    assert set(evaluation) == {
        "metric", "rows", "challenger", "champion", "baseline_rate_log_loss", "slices", "gate", "holdout", "approval",
        "difference"
    }  # fmt: skip
    assert set(evaluation["gate"]) == {"decision", "reason", "advantage", "lower_bound", "margin"}
    assert evaluation["champion"] is None
    assert evaluation["difference"] is None
    assert set(evaluation["challenger"]) == {"log_loss", "auc", "calibration_error", "latency_s", "bytes"}
    assert evaluation["rows"] == HOLDOUT_DAYS * PER_DAY
    assert evaluation["gate"]["decision"] == "promote"
    assert evaluation["challenger"]["log_loss"] < evaluation["baseline_rate_log_loss"]
    assert evaluation["challenger"]["auc"] > 0.65
    assert set(evaluation["slices"]["line"]) == {"north", "south", "west"}
    assert evaluation["holdout"] == {"start": WINDOW_END, "end": HOLDOUT_END}


def test_baseline_beside_the_evaluation_is_the_archive_s(executed):
    text = (executed.folder / "evaluation" / "baseline.json").read_bytes()
    assert text == (executed.folder / "refitted" / "baseline.json").read_bytes()
    limits = Baseline.from_json(text).limits
    assert min(limits.input_drift, limits.prediction_drift, limits.quality_loss) > 0


def test_a_bad_data_set_fails_with_all_reasons(run_step, executed, spec_dir, tmp_path):
    table = rows()
    table["late"][:] = 1
    table["delay"][::3] = 900
    table["trip"][1] = table["trip"][0]
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "rows.csv").write_bytes(write_table(SCHEMA, table))
    done = run_step(
        "validate", "--spec", spec_dir, *WINDOWS, "--holdout-end", HOLDOUT_END, "--training", tmp_path / "training",
        "--holdout", executed.folder / "holdout", "--manifest", executed.folder / "manifest",
        "--message", tmp_path / "output" / "message",
    )  # fmt: skip
    assert done.returncode == 1
    message = (tmp_path / "output" / "message").read_text()
    assert message == done.stderr.strip()
    for reason in (
        "training: rows.csv is not the file that the manifest lists",
        "training: 1 rows repeat an id",
        f"training: {HOLDOUT_DAYS * PER_DAY} rows lie outside 2026-03-02T00:00:00Z to 2026-03-18T00:00:00Z",
        "training: late is 1 in all rows",
        "training: delay lies outside 0 to 100",
    ):
        assert reason in message.splitlines() or any(line.startswith(reason) for line in message.splitlines())


def test_a_step_that_does_not_exist_and_a_wrong_argument(run_step):
    done = run_step("deploy")
    assert (done.returncode, done.stderr) == (2, "which step? one of prepare, validate, train, evaluate, refit\n")
    wrong = run_step("train", "--spec", "x", "--window-start", "yesterday", "--window-end", WINDOW_END)
    assert wrong.returncode == 2
    assert "--window-start" in wrong.stderr
