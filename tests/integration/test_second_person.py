"""Who registered a version cannot approve it where the model file wants a second person."""

from __future__ import annotations

from driftloop.names import ModelNames

from .examples import TRAM
from .kit import Kit


def test_an_approval_by_the_same_person_is_taken_back_and_people_are_told(kit: Kit) -> None:
    sagemaker = kit.client("sagemaker")
    container = {"Image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/image:1", "ModelDataUrl": "s3://no/m.tar.gz"}
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=ModelNames(TRAM).base,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [container], "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]  # fmt: skip
    me = kit.client("sts").get_caller_identity()["Arn"]
    assert sagemaker.describe_model_package(ModelPackageName=arn)["CreatedBy"]["IamIdentity"]["Arn"] == me
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    kit.settle()
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert f"was approved by {me}, who asked for it" in found["ApprovalDescription"]
    assert ":assumed-role/driftloop-platform-" in found["LastModifiedBy"]["IamIdentity"]["Arn"], "by the function"
    sagemaker.delete_model_package(ModelPackageName=arn)
