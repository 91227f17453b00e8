"""What a role may do, as data: written down once, turned into policies by the role construct, checked by tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.references import sub

Condition = Mapping[str, Mapping[str, Any]]
_VARIABLE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Grant:
    """One statement of a policy.

    A resource with a ``*`` needs a reason (``why``), which becomes the acknowledgement of cdk-nag's finding; a
    reason without a ``*`` is stale. Both mistakes raise ValueError, and so does a ``*`` in an allowed action.
    """

    actions: Sequence[str]
    resources: Sequence[str]
    why: str = ""
    condition: Condition = field(default_factory=dict)
    effect: str = "Allow"

    def __post_init__(self) -> None:
        wild = [resource for resource in self.resources if "*" in resource]
        if self.effect != "Allow":
            return
        if any("*" in action for action in self.actions):
            raise ValueError(f"{self.actions}: allowed actions are named one by one")
        if bool(wild) != bool(self.why):
            raise ValueError(f"{self.resources}: a wildcard needs `why`, and `why` needs a wildcard")

    def statement(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The statement for CloudFormation; ``values`` are put in for the variables that are not pseudo parameters."""
        statement: dict[str, Any] = {
            "Effect": self.effect,
            "Action": list(self.actions),
            "Resource": [sub(resource, values) for resource in self.resources],
        }
        return {**statement, "Condition": _resolved(self.condition, values)} if self.condition else statement

    def findings(self) -> list[str]:
        """Ids under which cdk-nag reports the wildcards (it writes ``<X>`` for ``${X}``)."""
        if self.effect != "Allow":
            return []
        wild = [_VARIABLE.sub(r"<\1>", resource) for resource in self.resources if "*" in resource]
        return [f"AwsSolutions-IAM5[Resource::{resource}]" for resource in wild]


def _resolved(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _resolved(item, values) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(item, values) for item in value]
    return sub(value, values)
