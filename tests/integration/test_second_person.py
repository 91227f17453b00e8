"""Who asked for a version or registered it cannot approve it where the model file wants a second person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3

from driftloop.names import ModelNames

from .examples import TRAM, tram_history
from .kit import Kit

GROUP = ModelNames(TRAM).base


def _register(kit: Kit) -> str:
    """ARN of a version that somebody registers by hand."""
    container = {"Image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/image:1", "ModelDataUrl": "s3://no/m.tar.gz"}
    answer = kit.client("sagemaker").create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [container], "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"],
        },
    )  # fmt: skip
    return str(answer["ModelPackageArn"])


def _second_person(kit: Kit) -> Any:
    """SageMaker, as somebody sees it who may approve versions and no more."""
    iam, name = kit.client("iam"), "second-person"
    trust = {"Effect": "Allow", "Principal": {"AWS": kit.twin.account}, "Action": "sts:AssumeRole"}
    grant = {"Effect": "Allow", "Action": "sagemaker:UpdateModelPackage", "Resource": "*"}
    trusts, grants = (json.dumps({"Version": "2012-10-17", "Statement": [one]}) for one in (trust, grant))
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusts)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=grants)
    keys = kit.client("sts").assume_role(RoleArn=role, RoleSessionName="second")["Credentials"]
    return boto3.client(
        "sagemaker", endpoint_url=kit.twin.url, region_name=kit.twin.region, aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"],
    )  # fmt: skip


def test_an_approval_by_the_same_person_is_taken_back_and_people_are_told(kit: Kit) -> None:
    sagemaker, arn = kit.client("sagemaker"), _register(kit)
    me = kit.client("sts").get_caller_identity()["Arn"]
    assert sagemaker.describe_model_package(ModelPackageName=arn)["CreatedBy"]["IamIdentity"]["Arn"] == me
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    kit.settle()
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert f"was approved by {me}, who asked for it" in found["ApprovalDescription"]
    assert ":assumed-role/driftloop-platform-" in found["LastModifiedBy"]["IamIdentity"]["Arn"], "by the function"
    sagemaker.delete_model_package(ModelPackageName=arn)


def test_a_version_has_its_card_while_it_waits_and_a_second_person_approves_it(kit: Kit, tmp_path: Path) -> None:
    sagemaker, file = kit.client("sagemaker"), tmp_path / "rides.csv"
    file.write_text(tram_history(full=True))
    kit.done("history", "import", TRAM, file)
    episode = kit.retrain(TRAM, "people ride again")
    assert episode.status == "candidate", episode.outcome
    [arn] = [
        item["ModelPackageArn"]
        for item in sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
        if item["ModelApprovalStatus"] == "PendingManualApproval"
    ]
    waits = sagemaker.describe_model_package(ModelPackageName=arn)
    assert "track-episode" in waits["LastModifiedBy"]["IamIdentity"]["Arn"]
    details = json.loads(waits["ModelCard"]["ModelCardContent"])["additional_information"]["custom_details"]
    assert (details["reason"], details["asked_by"]) == ("people ride again", episode.by)

    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    kit.settle()
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert f"was approved by {episode.by}, who asked for it" in found["ApprovalDescription"]
    assert found["ModelCard"] == waits["ModelCard"]

    _second_person(kit).update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    kit.settle()
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert (found["ModelApprovalStatus"], found["ModelCard"]) == ("Approved", waits["ModelCard"])
    assert "second-person" in found["LastModifiedBy"]["IamIdentity"]["Arn"]
    champion = kit.ledger.champion(TRAM)
    assert champion
    assert champion.package_arn == arn
    # Nobody rides again, so that a retraining fails as it did before.
    file.write_text(tram_history())
    kit.done("history", "import", TRAM, file)
