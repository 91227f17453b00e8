"""The compiled pipeline definition, made one model's own: defaults from the model file, names left to CloudFormation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from driftloop.spec import ModelSpec
from infra.errors import DefinitionError

COMPILED = Path(__file__).resolve().parents[1] / "pipelines" / "retraining.json"
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def read_definition(path: Path = COMPILED) -> dict[str, Any]:
    """The compiled definition. Raises DefinitionError."""
    try:
        definition: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DefinitionError(f"{path}: {error}; compile it with `python -m pipelines.compile`") from error
    return definition


def for_model(definition: Mapping[str, Any], spec: ModelSpec) -> str:
    """Definition text with the model file's instance type and time limit as parameter defaults."""
    defaults = {
        "InstanceType": spec.training.instance,
        "MaxRuntimeInSeconds": int(spec.training.max_runtime.total_seconds()),
    }
    known = {parameter["Name"] for parameter in definition["Parameters"]}
    if missing := sorted(defaults.keys() - known):
        raise DefinitionError(f"the pipeline definition has no parameter {', '.join(missing)}")
    parameters = [
        {**parameter, "DefaultValue": defaults[parameter["Name"]]} if parameter["Name"] in defaults else parameter
        for parameter in definition["Parameters"]
    ]
    return json.dumps({**definition, "Parameters": parameters}, separators=(",", ":"))


def check_variables(text: str, values: Mapping[str, object]) -> None:
    """Every ``${Name}`` has a value and every value a use. Raises DefinitionError."""
    used = set(_VARIABLE.findall(text))
    if unknown := sorted(used - values.keys()):
        raise DefinitionError(f"the pipeline definition has variables that nothing fills: {', '.join(unknown)}")
    if unused := sorted(values.keys() - used):
        raise DefinitionError(f"the pipeline definition does not use: {', '.join(unused)}; compile it again")
