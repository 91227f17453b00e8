"""MLflow on AWS: not there unless it is asked for, and then with a role for its own files and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from driftloop.names import MLFLOW_PARAMETER
from driftloop.twin.toolkit import TARGET
from infra.app import app
from infra.errors import UsageError
from infra.rules.own import check
from tests.infra.conftest import HOST
from tests.infra.rendering import Template
from tests.infra.test_app import files, run

APP = "AWS::SageMaker::MlflowApp"
ARTIFACTS = "arn:aws:s3:::driftloop-artifacts-111122223333-eu-central-1"
ON = {"driftloop:mlflow": "true"}


@pytest.fixture(scope="module")
def folder(models: Path, built: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tracked")
    app(models, {**HOST, **ON}, outdir=place).synth()
    return place


@pytest.fixture(scope="module")
def tracked(folder: Path) -> Template:
    return Template.load(folder, "driftloop-platform")


def added(tracked: Template, platform: Template) -> dict[str, dict[str, Any]]:
    """Resources that are there on account of the switch."""
    before = platform.content["Resources"]
    return {name: item for name, item in tracked.content["Resources"].items() if name not in before}


def test_it_is_off_by_default(platform: Template) -> None:
    assert not platform.of_type(APP)
    assert "mlflow" not in json.dumps(platform.content).lower()


def test_it_is_off_in_a_twin_whatever_cdk_json_says() -> None:
    assert "driftloop:mlflow=false" in TARGET


def test_on_it_adds_the_app_its_role_and_its_name_and_changes_nothing(tracked: Template, platform: Template) -> None:
    kinds = sorted(item["Type"] for item in added(tracked, platform).values())
    assert kinds == ["AWS::IAM::Role", "AWS::SSM::Parameter", APP]
    before = platform.content["Resources"]
    assert {name: tracked.content["Resources"][name] for name in before} == before


def test_the_app_keeps_its_files_among_the_artifacts_and_registers_nothing(tracked: Template) -> None:
    ((name, properties),) = tracked.of_type(APP).items()
    (bucket,) = [
        logical_id
        for logical_id, item in tracked.of_type("AWS::S3::Bucket").items()
        if item["BucketName"].startswith("driftloop-artifacts-")
    ]
    # Through the bucket itself, so that it is there first.
    assert properties["ArtifactStoreUri"] == f"s3://<{bucket}>/mlflow"
    assert properties["Name"] == "driftloop"
    assert properties["ModelRegistrationMode"] == "AutoModelRegistrationDisabled"
    arn = f"<{name}.Arn>"
    assert tracked.render(tracked.content["Outputs"]["MlflowAppArn"]["Value"]) == arn
    assert tracked.named("AWS::SSM::Parameter", "Name", MLFLOW_PARAMETER)["Value"] == arn


def test_its_role_reaches_its_files_only(tracked: Template, platform: Template) -> None:
    (name,) = [name for name, item in added(tracked, platform).items() if item["Type"] == "AWS::IAM::Role"]
    role = tracked.of_type("AWS::IAM::Role")[name]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    (policy,) = role["Policies"]
    objects, listing, key = policy["PolicyDocument"]["Statement"]
    assert (objects["Action"], objects["Resource"]) == (["s3:GetObject", "s3:PutObject"], [f"{ARTIFACTS}/mlflow/*"])
    assert (listing["Action"], listing["Resource"]) == (["s3:ListBucket"], [ARTIFACTS])
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["mlflow/*"]}}
    assert key["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    (resource,) = key["Resource"]
    assert resource.startswith("<EncryptionKey")


@pytest.mark.parametrize("retain", [True, False])
def test_the_app_and_its_role_stay_as_the_data_do(
    models: Path, tracked: Template, tmp_path: Path, retain: bool
) -> None:
    template = tracked
    if not retain:
        app(models, {**HOST, **ON, "driftloop:retain": "false"}, outdir=tmp_path).synth()
        template = Template.load(tmp_path, "driftloop-platform")
    (found,) = [item for item in template.content["Resources"].values() if item["Type"] == APP]
    role = template.content["Resources"][found["Properties"]["RoleArn"]["Fn::GetAtt"][0]]
    assert {found["DeletionPolicy"], role["DeletionPolicy"]} == {"Retain" if retain else "Delete"}


def test_it_breaks_no_rule_and_is_the_same_from_another_process(
    folder: Path, tracked: Template, tmp_path: Path
) -> None:
    assert check(tracked.content) == []
    result = run(ON, tmp_path, PYTHONHASHSEED="4711")
    assert result.returncode == 0, result.stderr
    assert files(tmp_path) == files(folder)


def test_no_model_notices(folder: Path, assembly: Path) -> None:
    name = "driftloop-flight-delay.template.json"
    assert files(folder)[name] == files(assembly)[name]


def test_anything_but_yes_or_no_is_refused(built: None) -> None:
    with pytest.raises(UsageError, match="driftloop:mlflow is 'perhaps'; it can be true or false"):
        app(context={**HOST, "driftloop:mlflow": "perhaps"})
