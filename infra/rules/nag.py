"""cdk-nag's AWS Solutions rules, strict in both directions: what they find must be mended or acknowledged at the
resource, and what is acknowledged must still be found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.acknowledge import acknowledged
from infra.rules.plugin import Plugin

Finding = tuple[str, str]
"""Path of a construct and id of a rule."""


def aws_solutions() -> Plugin:
    """The pack, compared with what the templates acknowledge."""
    return Plugin("cdk-nag", _violations)


def _violations(context: cdk.IPolicyValidationContext) -> list[cdk.PolicyViolation]:
    report = AwsSolutionsChecks(verbose=True).validate_scope(context.app_construct)
    found = {
        (resource.construct_path or "", violation.rule_name): violation.description
        for violation in report.violations
        for resource in violation.violating_resources
    }
    accepted = _acknowledgements(Path(path) for path in context.template_paths)
    stale = "acknowledged, but not found any more; remove the acknowledgement"
    return [_violation(rule, path, text) for (path, rule), text in found.items() if (path, rule) not in accepted] + [
        _violation(f"Stale[{rule}]", path, stale) for path, rule in accepted if (path, rule) not in found
    ]


def _acknowledgements(templates: Iterable[Path]) -> dict[Finding, str]:
    accepted: dict[Finding, str] = {}
    for path in templates:
        resources: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")).get("Resources", {})
        for resource in resources.values():
            where = resource.get("Metadata", {}).get("aws:cdk:path", "")
            accepted.update({(where, rule): reason for rule, reason in acknowledged(resource).items()})
    return accepted


def _violation(rule: str, path: str, description: str) -> cdk.PolicyViolation:
    resource = cdk.PolicyViolatingResource(construct_path=path, locations=["Properties"])
    return cdk.PolicyViolation(
        rule_name=rule, description=description, violating_resources=[resource], severity="error"
    )
