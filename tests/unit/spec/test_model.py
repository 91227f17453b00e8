"""What a good model file becomes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data.schema import Feature, Schema
from driftloop.monitoring.calibration import MIN_BLOCKS, runs_of
from driftloop.names import ModelNames, model_of_endpoint
from driftloop.promotion.clustered import MIN_CLUSTERS
from driftloop.spec import find_models, load_model
from driftloop.spec.model import GATE_DAYS, MIN_RUNS, UNSEEN_SHARE, ModelSpec
from driftloop.spec.units import parse_duration, parse_percent, write_duration
from pipelines.steps.out_of_time import CUTS
from tests.fakes.examples import raw_spec

ROOT = Path(__file__).resolve().parents[3]

LONGEST_REGION = "ap-southeast-2"


def test_the_demo_model_compiles_to_plain_values() -> None:
    spec = load_model(ROOT / "models" / "flight_delay" / "model.yaml").compiled()
    assert spec["data"]["label_delay"] == 12 * 3600
    assert spec["training"]["window"] == 60 * 86400
    assert spec["serving"]["rollout"] == {
        "strategy": "canary", "canary": 0.1, "step": 0.25, "bake": 600, "shadow": None, "tolerance": 0.05,
    }  # fmt: skip
    assert spec["data"]["features"]["carrier"] == {"type": "category", "range": None, "max_missing": 0.5}
    assert list(spec["data"]["features"])[:3] == ["carrier", "origin", "dest"]


def test_the_schema_reads_the_compiled_form() -> None:
    schema = Schema.from_spec(ModelSpec.model_validate(raw_spec()).compiled())
    assert schema.payload == ("trip", "departure", "line", "delay")
    assert schema.features == (Feature("line", "category"), Feature("delay", "number", 0.0, 100.0))
    assert schema.label_delay == timedelta(hours=12)


def test_models_are_found_in_order_of_name(tmp_path: Path) -> None:
    for name in ("zeta", "alpha"):
        path = tmp_path / name / "model.yaml"
        path.parent.mkdir()
        text = (ROOT / "models" / "flight_delay" / "model.yaml").read_text(encoding="utf-8")
        path.write_text(text.replace("name: flight_delay", f"name: {name}"), encoding="utf-8")
    assert [spec.name for spec in find_models(tmp_path)] == ["alpha", "zeta"]


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("FALSE", False), ("yes", "yes")])
def test_booleans_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: object) -> None:
    path = tmp_path / "flight_delay" / "model.yaml"
    path.parent.mkdir()
    good = (ROOT / "models" / "flight_delay" / "model.yaml").read_text(encoding="utf-8")
    path.write_text(good.replace("max_iter: 100", f"early_stopping: {text}"), encoding="utf-8")
    assert load_model(path).training.hyperparameters["early_stopping"] == value


@given(number=st.integers(1, 3600), unit=st.sampled_from("smhd"))
def test_durations(number: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert parse_duration(f"{number}{unit}") == timedelta(seconds=number * seconds)


@pytest.mark.parametrize("bad", ["", "h", "1.5h", "-1h", "1 hour", "1H", 5, None, "1h1m"])
def test_what_is_no_duration(bad: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(bad)


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0%", 0), ("100 %", 1), ("2.5%", 0.025)])
def test_percentages(text: str, share: float) -> None:
    assert parse_percent(text) == share


@pytest.mark.parametrize("bad", ["10", "101%", "-1%", "%", 10, 0.1, "1e1%"])
def test_what_is_no_percentage(bad: object) -> None:
    with pytest.raises(ValueError, match="not a percentage"):
        parse_percent(bad)


@given(st.from_regex(r"\A[a-z][a-z0-9_]{0,26}[a-z0-9]\Z").filter(lambda name: name != "platform"))
def test_a_model_name_survives_the_way_to_its_resources_and_back(name: str) -> None:
    ModelSpec.model_validate(raw_spec(name=name))
    names = ModelNames(name)
    assert model_of_endpoint(names.base) == name
    assert len(names.role("promotion", LONGEST_REGION)) <= 64  # IAM
    assert len(names.version(99999)) <= 63  # SageMaker
    assert not names.base.endswith("-")


@pytest.mark.parametrize("foreign", ["other", "driftloop", "driftloop-", "mydriftloop-x"])
def test_a_foreign_endpoint_is_refused(foreign: str) -> None:
    with pytest.raises(ValueError, match="not a resource"):
        model_of_endpoint(foreign)


def _model(training: str, **monitoring: object) -> ModelSpec:
    return ModelSpec.model_validate(raw_spec(training={"window": training}, monitoring=monitoring))


@pytest.mark.parametrize(
    ("window", "length", "smoothing", "least"),
    [("19d", "1d", 7, "18d"), ("9d", "1d", 1, "8d"), ("45h", "1h", 23, "44h"), ("107d", "1d", 60, "106d")],
)
def test_the_shortest_training_window_from_which_limits_can_be_set(
    window: str, length: str, smoothing: int, least: str
) -> None:
    made = _model(window, window=length, smoothing=smoothing)
    unseen = round((made.training.window * UNSEEN_SHARE) // made.monitoring.window)
    assert len(runs_of(range(unseen), smoothing)) >= MIN_RUNS
    with pytest.raises(ValueError, match=f"write {window} or more"):
        _model(least, window=length, smoothing=smoothing)


def test_what_the_model_file_knows_of_limits_and_gate_is_so() -> None:
    assert MIN_RUNS == MIN_BLOCKS
    assert pytest.approx(1 - CUTS[0]) == UNSEEN_SHARE
    assert GATE_DAYS == MIN_CLUSTERS


@pytest.mark.parametrize("text", ["90s", "10m", "36h", "60d", "0d"])
def test_durations_are_written_as_they_are_read(text: str) -> None:
    assert write_duration(parse_duration(text)) == text


def test_the_bounds_themselves_are_allowed() -> None:
    linear = {"strategy": "linear", "step": "50%", "bake": "1h"}
    for rollout in (
        {"canary": "1%", "bake": "1h"},
        {"canary": "50%", "bake": "0s"},
        linear,
        {**linear, "step": "25%", "bake": "30m"},
    ):
        ModelSpec.model_validate(raw_spec(serving={"rollout": rollout}))
    raw = raw_spec(training={"holdout": "3d"}, retraining={"on": ["schedule"], "every": "60s"})
    assert ModelSpec.model_validate(raw).retraining.every == timedelta(minutes=1)
