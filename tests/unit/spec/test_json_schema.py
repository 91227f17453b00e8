"""The committed JSON Schema is current and agrees with the loader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from driftloop.spec.json_schema import model_schema

ROOT = Path(__file__).resolve().parents[3]

_NUMBER = re.compile(r"[0-9.]+")
COMMITTED = ROOT / "docs" / "reference" / "model.schema.json"


def _flight_delay() -> dict[str, Any]:
    text = (ROOT / "models" / "flight_delay" / "model.yaml").read_text(encoding="utf-8")
    value: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes plain text only
    # YAML 1.1 reads the key `on` as a boolean, so numbers are put back by hand instead.
    for feature in value["data"]["features"].values():
        if isinstance(feature, dict):
            feature["range"] = [float(bound) for bound in feature["range"]]
    for part in (value["gate"], value["monitoring"], value["retraining"], value["retraining"]["budget"]):
        part |= {key: float(text) for key, text in part.items() if isinstance(text, str) and _NUMBER.fullmatch(text)}
    return value


@pytest.fixture
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(COMMITTED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_committed_schema_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == model_schema(), "regenerate docs/reference/model.schema.json"


def test_it_accepts_the_demo_model(validator: jsonschema.Draft202012Validator) -> None:
    assert list(validator.iter_errors(_flight_delay())) == []


@pytest.mark.parametrize("place", [(), ("data",), ("training",), ("serving", "rollout"), ("retraining", "budget")])
def test_it_refuses_an_unknown_key(validator: jsonschema.Draft202012Validator, place: tuple[str, ...]) -> None:
    value = _flight_delay()
    part = value
    for key in place:
        part = part[key]
    part["unheard_of"] = "x"
    assert [error.validator for error in validator.iter_errors(value)] == ["additionalProperties"]


@pytest.mark.parametrize(
    ("part", "key", "bad"),
    [
        ("training", "window", "60 days"),
        ("training", "instance", "ml.m5.tiny"),
        ("serving", "mode", "batch"),
        ("data", "features", {"carrier": "categry"}),
        ("data", "features", {}),
    ],
)
def test_it_refuses_what_the_loader_refuses(
    validator: jsonschema.Draft202012Validator, part: str, key: str, bad: object
) -> None:
    value = _flight_delay()
    value[part][key] = bad
    assert not validator.is_valid(value)
