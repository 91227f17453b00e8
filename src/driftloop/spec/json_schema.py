"""The JSON Schema of a model file: editors complete and check with it. Generated and committed; a test compares."""

from __future__ import annotations

import json
from typing import Any

from driftloop.spec.model import ModelSpec


def model_schema() -> str:
    """Deterministic JSON text."""
    schema: dict[str, Any] = ModelSpec.model_json_schema()
    _shorthand(schema)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "driftloop model file"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _shorthand(schema: dict[str, Any]) -> None:
    """A bare type name is a feature too, which the validator of the field hides from the generated schema."""
    features = schema["$defs"]["Data"]["properties"]["features"]
    types = schema["$defs"]["Feature"]["properties"]["type"]["enum"]
    for key in ("additionalProperties", "patternProperties"):
        if isinstance(features.get(key), dict):
            wrapped = features[key]
            if key == "patternProperties":
                features[key] = {p: {"anyOf": [v, {"enum": types}]} for p, v in wrapped.items()}
            else:
                features[key] = {"anyOf": [wrapped, {"enum": types}]}
