"""The Spark job is deployed where a model file asks for it, and may do no more than it needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.app import app
from infra.errors import DefinitionError
from infra.rules.operations import MODEL_STACK_RESOURCES
from tests.infra.conftest import HOST, HOURLY
from tests.infra.rendering import Template, as_list, statements

LIVE = "arn:aws:s3:::driftloop-live-111122223333-eu-central-1"
CURATED = "arn:aws:s3:::driftloop-curated-111122223333-eu-central-1"
ARTIFACTS = "arn:aws:s3:::driftloop-artifacts-111122223333-eu-central-1"
JOB_ROLE = "driftloop-card-fraud-profile-eu-central-1"


@pytest.fixture(scope="module")
def large(built: None, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A model whose backfills run on Spark above 20 GB."""
    models, folder = tmp_path_factory.mktemp("large"), tmp_path_factory.mktemp("synth")
    (models / "card_fraud").mkdir()
    text = HOURLY.replace("monitoring: {", "monitoring: {spark_above: 20GB, ")
    (models / "card_fraud" / "model.yaml").write_text(text)
    app(models, HOST, outdir=folder).synth()
    return Template.load(folder, "driftloop-card-fraud")


def _pipeline(template: Template) -> dict[str, Any]:
    return template.named("AWS::SageMaker::Pipeline", "PipelineName", "driftloop-card-fraud-profile")


def _step(template: Template) -> dict[str, Any]:
    (step,) = json.loads(_pipeline(template)["PipelineDefinition"]["PipelineDefinitionBody"])["Steps"]
    arguments: dict[str, Any] = step["Arguments"]
    return arguments


def test_without_a_size_there_is_no_job(flights: Template) -> None:
    (pipeline,) = flights.of_type("AWS::SageMaker::Pipeline").values()
    assert pipeline["PipelineName"] == "driftloop-flight-delay"
    assert not [role for role in flights.of_type("AWS::IAM::Role").values() if "-profile-" in str(role.get("RoleName"))]


def test_the_job_runs_spark_s_image_with_the_published_code(large: Template) -> None:
    step = _step(large)
    app_ = step["AppSpecification"]
    assert app_["ImageUri"] == (
        "906073651304.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-spark-processing:3.5-cpu-py312-v1.0"
    )
    command, option, code, main = app_["ContainerEntrypoint"]
    assert (command, option) == ("smspark-submit", "--py-files")
    assert code.startswith("/opt/ml/processing/input/code/")
    assert code.endswith(".zip")
    # spark-submit takes nothing else for a Python program.
    assert main.startswith("/opt/ml/processing/input/main/")
    assert main.endswith(".py")
    mounted = {item["S3Input"]["LocalPath"]: item["S3Input"]["S3Uri"] for item in step["ProcessingInputs"]}
    for file in (code, main):
        folder, _, name = file.rpartition("/")
        assert mounted[folder].endswith(f"/{name}")
    assert step["RoleArn"] == f"arn:aws:iam::111122223333:role/{JOB_ROLE}"
    assert "${" not in json.dumps(step)


def test_what_the_job_may_do(large: Template) -> None:
    allowed = [s for role, s in statements(large) if role == JOB_ROLE]
    data = {
        (action, resource)
        for statement in allowed
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if resource.startswith((LIVE, CURATED, ARTIFACTS))
    }
    assert data == {
        ("s3:GetObject", f"{LIVE}/capture/driftloop-card-fraud/*"),
        ("s3:GetObjectVersion", f"{LIVE}/capture/driftloop-card-fraud/*"),
        ("s3:ListBucketVersions", LIVE),
        ("s3:PutObject", f"{LIVE}/shards/card_fraud/*"),
        ("s3:PutObject", f"{LIVE}/rows/card_fraud/*"),
        ("s3:PutObject", f"{LIVE}/quarantine/capture/card_fraud/*"),
        ("s3:GetObject", f"{CURATED}/tables/card_fraud/*"),
        ("s3:ListBucket", CURATED),
        ("s3:GetObject", f"{ARTIFACTS}/evaluations/card_fraud/*"),
        ("s3:PutObject", f"{ARTIFACTS}/profiles/card_fraud/*"),
    }
    for statement in allowed:
        if "s3:ListBucketVersions" in as_list(statement["Action"]):
            assert statement["Condition"] == {"StringLike": {"s3:prefix": ["capture/driftloop-card-fraud/*"]}}


def test_the_pipeline_passes_that_role_and_no_other(large: Template) -> None:
    assert _pipeline(large)["RoleArn"].startswith("<ProfilingPipelineRole")
    passed = [s for role, s in statements(large) if "iam:PassRole" in as_list(s["Action"]) and "Profiling" in role]
    (statement,) = passed
    assert as_list(statement["Resource"]) == [f"arn:aws:iam::111122223333:role/{JOB_ROLE}"]
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_the_stack_stays_small(large: Template) -> None:
    assert len(large.content["Resources"]) <= MODEL_STACK_RESOURCES


def test_a_definition_that_does_not_fit_is_refused(
    built: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.constructs import profile_job  # noqa: PLC0415 - importing it takes seconds

    text = profile_job.COMPILED.read_text().replace("${SparkImage}", "${AnotherImage}")
    (tmp_path / "profiling.json").write_text(text)
    monkeypatch.setattr(profile_job.ProfileJob.__init__, "__kwdefaults__", {"compiled": tmp_path / "profiling.json"})
    (tmp_path / "models" / "card_fraud").mkdir(parents=True)
    spec = HOURLY.replace("monitoring: {", "monitoring: {spark_above: 20GB, ")
    (tmp_path / "models" / "card_fraud" / "model.yaml").write_text(spec)
    with pytest.raises(DefinitionError, match="nothing fills: AnotherImage"):
        app(tmp_path / "models", HOST, outdir=tmp_path / "out")
