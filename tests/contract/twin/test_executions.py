"""Pipelines from end to end: jobs, property files, the gate both ways, registration, failures, stopping."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .cloud import IMAGE, Cloud, allow, code_of, until
from .test_events import rule
from .work import processing, put_code, s3_input, s3_output, s3_role, training

PROGRAM = """
import json, os, pathlib, sys, time
mode, *paths = sys.argv[1:]
if mode == "prepare":
    pathlib.Path(paths[0], "rows.csv").write_text(paths[1])
elif mode == "train":
    rows = pathlib.Path(paths[0], "rows.csv").read_text()
    pathlib.Path(paths[1], "model.txt").write_text("learnt " + rows)
elif mode == "evaluate":
    decision = "promote" if float(paths[1]) > 0.5 else "reject"
    report = {"gate": {"decision": decision, "reason": "the score was " + paths[1], "score": float(paths[1])}}
    pathlib.Path(paths[0], "evaluation.json").write_text(json.dumps(report))
elif mode == "fail":
    pathlib.Path("/".join(["", "opt", "ml"])); sys.exit("too few rows")
elif mode == "sleep":
    time.sleep(60)
"""
OUT = "/opt/ml/processing/output"


def get(path: str) -> dict[str, str]:
    return {"Get": path}


def join(*values: Any) -> dict[str, Any]:
    return {"Std:Join": {"On": "/", "Values": list(values)}}


def report(path: str) -> dict[str, Any]:
    return {"Std:JsonGet": {"PropertyFile": get("Steps.Evaluate.PropertyFiles.Report"), "Path": path}}


class World:
    """A bucket, code, roles and a deployed pipeline with every kind of step."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.bucket = cloud, cloud.bucket()
        self.client = cloud.client("sagemaker")
        self.code = put_code(cloud, self.bucket, PROGRAM)
        self.job_role = s3_role(cloud, self.bucket)
        self.group = cloud.name("group")
        self.client.create_model_package_group(ModelPackageGroupName=self.group)
        self.role = cloud.role(
            allow(["sagemaker:*Job", "sagemaker:CreateModelPackage", "sagemaker:AddTags"]),
            allow("iam:PassRole", self.job_role),
            allow(["s3:GetObject", "s3:ListBucket"], [f"arn:aws:s3:::{self.bucket}", f"arn:aws:s3:::{self.bucket}/*"]),
        )

    def deploy(self, steps: list[dict[str, Any]], role: str = "") -> str:
        name = self.cloud.name("pipeline")
        parameters = [
            {"Name": "Rows", "Type": "String"},
            {"Name": "Score", "Type": "Float", "DefaultValue": 0.9},
            {"Name": "Approval", "Type": "String", "DefaultValue": "PendingManualApproval"},
        ]
        definition = {"Version": "2020-12-01", "Metadata": {}, "Parameters": parameters, "Steps": steps}
        self.client.create_pipeline(
            PipelineName=name, RoleArn=role or self.role, PipelineDefinition=json.dumps(definition),
            ClientRequestToken=name.ljust(32, "-"),
        )  # fmt: skip
        return name

    def start(self, name: str, token: str = "", **parameters: str) -> str:
        given = [{"Name": key, "Value": value} for key, value in ({"Rows": "1 2"} | parameters).items()]
        more = {"ClientRequestToken": token} if token else {}
        return str(self.client.start_pipeline_execution(PipelineName=name, PipelineParameters=given, **more)["PipelineExecutionArn"])  # fmt: skip

    def ended(self, execution: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            told: dict[str, Any] = self.client.describe_pipeline_execution(PipelineExecutionArn=execution)
            return None if told["PipelineExecutionStatus"] == "Executing" else told

        told: dict[str, Any] = until(found, 30)
        return told

    def steps(self, execution: str) -> dict[str, str]:
        told = self.client.list_pipeline_execution_steps(PipelineExecutionArn=execution)["PipelineExecutionSteps"]
        return {step["StepName"]: step["StepStatus"] for step in told[::-1]}

    def process(self, name: str, *arguments: Any, output: str = "out", **more: Any) -> dict[str, Any]:
        uri = join(f"s3://{self.bucket}/{name}", get("Execution.PipelineExecutionId"))
        request = processing(self.job_role, self.code, ["-"], (), [s3_output(output, "-", OUT)])
        request["AppSpecification"]["ContainerArguments"] = list(arguments)
        request["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] = uri
        request["ProcessingInputs"] += more.pop("inputs", [])
        return {"Name": name, "Type": "Processing", "Arguments": request, **more}

    def everything(self) -> list[dict[str, Any]]:
        rows = get("Steps.Prepare.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri")
        model = get("Steps.Train.ModelArtifacts.S3ModelArtifacts")
        trained = training(self.job_role, self.code, "-", ["train", "/opt/ml/input/data/rows", "/opt/ml/model"])
        trained["InputDataConfig"].append(
            {"ChannelName": "rows", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": rows}}}
        )
        trained["OutputDataConfig"]["S3OutputPath"] = f"s3://{self.bucket}/models"
        register = {
            "ModelPackageGroupName": self.group,
            "ModelApprovalStatus": get("Parameters.Approval"),
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE, "ModelDataUrl": model}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            "CustomerMetadataProperties": {"rows": get("Parameters.Rows")},
        }
        evaluate = self.process(
            "Evaluate", "evaluate", OUT, join(get("Parameters.Score")),
            inputs=[s3_input("model", "-", "/opt/ml/processing/input/model")],
            PropertyFiles=[{"PropertyFileName": "Report", "OutputName": "out", "FilePath": "evaluation.json"}],
        )  # fmt: skip
        evaluate["Arguments"]["ProcessingInputs"][1]["S3Input"]["S3Uri"] = model
        gate = {
            "Conditions": [{"Type": "Equals", "LeftValue": report("gate.decision"), "RightValue": "promote"}],
            "IfSteps": [{"Name": "Register", "Type": "RegisterModel", "Arguments": register}],
            "ElseSteps": [{"Name": "Reject", "Type": "Fail", "Arguments": {"ErrorMessage": report("gate.reason")}}],
        }
        return [
            {"Name": "Gate", "Type": "Condition", "DependsOn": ["Evaluate"], "Arguments": gate},
            evaluate,
            {"Name": "Train", "Type": "Training", "Arguments": trained},
            self.process("Prepare", "prepare", OUT, get("Parameters.Rows")),
        ]


@pytest.fixture(scope="module")
def world(cloud: Cloud) -> World:
    return World(cloud)


@pytest.fixture(scope="module")
def pipeline(world: World) -> str:
    return world.deploy(world.everything())


def test_a_good_challenger_is_registered(world: World, pipeline: str) -> None:
    url = rule(world.cloud, {"source": ["aws.sagemaker"], "detail": {"pipelineArn": [{"suffix": pipeline}]}})
    execution = world.start(pipeline, Rows="3 4", Approval="Approved")
    told = world.ended(execution)
    assert told["PipelineExecutionStatus"] == "Succeeded", told
    assert world.steps(execution) == dict.fromkeys(["Prepare", "Train", "Evaluate", "Gate", "Register"], "Succeeded")
    (summary,) = world.client.list_model_packages(ModelPackageGroupName=world.group)["ModelPackageSummaryList"]
    found = world.client.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
    assert (found["ModelApprovalStatus"], found["CustomerMetadataProperties"]) == ("Approved", {"rows": "3 4"})
    uri = found["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    assert uri.endswith("/output/model.tar.gz")
    assert world.cloud.client("s3").head_object(Bucket=world.bucket, Key=uri.split("/", 3)[3])["ContentLength"] > 0
    world.cloud.settle()
    details = [json.loads(body)["detail"] for body in world.cloud.take(url)]
    assert [d["currentPipelineExecutionStatus"] for d in details] == ["Executing", "Succeeded"]
    assert {d["pipelineExecutionArn"] for d in details} == {execution}


def test_a_bad_challenger_is_rejected_with_its_reason(world: World, pipeline: str) -> None:
    before = world.client.list_model_packages(ModelPackageGroupName=world.group)["ModelPackageSummaryList"]
    execution = world.start(pipeline, Score="0.25")
    told = world.ended(execution)
    assert told["PipelineExecutionStatus"] == "Failed"
    assert told["FailureReason"] == "Step failure: Reject: the score was 0.25"
    assert world.steps(execution) == {
        "Prepare": "Succeeded", "Train": "Succeeded", "Evaluate": "Succeeded", "Gate": "Succeeded", "Reject": "Failed",
    }  # fmt: skip
    assert world.client.list_model_packages(ModelPackageGroupName=world.group)["ModelPackageSummaryList"] == before


def test_metadata_that_aws_would_refuse_fail_the_registration(world: World, pipeline: str) -> None:
    told = world.ended(world.start(pipeline, Rows="3,4"))
    assert told["FailureReason"].startswith("Step failure: Register: ")
    assert "CustomerMetadataProperties: '3,4' does not match" in told["FailureReason"]


def test_a_failing_job_is_named_with_its_reason(world: World) -> None:
    name = world.deploy([world.process("First", "fail"), world.process("Second", "sleep", DependsOn=["First"])])
    execution = world.start(name)
    told = world.ended(execution)
    assert told["FailureReason"].startswith("Step failure: First: AlgorithmError: ")
    assert "too few rows" in told["FailureReason"]
    assert world.steps(execution) == {"First": "Failed"}


def test_the_same_token_starts_it_once(world: World) -> None:
    name = world.deploy([world.process("Only", "prepare", OUT, "1")])
    first = world.start(name, token="a" * 32)
    assert world.start(name, token="a" * 32) == first
    world.ended(first)
    assert world.start(name, token="a" * 32) == first, "even after it has ended"
    assert world.start(name, token="b" * 32) != first
    code = code_of(lambda: world.start(name, token="a" * 32, Rows="9"))
    assert code == "ConflictException"
    found = world.client.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    assert len(found) == 2


def test_an_execution_can_be_stopped(world: World) -> None:
    name = world.deploy([world.process("Long", "sleep"), world.process("Next", "prepare", OUT, "1", DependsOn=["Long"])])  # fmt: skip
    execution = world.start(name)
    until(lambda: world.steps(execution).get("Long") == "Executing")
    world.client.stop_pipeline_execution(PipelineExecutionArn=execution, ClientRequestToken="s" * 32)
    assert world.ended(execution)["PipelineExecutionStatus"] == "Stopped"
    assert "Next" not in world.steps(execution)


def test_the_pipelines_role_needs_the_permissions(world: World) -> None:
    only_jobs = world.cloud.role(allow("sagemaker:*"))
    name = world.deploy([world.process("Only", "prepare", OUT, "1")], role=only_jobs)
    assert "iam:PassRole" in world.ended(world.start(name))["FailureReason"]
    nothing = world.cloud.role()
    name = world.deploy([world.process("Only", "prepare", OUT, "1")], role=nothing)
    assert "AccessDenied" in world.ended(world.start(name))["FailureReason"]


def test_wrong_parameters_are_refused_at_the_start(world: World, pipeline: str) -> None:
    assert code_of(lambda: world.start(pipeline, Rws="1")) == "ValidationException"
    assert code_of(lambda: world.start(pipeline, Score="high")) == "ValidationException"
