"""Checks requests against AWS's own service model: unknown, missing and mistyped fields are refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from driftloop.twin.errors import invalid, unsupported


@cache
def service_model(service: str) -> ServiceModel:
    """AWS's model of one service, from botocore."""
    return botocore.session.get_session().get_service_model(service)


def input_shape(service: str, operation: str) -> StructureShape:
    """Fields of an operation's request."""
    shape = service_model(service).operation_model(operation).input_shape
    if shape is None:
        raise unsupported(f"{service}:{operation}, which takes no request")
    return shape


def check_request(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Raise ApiError unless the request fits the operation."""
    if operation not in service_model(service).operation_names:
        raise unsupported(f"the operation {service}:{operation}")
    report = ParamValidator().validate(request, input_shape(service, operation))
    if report.has_errors():
        raise invalid(report.generate_report())
    if breaches := list(_breaches(input_shape(service, operation), request, "")):
        raise invalid(f"{len(breaches)} validation error(s) detected: {'; '.join(breaches)}")


def _breaches(shape: Shape, value: Any, place: str) -> Iterator[str]:
    """Lengths, ranges, patterns and enumerations, which AWS checks and botocore leaves to it."""
    yield from _own_breaches(shape, value, place)
    parts: list[tuple[Shape, Any, str]] = []
    if isinstance(shape, StructureShape):
        parts = [(shape.members[key], item, f"{place}.{key}".lstrip(".")) for key, item in value.items()]
    elif isinstance(shape, ListShape):
        parts = [(shape.member, item, f"{place}[{number}]") for number, item in enumerate(value)]
    elif isinstance(shape, MapShape):
        parts = [part for key, item in value.items() for part in ((shape.key, key, place), (shape.value, item, place))]
    for part in parts:
        yield from _breaches(*part)


def _own_breaches(shape: Shape, value: Any, place: str) -> Iterator[str]:
    limits, number = shape.metadata, isinstance(value, int | float)
    size = value if number else len(value)
    if size > limits.get("max", math.inf):
        yield f"{place}: {value!r} is {'more' if number else 'longer'} than {limits['max']}"
    if isinstance(value, str):
        if limits.get("enum") and value not in limits["enum"]:
            yield f"{place}: {value!r} is not one of {', '.join(limits['enum'])}"
        pattern = _pattern(limits.get("pattern", ""))
        if pattern and not pattern.fullmatch(value):
            yield f"{place}: {value!r} does not match {limits['pattern']}"


@cache
def _pattern(java: str) -> re.Pattern[str] | None:
    """AWS writes Java's expressions: letters, digits and spaces have other names; what Python cannot read is let be."""
    python = _CATEGORY.sub(lambda found: _CATEGORIES[found[1]], java.replace("${1,256}", "").replace("${1,128}", ""))
    try:
        return re.compile(python) if python else None
    except re.error:
        return None


_CATEGORY = re.compile(r"\\p\{(L|N|Z|Alnum)\}")
_CATEGORIES = {"L": r"\w", "N": r"\w", "Z": r"\s", "Alnum": "a-zA-Z0-9"}


def only(place: str, value: Mapping[str, Any], honoured: set[str]) -> None:
    """Raise ApiError for fields that AWS knows and the twin would ignore."""
    ignored = sorted(key for key in value if key not in honoured and value[key] not in (None, {}, [], ""))
    if ignored:
        raise unsupported(f"{', '.join(ignored)} in {place}")


def coerce(shape: Shape, value: Any, place: str) -> Any:
    """A CloudFormation property, where numbers and booleans may be text, as the API's type.

    Raises ValueError for a property that the API does not have.
    """
    if isinstance(shape, StructureShape):
        unknown = sorted(set(value) - set(shape.members))
        if unknown:
            raise ValueError(f"{place}: {', '.join(unknown)} cannot be set here")
        return {key: coerce(shape.members[key], item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(shape, ListShape):
        return [coerce(shape.member, item, place) for item in value]
    if isinstance(shape, MapShape):
        return {key: coerce(shape.value, item, place) for key, item in value.items()}
    return _SCALARS.get(shape.type_name, str)(value)


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError(f"{value!r} is not true or false")
    return text == "true"


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "integer": int, "long": int, "float": float, "double": float, "boolean": _boolean,
}  # fmt: skip
