"""What a rule says about a template, and how rules look at one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Template = Mapping[str, Any]


@dataclass(frozen=True)
class Breach:
    """One resource that breaks one rule."""

    rule: str
    resource: str
    """Logical id."""
    reason: str


def resources(template: Template, *types: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Logical id and properties of the resources of some types."""
    for name, resource in template.get("Resources", {}).items():
        if resource["Type"] in types:
            yield name, resource.get("Properties", {})


def as_list(value: Any) -> list[Any]:
    """CloudFormation takes one thing or a list of it."""
    return list(value) if isinstance(value, list) else [value]


def as_text(value: Any) -> str:
    """A value with its intrinsic functions as text to search in."""
    return value if isinstance(value, str) else json.dumps(value)
