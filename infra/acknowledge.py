"""Acknowledged findings live in the metadata of the resource that they are about, in cdk-nag's own format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnResource
from constructs import IConstruct

METADATA = "cdk_nag"


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accept findings (id -> reason) at one resource. The rules fail the synth if a finding is not there."""
    child = construct if isinstance(construct, CfnResource) else construct.node.default_child
    if not isinstance(child, CfnResource):
        raise TypeError(f"{construct} has no resource of its own to acknowledge a finding at")
    if reasons:
        rules = [{"id": rule, "reason": reason} for rule, reason in sorted(reasons.items())]
        child.add_metadata(METADATA, {"rules_to_suppress": rules})


def acknowledged(resource: Mapping[str, Any]) -> dict[str, str]:
    """Findings that a resource of a template accepts, with the reasons."""
    rules = resource.get("Metadata", {}).get(METADATA, {}).get("rules_to_suppress", ())
    return {rule["id"]: rule["reason"] for rule in rules}
