"""Requests are held against AWS's own service model."""

from __future__ import annotations

from typing import Any

import pytest

from driftloop.twin.errors import ApiError
from driftloop.twin.requests import check_request, coerce, input_shape, only

MODEL = {"ModelName": "m", "ExecutionRoleArn": "arn:aws:iam::123456789012:role/r"}


def test_a_good_request_passes() -> None:
    check_request("sagemaker", "CreateModel", MODEL)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, "Missing required parameter"),
        ({**MODEL, "ModelNme": "m"}, 'Unknown parameter in input: "ModelNme"'),
        ({**MODEL, "ModelName": 5}, "Invalid type for parameter ModelName"),
        ({**MODEL, "PrimaryContainer": {"Imag": "x"}}, "Unknown parameter in PrimaryContainer"),
        ({**MODEL, "Tags": [{"Key": "a"}]}, "Missing required parameter in Tags[0]"),
    ],
)
def test_unknown_missing_and_mistyped_fields_are_refused(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError) as refusal:
        check_request("sagemaker", "CreateModel", request_)
    assert refusal.value.code == "ValidationException"
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({**MODEL, "ModelName": "with_underscore"}, "ModelName: 'with_underscore' does not match"),
        ({**MODEL, "ModelName": "m" * 64}, "is longer than 63"),
        ({**MODEL, "ExecutionRoleArn": "the name of a role of mine"}, "ExecutionRoleArn: 'the name of a role of mine'"),
        ({**MODEL, "Tags": [{"Key": "a", "Value": "no; semicolon"}]}, "Tags[0].Value: 'no; semicolon' does not match"),
        ({**MODEL, "PrimaryContainer": {"Mode": "Dual"}}, "PrimaryContainer.Mode: 'Dual' is not one of SingleModel"),
        ({**MODEL, "PrimaryContainer": {"Environment": {"a b": "1"}}}, "PrimaryContainer.Environment: 'a b' does not"),
        ({**MODEL, "Tags": [{"Key": "a", "Value": "v" * 257}]}, "Tags[0].Value"),
        ({**MODEL, "Tags": [{"Key": "a", "Value": "ä 1"}] * 51}, "Tags: "),
    ],
)
def test_what_botocore_leaves_to_aws_is_refused_too(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError) as refusal:
        check_request("sagemaker", "CreateModel", request_)
    assert said in str(refusal.value)


def test_a_number_has_its_range() -> None:
    variant = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "VolumeSizeInGB": 513}
    with pytest.raises(ApiError, match="VolumeSizeInGB: 513 is more than 512"):
        check_request("sagemaker", "CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": [variant]})


@pytest.mark.parametrize("operation", ["CreateUnicorn", ""])
def test_an_operation_that_aws_does_not_have_is_named(operation: str) -> None:
    with pytest.raises(ApiError, match=f"sagemaker:{operation}") as refusal:
        check_request("sagemaker", operation, {})
    assert refusal.value.status == 501


def test_only_refuses_what_would_be_ignored_and_says_which() -> None:
    with pytest.raises(ApiError, match="Magic, Volume in CreateThing"):
        only("CreateThing", {"Name": "n", "Volume": 3, "Magic": {"a": 1}}, {"Name"})


@pytest.mark.parametrize("empty", [None, {}, [], ""])
def test_only_lets_empty_fields_be(empty: Any) -> None:
    only("CreateThing", {"Name": "n", "Magic": empty}, {"Name"})


def test_text_of_a_template_becomes_the_apis_types() -> None:
    shape = input_shape("sagemaker", "CreateProcessingJob")
    given = {
        "ProcessingResources": {"ClusterConfig": {"InstanceCount": "1", "VolumeSizeInGB": 30}},
        "NetworkConfig": {"EnableNetworkIsolation": "true"},
        "Environment": {"A": 5},
        "AppSpecification": {"ImageUri": "i", "ContainerArguments": ["a", 1]},
    }
    assert coerce(shape, given, "Job") == {
        "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "VolumeSizeInGB": 30}},
        "NetworkConfig": {"EnableNetworkIsolation": True},
        "Environment": {"A": "5"},
        "AppSpecification": {"ImageUri": "i", "ContainerArguments": ["a", "1"]},
    }


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"Pipelinename": "x"}, "Type: Pipelinename"),
        ({"ParallelismConfiguration": {"Max": 1}}, "Type.ParallelismConfiguration: Max"),
        ({"ParallelismConfiguration": {"MaxParallelExecutionSteps": "many"}}, "many"),
    ],
)
def test_a_property_that_cannot_be_set_is_named_with_its_place(value: dict[str, Any], place: str) -> None:
    with pytest.raises(ValueError, match=place):
        coerce(input_shape("sagemaker", "CreatePipeline"), value, "Type")


def test_a_boolean_is_true_or_false() -> None:
    shape = input_shape("sagemaker", "CreateModel")
    assert coerce(shape, {"EnableNetworkIsolation": "False"}, "Model") == {"EnableNetworkIsolation": False}
    with pytest.raises(ValueError, match="perhaps"):
        coerce(shape, {"EnableNetworkIsolation": "perhaps"}, "Model")
