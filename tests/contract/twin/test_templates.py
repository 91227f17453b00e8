"""CloudFormation: SageMaker's types through the same control plane, and nothing that is silently left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .cloud import Cloud, message_of, until

STEP = {"Name": "stop", "Type": "Fail", "Arguments": {"ErrorMessage": "enough"}}


def definition(*steps: Any, **more: Any) -> dict[str, Any]:
    body = {"Version": "2020-12-01", "Parameters": [], "Steps": list(steps), **more}
    return {"PipelineDefinitionBody": json.dumps(body)}


class Stack:
    """A stack of the given resources."""

    def __init__(self, cloud: Cloud, **resources: dict[str, Any]) -> None:
        self._client, self.name = cloud.client("cloudformation"), cloud.name("stack")
        self._client.create_stack(StackName=self.name, TemplateBody=self._body(resources))

    @staticmethod
    def _body(resources: dict[str, Any]) -> str:
        outputs = {f"{key}Ref": {"Value": {"Ref": key}} for key in resources}
        return json.dumps({"Resources": resources, "Outputs": outputs})

    def update(self, **resources: dict[str, Any]) -> None:
        self._client.update_stack(StackName=self.name, TemplateBody=self._body(resources))

    def delete(self) -> None:
        self._client.delete_stack(StackName=self.name)

    def status(self) -> str:
        """Once nothing is in progress any more."""

        def settled() -> str:
            status = str(self._client.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"])
            return "" if status.endswith("_IN_PROGRESS") else status

        return str(until(settled))

    def outputs(self) -> dict[str, str]:
        stack = self._client.describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def reasons(self) -> str:
        events = self._client.describe_stack_events(StackName=self.name)["StackEvents"]
        return " | ".join(str(event.get("ResourceStatusReason", "")) for event in events)


def pipeline(cloud: Cloud, name: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    properties = {"PipelineName": name, "RoleArn": cloud.role(), "PipelineDefinition": body, **more}
    return {"Type": "AWS::SageMaker::Pipeline", "Properties": properties}


def group(name: str, **more: Any) -> dict[str, Any]:
    return {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": name, **more}}


def test_a_pipeline_is_created_updated_and_deleted(cloud: Cloud) -> None:
    client, name = cloud.client("sagemaker"), cloud.name("pipeline")
    first = pipeline(cloud, name, definition(), ParallelismConfiguration={"MaxParallelExecutionSteps": "2"})
    stack = Stack(cloud, P=first)
    assert stack.status() == "CREATE_COMPLETE", stack.reasons()
    assert stack.outputs() == {"PRef": name}
    assert json.loads(client.describe_pipeline(PipelineName=name)["PipelineDefinition"])["Steps"] == []
    stack.update(P=pipeline(cloud, name, definition(STEP)))
    assert stack.status() == "UPDATE_COMPLETE", stack.reasons()
    assert json.loads(client.describe_pipeline(PipelineName=name)["PipelineDefinition"])["Steps"] == [STEP]
    execution = client.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    cloud.settle()
    found = client.describe_pipeline_execution(PipelineExecutionArn=execution)
    assert found["FailureReason"] == "Step failure: stop: enough", "the updated definition runs"
    stack.delete()
    until(lambda: not any(p["PipelineName"] == name for p in client.list_pipelines()["PipelineSummaries"]))


def test_a_group_is_created_and_deleted(cloud: Cloud) -> None:
    client, name = cloud.client("sagemaker"), cloud.name("group")
    stack = Stack(cloud, G=group(name, ModelPackageGroupDescription="d", Tags=[{"Key": "a", "Value": "b"}]))
    assert stack.status() == "CREATE_COMPLETE", stack.reasons()
    found = client.describe_model_package_group(ModelPackageGroupName=name)
    assert found["ModelPackageGroupDescription"] == "d"
    assert stack.outputs() == {"GRef": found["ModelPackageGroupArn"]}
    stack.delete()
    until(lambda: not client.list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"])


@pytest.mark.parametrize(
    "kind",
    ["AWS::SageMaker::Unicorn", "AWS::SageMaker::Domain", "AWS::SageMaker::MlflowApp", "AWS::Unknown::Thing"],
)
def test_a_type_that_nobody_knows_is_refused(cloud: Cloud, kind: str) -> None:
    assert kind in message_of(lambda: Stack(cloud, R={"Type": kind, "Properties": {}}))


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (group("g-bad-1", ModelPackageGroupColour="green"), "ModelPackageGroupColour"),
        (group("g bad"), "g bad"),
        (
            {"Type": "AWS::SageMaker::Pipeline", "Properties": {
                "PipelineName": "p-bad-1", "PipelineDefinition": definition(), "RoleArn": "arn:aws:iam::123456789012:role/absent",
            }},
            "does not exist",
        ),
    ],
)  # fmt: skip
def test_a_property_of_a_resource_that_cannot_be_made_fails_the_stack(
    cloud: Cloud, resource: dict[str, Any], said: str
) -> None:
    stack = Stack(cloud, R=resource)
    assert stack.status() in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED")
    assert said in stack.reasons()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"PipelineColour": "green"}, "PipelineColour"),
        ({"PipelineDefinition": {"PipelineDefinitionBody": "{"}}, "Unable to parse"),
        ({"PipelineDefinition": definition({"Name": "a", "Type": "Tuning"})}, "Tuning"),
        ({"PipelineDefinition": definition(Extra=1)}, "Extra"),
    ],
)
def test_a_bad_pipeline_fails_the_stack_and_leaves_nothing(cloud: Cloud, change: dict[str, Any], said: str) -> None:
    name = cloud.name("pipeline")
    resource = pipeline(cloud, name, definition())
    stack = Stack(cloud, G=group(name), P={**resource, "Properties": resource["Properties"] | change, "DependsOn": "G"})
    assert "COMPLETE" not in stack.status().removeprefix("ROLLBACK_")[:6]
    assert said in stack.reasons()
    client = cloud.client("sagemaker")
    assert not client.list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"], "rolled back"


def test_a_bad_update_is_rolled_back(cloud: Cloud) -> None:
    name = cloud.name("pipeline")
    stack = Stack(cloud, P=pipeline(cloud, name, definition()))
    assert stack.status() == "CREATE_COMPLETE"
    stack.update(P=pipeline(cloud, name, definition({"Name": "a", "Type": "Tuning"})))
    assert stack.status() == "UPDATE_ROLLBACK_COMPLETE"
    found = cloud.client("sagemaker").describe_pipeline(PipelineName=name)
    assert json.loads(found["PipelineDefinition"])["Steps"] == []


def test_a_stack_that_still_has_versions_is_not_deleted_silently(cloud: Cloud) -> None:
    client, name = cloud.client("sagemaker"), cloud.name("group")
    stack = Stack(cloud, G=group(name))
    assert stack.status() == "CREATE_COMPLETE"
    client.create_model_package(ModelPackageGroupName=name, ModelApprovalStatus="Rejected")
    stack.delete()
    assert stack.status() == "DELETE_FAILED"
    assert client.describe_model_package_group(ModelPackageGroupName=name)


@pytest.mark.parametrize("versioned", [False, True])
def test_a_stack_does_not_take_data_with_it(cloud: Cloud, versioned: bool) -> None:
    s3, name = cloud.client("s3"), cloud.name("bucket")
    properties: dict[str, Any] = {"BucketName": name}
    if versioned:
        properties["VersioningConfiguration"] = {"Status": "Enabled"}
    stack = Stack(cloud, B={"Type": "AWS::S3::Bucket", "Properties": properties})
    assert stack.status() == "CREATE_COMPLETE"
    s3.put_object(Bucket=name, Key="k", Body=b"1")
    if versioned:
        s3.delete_object(Bucket=name, Key="k")
    stack.delete()
    assert stack.status() == "DELETE_FAILED"
    assert "not empty" in stack.reasons()
    versions = s3.list_object_versions(Bucket=name)
    for item in [*versions.get("Versions", ()), *versions.get("DeleteMarkers", ())]:
        s3.delete_object(Bucket=name, Key="k", VersionId=item["VersionId"])
    stack.delete()
    until(lambda: name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]])


def test_a_name_that_is_taken_fails_the_second_stack(cloud: Cloud) -> None:
    name = cloud.name("pipeline")
    first = Stack(cloud, P=pipeline(cloud, name, definition()))
    assert first.status() == "CREATE_COMPLETE"
    second = Stack(cloud, P=pipeline(cloud, name, definition()))
    assert second.status() != "CREATE_COMPLETE"
    assert cloud.client("sagemaker").describe_pipeline(PipelineName=name), "the first one's is still there"
    assert message_of(lambda: cloud.client("cloudformation").describe_stacks(StackName="absent"))
