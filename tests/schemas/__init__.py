"""What other services say about their documents, as data."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]


def model_card() -> jsonschema.Draft202012Validator:
    """SageMaker's rules for the model card of a model package; the file says from where."""
    schema = json.loads(Path(__file__).with_name("model_card.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)
