"""Checks requests against AWS's own service model: unknown, missing and mistyped fields are refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from driftloop.twin.errors import invalid, unsupported


@cache
def service_model(service: str) -> ServiceModel:
    """AWS's model of one service, from botocore."""
    return botocore.session.get_session().get_service_model(service)


def check_request(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Raise ApiError unless the request fits the operation."""
    model = service_model(service)
    if operation not in model.operation_names:
        raise unsupported(f"the operation {service}:{operation}")
    shape = model.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise invalid(report.generate_report())


def only(place: str, value: Mapping[str, Any], honoured: set[str]) -> None:
    """Raise ApiError for fields that AWS knows and the twin would ignore."""
    ignored = sorted(key for key in value if key not in honoured and value[key] not in (None, {}, [], ""))
    if ignored:
        raise unsupported(f"{', '.join(ignored)} in {place}")


def coerce(shape: Shape, value: Any, place: str) -> Any:
    """A CloudFormation property, where numbers and booleans may be text, as the API's type.

    Raises ValueError for a property that the API does not have.
    """
    match shape.type_name:
        case "structure":
            unknown = sorted(set(value) - set(shape.members))
            if unknown:
                raise ValueError(f"{place}: {', '.join(unknown)} cannot be set here")
            return {key: coerce(shape.members[key], item, f"{place}.{key}") for key, item in value.items()}
        case "list":
            return [coerce(shape.member, item, place) for item in value]
        case "map":
            return {key: coerce(shape.value, item, place) for key, item in value.items()}
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case _:
            return str(value)
