"""SageMaker's records: the registry's mends, and what is refused instead of half done."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from .cloud import IMAGE, Cloud, code_of, message_of
from .test_events import rule

PROPERTIES = {"episode_id": "e-1", "trigger": "drift"}


def group(cloud: Cloud) -> str:
    name = cloud.name("group")
    cloud.client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    return name


def package(cloud: Cloud, group_name: str, **more: Any) -> str:
    specification = {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://b/model.tar.gz", "Environment": {"A": "1"}}],
        "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"],
    }  # fmt: skip
    settings = {"ModelApprovalStatus": "PendingManualApproval", "CustomerMetadataProperties": PROPERTIES} | more
    arn: str = cloud.client("sagemaker").create_model_package(
        ModelPackageGroupName=group_name, InferenceSpecification=specification, **settings
    )["ModelPackageArn"]
    return arn


def test_versions_count_up_and_are_listed(cloud: Cloud) -> None:
    name = group(cloud)
    arns = [package(cloud, name) for _ in range(3)]
    assert [arn.rpartition("/")[2] for arn in arns] == ["1", "2", "3"]
    found = cloud.client("sagemaker").list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]
    assert sorted(item["ModelPackageArn"] for item in found) == arns


def test_an_approval_keeps_the_metadata_and_metadata_keep_the_approval(cloud: Cloud) -> None:
    client, arn = cloud.client("sagemaker"), package(cloud, group(cloud))
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good")
    found = client.describe_model_package(ModelPackageName=arn)
    assert (found["ModelApprovalStatus"], found["CustomerMetadataProperties"]) == ("Approved", PROPERTIES)
    client.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"note": "x", "trigger": "manual"})
    found = client.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "Approved"
    assert found["CustomerMetadataProperties"] == {"episode_id": "e-1", "trigger": "manual", "note": "x"}
    assert found["InferenceSpecification"]["Containers"][0]["Environment"] == {"A": "1"}


def test_a_card_is_kept_and_changes_neither_approval_nor_metadata(cloud: Cloud) -> None:
    client, arn = cloud.client("sagemaker"), package(cloud, group(cloud))
    assert "ModelCard" not in client.describe_model_package(ModelPackageName=arn)
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected", ApprovalDescription="no")
    card = {"ModelCardContent": '{"intended_uses":{}}', "ModelCardStatus": "Draft"}
    client.update_model_package(ModelPackageArn=arn, ModelCard=card)
    found = client.describe_model_package(ModelPackageName=arn)
    assert found["ModelCard"] == card
    assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == ("Rejected", "no")
    assert found["CustomerMetadataProperties"] == PROPERTIES
    client.update_model_package(ModelPackageArn=arn, ModelCard={"ModelCardStatus": "Approved"})
    found = client.describe_model_package(ModelPackageName=arn)
    assert found["ModelCard"] == {**card, "ModelCardStatus": "Approved"}
    registered = package(cloud, group(cloud), ModelCard=card)
    assert client.describe_model_package(ModelPackageName=registered)["ModelCard"] == card


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"ModelCardContent": "no JSON"}, "is no JSON"),
        ({"ModelCardContent": "[]"}, "is not of type 'object'"),
        ({"ModelCardContent": '{"model_package_details":{}}'}, "'model_package_details' was unexpected"),
        ({"ModelCardContent": '{"intended_uses":{"risk_rating":"None"}}'}, "intended_uses.risk_rating"),
        ({"ModelCardStatus": "Finished"}, "is not one of Draft"),
    ],
)
def test_a_card_that_sagemaker_does_not_know_is_refused_and_changes_nothing(
    cloud: Cloud, card: dict[str, str], said: str
) -> None:
    client, name = cloud.client("sagemaker"), group(cloud)
    arn = package(cloud, name)
    for change in (
        lambda: client.update_model_package(ModelPackageArn=arn, ModelCard=card, ModelApprovalStatus="Approved"),
        lambda: package(cloud, name, ModelCard=card),
    ):
        assert code_of(change) == "ValidationException"
        assert said in message_of(change)
    found = client.describe_model_package(ModelPackageName=arn)
    assert ("ModelCard" in found, found["ModelApprovalStatus"]) == (False, "PendingManualApproval")
    assert len(client.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]) == 1


def test_every_change_of_a_version_is_an_event(cloud: Cloud) -> None:
    name = group(cloud)
    url = rule(cloud, {"source": ["aws.sagemaker"], "detail": {"ModelPackageGroupName": [name]}})
    arn = package(cloud, name)
    cloud.client("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    cloud.settle()
    events = [json.loads(body) for body in cloud.take(url)]
    assert {event["detail-type"] for event in events} == {"SageMaker Model Package State Change"}
    assert [e["detail"]["ModelApprovalStatus"] for e in events] == ["PendingManualApproval", "Approved"]
    assert events[0]["resources"] == [arn]
    assert events[0]["detail"]["ModelPackageVersion"] == 1
    assert events[0]["detail"]["CustomerMetadataProperties"] == PROPERTIES


def test_a_group_is_deleted_only_when_empty(cloud: Cloud) -> None:
    client, name = cloud.client("sagemaker"), group(cloud)
    arn = package(cloud, name)
    assert code_of(lambda: client.delete_model_package_group(ModelPackageGroupName=name)) == "ConflictException"
    client.delete_model_package(ModelPackageName=arn)
    assert "Could not find" in message_of(lambda: client.describe_model_package(ModelPackageName=arn))
    assert "Could not find" in message_of(lambda: client.delete_model_package(ModelPackageName=arn))
    client.delete_model_package_group(ModelPackageGroupName=name)
    assert code_of(lambda: client.describe_model_package_group(ModelPackageGroupName=name)) == "ValidationException"
    assert "Could not find" in message_of(lambda: client.delete_model_package_group(ModelPackageGroupName=name))


def test_a_deleted_version_leaves_the_others(cloud: Cloud) -> None:
    client, name = cloud.client("sagemaker"), group(cloud)
    first, second = package(cloud, name), package(cloud, name)
    client.delete_model_package(ModelPackageName=first)
    assert client.describe_model_package(ModelPackageName=second)["ModelPackageVersion"] == 2
    found = client.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]
    assert [item["ModelPackageArn"] for item in found] == [second]


def test_a_version_in_no_group_is_refused(cloud: Cloud) -> None:
    assert code_of(lambda: package(cloud, "no-such-group")) == "ValidationException"


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("describe_model", {"ModelName": "absent"}),
        ("describe_endpoint", {"EndpointName": "absent"}),
        ("describe_endpoint_config", {"EndpointConfigName": "absent"}),
        ("describe_pipeline", {"PipelineName": "absent"}),
        ("start_pipeline_execution", {"PipelineName": "absent"}),
        ("describe_model_package_group", {"ModelPackageGroupName": "absent"}),
        ("delete_model", {"ModelName": "absent"}),
        ("delete_endpoint", {"EndpointName": "absent"}),
        ("delete_endpoint_config", {"EndpointConfigName": "absent"}),
        ("describe_processing_job", {"ProcessingJobName": "absent"}),
    ],
)
def test_what_does_not_exist_is_refused_in_sagemakers_words(
    cloud: Cloud, operation: str, arguments: dict[str, str]
) -> None:
    call = getattr(cloud.client("sagemaker"), operation)
    assert code_of(lambda: call(**arguments)) in ("ValidationException", "ResourceNotFound")
    assert re.search("ould not find|does not exist", message_of(lambda: call(**arguments)))


@pytest.mark.parametrize(
    ("operation", "arguments", "said"),
    [
        ("create_project", {"ProjectName": "p"}, "sagemaker:CreateProject"),
        ("list_training_jobs", {}, "sagemaker:ListTrainingJobs"),
        ("create_endpoint", {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 1}},
        }}, "DeploymentConfig in CreateEndpoint"),
        ("update_endpoint", {"EndpointName": "e", "EndpointConfigName": "c", "RetainDeploymentConfig": True},
         "RetainDeploymentConfig in UpdateEndpoint"),
        ("start_pipeline_execution", {"PipelineName": "p", "ParallelismConfiguration": {"MaxParallelExecutionSteps": 2}},
         "ParallelismConfiguration in StartPipelineExecution"),
        ("list_pipeline_executions", {"PipelineName": "p", "SortOrder": "Ascending"}, "SortOrder in ListPipelineExecutions"),
        ("list_endpoints", {"StatusEquals": "Failed"}, "StatusEquals in ListEndpoints"),
    ],
)  # fmt: skip
def test_what_the_twin_does_not_do_is_said(cloud: Cloud, operation: str, arguments: dict[str, Any], said: str) -> None:
    call = getattr(cloud.client("sagemaker"), operation)
    assert code_of(lambda: call(**arguments)) == "TwinNotSupported"
    assert said in message_of(lambda: call(**arguments))


def test_a_config_that_the_twin_would_serve_differently_is_refused(cloud: Cloud) -> None:
    client = cloud.client("sagemaker")
    client.create_model(
        ModelName="plain", ExecutionRoleArn=cloud.role(), PrimaryContainer={"Image": IMAGE, "ModelDataUrl": "s3://b/m"}
    )
    variant = {"VariantName": "v", "ModelName": "plain", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    for number, (settings, said) in enumerate(
        [
            ({"ProductionVariants": [variant, {**variant, "VariantName": "w"}]}, "exactly one variant"),
            (
                {"ProductionVariants": [{"VariantName": "v", "ModelName": "plain",
                                         "ServerlessConfig": {
                    "MemorySizeInMB": 1024, "MaxConcurrency": 1, "ProvisionedConcurrency": 1}}]},
                "ProvisionedConcurrency in ServerlessConfig",
            ),
            (
                {"ProductionVariants": [variant], "EnableNetworkIsolation": True},
                "EnableNetworkIsolation in CreateEndpointConfig",
            ),
        ]
    ):  # fmt: skip
        name = f"refused-{number}"

        def deploy(name: str = name, settings: Any = settings) -> None:
            client.create_endpoint_config(EndpointConfigName=name, **settings)
            client.create_endpoint(EndpointName=name, EndpointConfigName=name)

        assert said in message_of(deploy)
