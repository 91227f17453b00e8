"""Every version that a pipeline has registered has its card, written with the functions' own permissions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from driftloop.names import ModelNames
from driftloop.twin import cards

from .examples import TRAIN
from .kit import Kit


def _described(kit: Kit) -> dict[str, Any]:
    """The version that serves."""
    champion = kit.ledger.champion(TRAIN)
    assert champion
    found: dict[str, Any] = kit.client("sagemaker").describe_model_package(ModelPackageName=champion.package_arn)
    return found


@pytest.fixture(scope="module")
def card(served: Kit) -> dict[str, Any]:
    """Its card."""
    found = _described(served)["ModelCard"]
    assert found["ModelCardStatus"] == "Draft"
    content: dict[str, Any] = json.loads(found["ModelCardContent"])
    return content


def test_it_keeps_sagemakers_rules_and_tells_what_became_of_the_run(served: Kit, card: dict[str, Any]) -> None:
    cards.validator().validate(card)
    package = _described(served)
    properties, details = package["CustomerMetadataProperties"], card["additional_information"]["custom_details"]
    assert {name: details[name] for name in ("episode_id", "trigger", "manifest_sha256")} == {
        name: properties[name] for name in ("episode_id", "trigger", "manifest_sha256")
    }
    assert details["reason"] == "the first version"
    assert card["model_overview"]["model_artifact"] == [
        package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    ]


def test_it_has_the_figures_of_evaluation_and_training(served: Kit, card: dict[str, Any]) -> None:
    uri = _described(served)["CustomerMetadataProperties"]["evaluation_uri"]
    evaluation = json.loads(served.read(uri.split("/", 3)[3], "artifacts"))
    [judged] = card["evaluation_details"]
    challenger = {one["name"]: one["value"] for one in judged["metric_groups"][0]["metric_data"]}
    assert challenger["log_loss"] == evaluation["challenger"]["log_loss"]
    assert judged["metadata"]["decision"] == evaluation["gate"]["decision"]
    job = card["training_details"]["training_job_details"]
    assert {"name": "max_iter", "value": "20"} in job["user_provided_hyper_parameters"]
    assert "could not be read" not in card["training_details"]["training_observations"]
    [manifest] = job["training_datasets"]
    assert manifest.split("/", 3)[3] in served.keys(f"datasets/{TRAIN}/", "curated")


def test_it_does_not_touch_the_decision(served: Kit) -> None:
    assert _described(served)["ModelApprovalStatus"] == "Approved"
    found = served.client("sagemaker").list_model_packages(ModelPackageGroupName=ModelNames(TRAIN).base)
    assert all(item["ModelApprovalStatus"] != "Rejected" for item in found["ModelPackageSummaryList"])
