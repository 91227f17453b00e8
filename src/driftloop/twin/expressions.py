"""The expression language of SageMaker pipeline definitions (schema 2020-12-01). Pure but for reading property files.

Format: https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-pipeline.html and the SDK's output.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PATH = re.compile(r"\.?([A-Za-z_][\w\-]*)|\['([^']+)'\]|\[(\d+)\]")
_WHOLE_PATH = re.compile(rf"(?:(?!\.)(?:{_PATH.pattern})(?:{_PATH.pattern})*)?")
_TYPES: dict[str, type] = {"String": str, "Integer": int, "Float": float, "Boolean": bool}
_TRUTH = {"true": True, "false": False}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


class DefinitionError(Exception):
    """A definition, or a value that it asks for, is not as it should be."""


@dataclass(frozen=True)
class Scope:
    """What expressions can refer to."""

    parameters: Mapping[str, Any]
    execution: Mapping[str, str]
    steps: Mapping[str, Any]
    """Step name -> its properties, for steps that have run."""
    property_files: Mapping[tuple[str, str], str]
    """(step name, property file name) -> S3 URI."""
    read: Callable[[str], bytes]

    def value(self, expression: Any) -> Any:
        """Evaluate an expression. Raises DefinitionError."""
        if isinstance(expression, list):
            return [self.value(item) for item in expression]
        if not isinstance(expression, dict):
            return expression
        if set(expression) == {"Get"}:
            return self._get(expression["Get"])
        if "Std:Join" in expression:
            join = expression["Std:Join"]
            return join["On"].join(str(self.value(item)) for item in join["Values"])
        if "Std:JsonGet" in expression:
            return self._json_get(expression["Std:JsonGet"])
        functions = [key for key in expression if key.startswith("Std:")]
        if functions:
            raise DefinitionError(f"the twin does not know the function {functions[0]}")
        return {key: self.value(item) for key, item in expression.items()}

    def holds(self, condition: Mapping[str, Any]) -> bool:
        """Evaluate a condition. Raises DefinitionError."""
        try:
            return self._holds(condition)
        except KeyError as error:
            raise DefinitionError(f"a condition has no {error}") from error

    def _holds(self, condition: Mapping[str, Any]) -> bool:
        kind = condition["Type"]
        if kind == "Not":
            return not self.holds(condition["Expression"])
        if kind == "Or":
            return any(self.holds(part) for part in condition["Conditions"])
        if kind == "In":
            return self.value(condition["QueryValue"]) in self.value(condition["Values"])
        if kind not in _COMPARE:
            raise DefinitionError(f"the twin does not know the condition {kind}")
        left, right = self.value(condition["LeftValue"]), self.value(condition["RightValue"])
        try:
            return _COMPARE[kind](left, right)
        except TypeError as error:
            raise DefinitionError(f"{kind} cannot compare {left!r} with {right!r}") from error

    def _get(self, reference: str) -> Any:
        head, _, rest = reference.partition(".")
        if head == "Parameters":
            return walk(self.parameters, rest)
        if head == "Execution":
            return walk(self.execution, rest)
        step, _, path = rest.partition(".")
        if head != "Steps" or step not in self.steps:
            raise DefinitionError(f"{reference} refers to a step that has not run")
        return walk(self.steps[step], path)

    def _json_get(self, part: Mapping[str, Any]) -> Any:
        _, step, _, name = part["PropertyFile"]["Get"].split(".")
        uri = self.property_files.get((step, name))
        if uri is None:
            raise DefinitionError(f"step {step} has no property file {name}")
        try:
            content = json.loads(self.read(uri))
        except ValueError as error:
            raise DefinitionError(f"{uri} is not JSON: {error}") from error
        return walk(content, part["Path"])


def walk(value: Any, path: str) -> Any:
    """Follow a path such as ``a.b['c'][0]``. Raises DefinitionError."""
    if not _WHOLE_PATH.fullmatch(path):
        raise DefinitionError(f"{path!r} is not a path")
    for name, quoted, index in _PATH.findall(path):
        try:
            value = value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            raise DefinitionError(f"{path!r} has nothing at {index or name or quoted!r}") from None
    return value


def bind_parameters(declared: Sequence[Mapping[str, Any]], given: Mapping[str, str]) -> dict[str, Any]:
    """Values of a definition's parameters. Raises DefinitionError for unknown, missing and mistyped ones."""
    unknown = sorted(set(given) - {p["Name"] for p in declared})
    if unknown:
        raise DefinitionError(f"Unknown parameters: {', '.join(unknown)}")
    return {parameter["Name"]: _bind(parameter, given) for parameter in declared}


def _bind(parameter: Mapping[str, Any], given: Mapping[str, str]) -> Any:
    name, kind = parameter["Name"], _TYPES.get(parameter["Type"])
    if kind is None:
        raise DefinitionError(f"Parameter {name}: the type {parameter['Type']} does not exist")
    value: Any = given.get(name, parameter.get("DefaultValue"))
    if value is None:
        raise DefinitionError(f"Parameter {name} has no value")
    try:
        bound = _TRUTH[str(value).lower()] if kind is bool else kind(value)
    except (ValueError, KeyError):
        raise DefinitionError(f"Parameter {name}: {value!r} is not {parameter['Type']}") from None
    allowed = parameter.get("EnumValues")
    if allowed and bound not in allowed:
        raise DefinitionError(f"Parameter {name}: {bound!r} is not one of {allowed}")
    return bound
