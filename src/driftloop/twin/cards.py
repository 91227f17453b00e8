"""Checks the content of a model card, which is text to SageMaker's API and has rules of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]

from driftloop.twin.errors import invalid


@cache
def validator() -> Any:
    """SageMaker's rules for the model card of a model package; the file says from where."""
    schema = json.loads(Path(__file__).with_name("model_card.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check_card(card: Mapping[str, Any]) -> None:
    """Raise ApiError for content that SageMaker does not know."""
    if "ModelCardContent" not in card:
        return
    try:
        validator().validate(json.loads(card["ModelCardContent"]))
    except ValueError as error:
        raise invalid(f"The content of the model card is no JSON: {error}") from error
    except jsonschema.ValidationError as error:
        raise invalid(f"The content of the model card is not valid: {error.json_path}: {error.message}") from error
