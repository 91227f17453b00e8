"""The kit's own rules: what cdk-nag does not look at, and what an emulator cannot enforce."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import aws_cdk as cdk

from infra.rules import encryption, operations, policies
from infra.rules.breach import Breach, Template
from infra.rules.plugin import Plugin

RULES: tuple[Callable[[Template], Iterator[Breach]], ...] = (
    policies.no_wildcard_action,
    policies.no_managed_policy,
    policies.scoped_pass_role,
    policies.training_without_live_data,
    encryption.encrypted_jobs,
    encryption.isolated_training,
    encryption.encrypted_endpoints,
    operations.log_retention,
    operations.function_logs,
    operations.dead_letters,
    operations.small_model_stack,
)


def check(template: Template) -> list[Breach]:
    """All breaches of all rules in one template."""
    return [breach for rule in RULES for breach in rule(template)]


def template_rules() -> Plugin:
    """The rules, applied to every template of the app."""
    return Plugin("driftloop", _violations)


def _violations(context: cdk.IPolicyValidationContext) -> list[cdk.PolicyViolation]:
    return [
        _violation(path, breach)
        for path in context.template_paths
        for breach in check(json.loads(Path(path).read_text(encoding="utf-8")))
    ]


def _violation(path: str, breach: Breach) -> cdk.PolicyViolation:
    resource = cdk.PolicyViolatingResource(
        resource_logical_id=breach.resource, template_path=path, locations=["Properties"]
    )
    return cdk.PolicyViolation(
        rule_name=breach.rule, description=breach.reason, violating_resources=[resource], severity="error"
    )
