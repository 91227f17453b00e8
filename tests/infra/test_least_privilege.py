"""Who may do what, over all roles of all stacks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from infra.function_catalog import FUNCTIONS
from infra.grants import Grant
from infra.packaging import LIBRARY
from tests.infra.rendering import Template, as_list, statements

LIVE = "arn:aws:s3:::driftloop-live-111122223333-eu-central-1"
CURATED = "arn:aws:s3:::driftloop-curated-111122223333-eu-central-1"
ARTIFACTS = "arn:aws:s3:::driftloop-artifacts-111122223333-eu-central-1"


@pytest.fixture(scope="session")
def everything(platform: Template, flights: Template) -> list[tuple[str, dict[str, Any]]]:
    return statements(platform) + statements(flights)


def allowed(everything: list[tuple[str, dict[str, Any]]], role: str) -> set[tuple[str, str]]:
    """(action, resource) pairs."""
    return {
        (action, resource)
        for name, statement in everything
        if role in name and statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def test_nothing_is_allowed_by_wildcard(everything: list[tuple[str, dict[str, Any]]]) -> None:
    assert len(everything) > 80, "the scan found too little to mean anything"
    for role, statement in everything:
        if statement["Effect"] == "Allow":
            assert not [action for action in as_list(statement["Action"]) if "*" in action], role


def test_everywhere_means_actions_that_know_no_resources(everything: list[tuple[str, dict[str, Any]]]) -> None:
    actions = {
        action
        for _, statement in everything
        if statement["Effect"] == "Allow" and "*" in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
    }
    assert actions == {
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "ecr:GetAuthorizationToken",
        "cloudwatch:PutMetricData",
        "cloudwatch:GetMetricData",
        "cloudwatch:DescribeAlarms",
        "sagemaker:ListEndpointConfigs",
        "sagemaker:ListModels",
        "sagemaker:ListModelPackages",
        "sagemaker:ListTransformJobs",
    }


def test_roles_are_passed_to_sagemaker_only_and_by_two_roles_only(everything: list[tuple[str, dict[str, Any]]]) -> None:
    passes = [(role, s) for role, s in everything if "iam:PassRole" in as_list(s["Action"])]
    for _, statement in passes:
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    prefix = "arn:aws:iam::111122223333:role/driftloop-"
    assert {resource for _, statement in passes for resource in as_list(statement["Resource"])} == {
        f"{prefix}*-serving-eu-central-1",
        f"{prefix}flight-delay-promotion-eu-central-1",
        f"{prefix}flight-delay-training-eu-central-1",
    }
    assert len(passes) == 2


def test_training_is_denied_live_data_and_allowed_none(everything: list[tuple[str, dict[str, Any]]]) -> None:
    role = "flight-delay-training"
    denied = [s for name, s in everything if role in name and s["Effect"] == "Deny"]
    assert [(s["Action"], s["Resource"]) for s in denied] == [(["s3:*"], [LIVE, f"{LIVE}/*"])]
    assert not [pair for pair in allowed(everything, role) if pair[1].startswith(LIVE)]


def test_only_promotion_reads_live_rows_among_the_roles_of_a_model(
    everything: list[tuple[str, dict[str, Any]]],
) -> None:
    readers = {
        role
        for role, statement in everything
        if role.startswith("driftloop-flight-delay") and statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if action.startswith(("s3:Get", "s3:List")) and resource.startswith(LIVE)
    }
    assert readers == {"driftloop-flight-delay-promotion-eu-central-1"}


def test_objects_of_a_model_are_written_by_its_own_roles_only(everything: list[tuple[str, dict[str, Any]]]) -> None:
    writes = {
        role: sorted(
            resource for action, resource in allowed(everything, f"flight-delay-{role}-") if action == "s3:PutObject"
        )
        for role in ("pipeline", "promotion", "training", "serving")
    }
    assert writes == {
        "pipeline": [],
        "promotion": [f"{CURATED}/datasets/flight_delay/*"],
        "training": [f"{ARTIFACTS}/evaluations/flight_delay/*", f"{ARTIFACTS}/models/flight_delay/*"],
        "serving": [f"{LIVE}/capture/driftloop-flight-delay/*"],
    }


def test_listing_a_bucket_is_limited_to_prefixes(everything: list[tuple[str, dict[str, Any]]]) -> None:
    listings = [statement for _, statement in everything if "s3:ListBucket" in as_list(statement["Action"])]
    assert listings
    for statement in listings:
        prefixes = statement["Condition"]["StringLike"]["s3:prefix"]
        assert prefixes
        assert "*" not in prefixes


def test_no_role_has_managed_policies(platform: Template, flights: Template) -> None:
    for template in (platform, flights):
        for role in template.of_type("AWS::IAM::Role").values():
            assert "ManagedPolicyArns" not in role
        assert not template.of_type("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")


@pytest.mark.parametrize("service", ["events", "sagemaker", "sns", "ssm"])
def test_every_call_of_the_adapters_is_granted_to_some_function(service: str) -> None:
    granted = {action for function in FUNCTIONS for grant in function.grants for action in grant.actions}
    source = "\n".join(path.read_text() for path in sorted((LIBRARY / "aws").glob("*.py")))
    calls = set(re.findall(rf"self\._{service}\.([a-z_]+)\b", source)) - {"get_paginator"}
    assert calls
    for call in calls:
        assert f"{service}:{''.join(part.title() for part in call.split('_'))}" in granted


def test_every_kind_of_access_to_the_ledger_is_granted_to_some_function() -> None:
    granted = {action for function in FUNCTIONS for grant in function.grants for action in grant.actions}
    source = (LIBRARY / "aws" / "ledger.py").read_text()
    calls = set(re.findall(r"self\._db\.([a-z_]+)\b", source)) - {"get_paginator", "transact_write_items"}
    assert calls
    for call in calls:
        assert f"dynamodb:{''.join(part.title() for part in call.split('_'))}" in granted


ANNOUNCERS = ("start_retraining", "track_episode", "deploy_model", "confirm_deployment", "reconcile", "remove_endpoint")


def test_events_go_to_the_accounts_own_bus_and_from_those_that_announce_only() -> None:
    putters = {
        function.name: [grant.resources for grant in function.grants if "events:PutEvents" in grant.actions]
        for function in FUNCTIONS
    }
    assert {name for name, found in putters.items() if found} == set(ANNOUNCERS)
    bus = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default"
    assert all(putters[name] == [[bus]] for name in ANNOUNCERS)


def test_whoever_announces_may_tell_people_too() -> None:
    for function in FUNCTIONS:
        if function.name in ANNOUNCERS:
            assert any("sns:Publish" in grant.actions for grant in function.grants), function.name


def test_detect_drift_writes_to_the_ledger_and_deletes_nothing(
    everything: list[tuple[str, dict[str, Any]]],
) -> None:
    actions = {action for action, _ in allowed(everything, "Functiondetectdrift") if action.startswith("dynamodb:")}
    assert actions == {"dynamodb:GetItem", "dynamodb:PutItem"}


class TestGrant:
    def test_a_wildcard_needs_a_reason(self) -> None:
        with pytest.raises(ValueError, match="needs `why`"):
            Grant(["s3:GetObject"], ["arn:aws:s3:::b/*"])

    def test_a_reason_without_wildcard_is_stale(self) -> None:
        with pytest.raises(ValueError, match="needs a wildcard"):
            Grant(["s3:GetObject"], ["arn:aws:s3:::b/k"], "the objects")

    def test_actions_are_named(self) -> None:
        with pytest.raises(ValueError, match="one by one"):
            Grant(["s3:Get*"], ["arn:aws:s3:::b/k"])

    def test_a_denial_may_name_everything(self) -> None:
        assert Grant(["s3:*"], ["arn:aws:s3:::b/*"], effect="Deny").findings() == []


def test_the_model_roles_fit_iams_limit_for_the_longest_name_and_region() -> None:
    from driftloop.names import ModelNames  # noqa: PLC0415
    from driftloop.spec.model import NAME  # noqa: PLC0415

    longest = next("a" * n for n in range(64, 0, -1) if re.fullmatch(NAME, "a" * n))
    regions = re.findall(
        r'"([a-z]+(?:-[a-z]+)+-\d)"', (Path(LIBRARY).parents[1] / "infra/data/sklearn_registries.json").read_text()
    )
    assert len(regions) > 30
    for region in regions:
        for purpose in ("pipeline", "promotion", "training", "serving"):
            assert len(ModelNames(longest).role(purpose, region)) <= 64


@pytest.mark.parametrize("function", ["trackepisode", "reconcile"])
def test_whoever_writes_model_cards_reads_what_they_are_made_of_and_writes_no_object(
    everything: list[tuple[str, dict[str, Any]]], function: str
) -> None:
    allows = allowed(everything, f"Function{function}")
    assert {pair for pair in allows if pair[0].startswith("s3:")} == {
        ("s3:GetObject", f"{ARTIFACTS}/evaluations/*/evaluation.json"),
        ("s3:GetObject", f"{ARTIFACTS}/models/*/model.tar.gz"),
    }
    versions = "arn:aws:sagemaker:eu-central-1:111122223333:model-package/driftloop-*"
    assert {("sagemaker:DescribeModelPackage", versions), ("sagemaker:UpdateModelPackage", versions)} <= allows
