"""Real data: a version trained on January and February is worth having in March."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from driftloop.data.schema import Schema
from driftloop.data.tables import read_table
from driftloop.demo.flights import load_flights
from driftloop.monitoring.baseline import Baseline
from driftloop.monitoring.statistics import auc, log_loss
from driftloop.spec import load_model
from pipelines.steps import train
from pipelines.steps.inference import model_fn, score

ROOT = Path(__file__).resolve().parents[3]
WINDOWS = ["--window-start", "2013-01-01T00:00:00Z", "--window-end", "2013-03-01T00:00:00Z"]


@pytest.mark.filterwarnings("ignore:Series.dt.weekday is deprecated")
def test_winter_knows_march(tmp_path):
    spec = load_model(ROOT / "models" / "flight_delay" / "model.yaml")
    (tmp_path / "spec.json").write_text(json.dumps(spec.compiled()))
    flights = load_flights(spec)
    months = flights[spec.data.time].str[:7]
    (tmp_path / "rows.csv").write_text(flights[months < "2013-03"].to_csv(index=False))
    arguments = ["--spec", tmp_path / "spec.json", "--training", tmp_path, *WINDOWS, "--manifest-sha256", "ab" * 32]
    outputs = ["--model", tmp_path / "model", "--message", tmp_path / "failure"]
    assert train.main([str(argument) for argument in (*arguments, *outputs)]) == 0
    march = read_table(Schema.from_spec(spec.compiled()), flights[months == "2013-03"].to_csv(index=False).encode())
    scores = score(model_fn(str(tmp_path / "model")), march)
    assert auc(march["late"], scores) == pytest.approx(0.71, abs=0.02)
    assert log_loss(march["late"], scores) == pytest.approx(0.487, abs=0.01)
    baseline = Baseline.from_json((tmp_path / "model" / "baseline.json").read_bytes())
    assert sum(baseline.importance.values()) == pytest.approx(1)
    # Each day is one weekday, so days differ from their two months far more than random halves would.
    assert baseline.limits.input_drift > 0.1
