"""A revision changes with what a version is trained from, and with nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from driftloop.ports import Resources
from driftloop.spec import ModelSpec, load_model
from infra.app import app
from infra.revision import LENGTH, training_revision
from tests.infra.conftest import HOST, HOURLY
from tests.infra.rendering import Template

CODE = "0123abcd"
TRAINING = "training: {instance: ml.c5.xlarge, max_runtime: 2h"


def spec(folder: Path, old: str = "", new: str = "") -> ModelSpec:
    """The hourly model with one change."""
    assert old in HOURLY
    folder = folder / "card_fraud"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yaml").write_text(HOURLY.replace(old, new) if old else HOURLY)
    return load_model(folder / "model.yaml")


def revision(folder: Path, old: str = "", new: str = "", code: str = CODE) -> str:
    return training_revision(code, spec(folder, old, new).compiled())


def test_it_is_twelve_digits_and_always_the_same(tmp_path: Path) -> None:
    found = revision(tmp_path)
    assert len(found) == LENGTH == 12
    assert int(found, 16) >= 0
    assert revision(tmp_path) == found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("every: 14d", "every: 14d, cooldown: 9d"),
        ("every: 14d", "every: 7d"),
        ("datapoints: 2", "datapoints: 3"),
        ("retraining:", "gate: {margin: 0.5}\nretraining:"),
        ("serving: {max_latency: 2s, http: true, rollout: {shadow: 6h}}", "serving: {count: 3}"),
        ("risk@example.com", "other@example.com"),
        ("Costs ${amount}", "Costs less"),
        ("instance: ml.c5.xlarge, max_runtime: 2h", "instance: ml.m5.large, max_runtime: 3h"),
    ],
)
def test_what_can_change_without_another_version_leaves_it_alone(tmp_path: Path, old: str, new: str) -> None:
    assert revision(tmp_path, old, new) == revision(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TRAINING, f"{TRAINING}, hyperparameters: {{max_iter: 20}}"),
        (TRAINING, f"{TRAINING}, seed: 4"),
        (TRAINING, f"{TRAINING}, window: 90d"),
        ("country: category", "country: category, age: integer"),
        ("{amount: number, country: category}", "{country: category, amount: number}"),
        ("label_delay: 2d", "label_delay: 3d"),
    ],
)
def test_what_a_version_is_made_from_changes_it(tmp_path: Path, old: str, new: str) -> None:
    assert revision(tmp_path, old, new) != revision(tmp_path)


def test_other_code_of_the_steps_is_another_revision(tmp_path: Path) -> None:
    assert revision(tmp_path, code="another") != revision(tmp_path)


def deployed(folder: Path) -> Resources:
    """What functions read of the model."""
    (parameter,) = Template.load(folder, "driftloop-card-fraud").of_type("AWS::SSM::Parameter").values()
    content: dict[str, Any] = json.loads(parameter["Value"])
    return Resources(**content["resources"])


def test_functions_are_told_it_and_a_cooldown_does_not_change_it(disposable: Path, built: None, tmp_path: Path) -> None:
    before = deployed(disposable).revision
    assert len(before) == LENGTH
    found = {}
    for name, old, new in (
        ("cooldown", "every: 14d", "every: 14d, cooldown: 9d"),
        ("hyperparameter", TRAINING, f"{TRAINING}, hyperparameters: {{max_iter: 20}}"),
    ):
        spec(tmp_path / name, old, new)
        app(tmp_path / name, HOST, outdir=tmp_path / f"out-{name}").synth()
        found[name] = deployed(tmp_path / f"out-{name}").revision
    assert found["cooldown"] == before
    assert found["hyperparameter"] != before
