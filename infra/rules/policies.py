"""Rules about who may do what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from driftloop.names import PREFIX
from infra.references import LIVE, bucket
from infra.rules.breach import Breach, Template, as_list, as_text, resources

_SAGEMAKER = "sagemaker.amazonaws.com"


def statements(template: Template) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Logical id and statement of every policy of a role, user or group."""
    for name, properties in resources(template, "AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"):
        for policy in properties.get("Policies", ()):
            for statement in as_list(policy["PolicyDocument"]["Statement"]):
                yield name, statement
    for name, properties in resources(template, "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for statement in as_list(properties["PolicyDocument"]["Statement"]):
            yield name, statement


def no_wildcard_action(template: Template) -> Iterator[Breach]:
    """Allowed actions are named one by one."""
    for name, statement in statements(template):
        if statement["Effect"] == "Allow":
            for action in as_list(statement.get("Action", "*")):
                if "*" in action:
                    yield Breach("no-wildcard-action", name, f"{action} is allowed; name the actions one by one")


def no_managed_policy(template: Template) -> Iterator[Breach]:
    """AWS's managed policies allow more than any role of the kit needs, and change without notice."""
    for name, properties in resources(template, "AWS::IAM::Role"):
        if properties.get("ManagedPolicyArns"):
            yield Breach("no-managed-policy", name, "has managed policies; write the grants out")


def scoped_pass_role(template: Template) -> Iterator[Breach]:
    """Only roles of the kit are passed on, and only to SageMaker."""
    for name, statement in statements(template):
        if statement["Effect"] != "Allow" or "iam:PassRole" not in as_list(statement.get("Action", ())):
            continue
        passed_to = statement.get("Condition", {}).get("StringEquals", {}).get("iam:PassedToService")
        if passed_to != _SAGEMAKER:
            yield Breach("scoped-pass-role", name, f"iam:PassRole without iam:PassedToService = {_SAGEMAKER}")
        for resource in as_list(statement["Resource"]):
            if f":role/{PREFIX}-" not in as_text(resource):
                yield Breach("scoped-pass-role", name, f"iam:PassRole on {as_text(resource)}; name the kit's roles")


def training_without_live_data(template: Template) -> Iterator[Breach]:
    """Roles that train are denied the live bucket and nothing in their policies allows it."""
    for name, properties in resources(template, "AWS::IAM::Role"):
        if "-training-" not in as_text(properties.get("RoleName", "")):
            continue
        live = [s for policy in properties["Policies"] for s in policy["PolicyDocument"]["Statement"] if _names_live(s)]
        if any(statement["Effect"] == "Allow" for statement in live):
            yield Breach("training-without-live-data", name, "a training role is allowed something on the live bucket")
        denied = [as_text(r) for s in live if s["Effect"] == "Deny" and "s3:*" in s["Action"] for r in s["Resource"]]
        if not any(text.rstrip('"}').endswith("/*") for text in denied):
            yield Breach("training-without-live-data", name, "a training role is not denied the live bucket's objects")


def _names_live(statement: Mapping[str, Any]) -> bool:
    return any(bucket(LIVE) in as_text(resource) for resource in as_list(statement["Resource"]))
