"""IAM: SageMaker's ARNs, PassRole, condition keys, TLS on loopback, and signatures under a virtual clock."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from .cloud import Cloud, allow, code_of, message_of, policy

DEFINITION = json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": []})


@pytest.fixture(scope="session")
def pipeline(cloud: Cloud) -> str:
    name = cloud.name("pipeline")
    cloud.client("sagemaker").create_pipeline(
        PipelineName=name, RoleArn=cloud.role(), PipelineDefinition=DEFINITION, ClientRequestToken="t" * 32
    )
    return name


def test_a_caller_without_permission_is_refused_and_with_it_accepted(cloud: Cloud, pipeline: str) -> None:
    arn = cloud.arn("sagemaker", f"pipeline/{pipeline}")
    for permissions in (
        [allow("sagemaker:DescribePipeline", arn)],
        [allow("sagemaker:StartPipelineExecution", arn + "x")],
        [allow("sagemaker:*"), {"Effect": "Deny", "Action": "sagemaker:Start*", "Resource": arn}],
    ):
        refused = cloud.caller("sagemaker", *permissions)
        code = code_of(lambda c=refused: c.start_pipeline_execution(PipelineName=pipeline))  # type: ignore[misc]
        assert code.startswith("AccessDenied")
    accepted = cloud.caller("sagemaker", allow("sagemaker:StartPipelineExecution", arn))
    assert accepted.start_pipeline_execution(PipelineName=pipeline)["PipelineExecutionArn"].startswith(arn)


def test_parameters_below_a_path_are_authorised_on_the_path(cloud: Cloud) -> None:
    granted = cloud.caller("ssm", allow("ssm:GetParametersByPath", cloud.arn("ssm", "parameter/kit/models")))
    assert granted.get_parameters_by_path(Path="/kit/models")["Parameters"] == []
    for path in ("/kit", "/kit/models2", "/"):
        code = code_of(lambda p=path: granted.get_parameters_by_path(Path=p))  # type: ignore[misc]
        assert code.startswith("AccessDenied")


def test_events_are_authorised_on_their_bus(cloud: Cloud) -> None:
    entries = [{"Source": "kit", "DetailType": "moved", "Detail": "{}"}]
    granted = cloud.caller("events", allow("events:PutEvents", cloud.arn("events", "event-bus/default")))
    assert granted.put_events(Entries=entries)["FailedEntryCount"] == 0
    for permission in (
        allow("events:PutEvents", cloud.arn("events", "event-bus/other")),
        allow("events:PutRule", cloud.arn("events", "event-bus/default")),
    ):
        refused = cloud.caller("events", permission)
        assert code_of(lambda c=refused: c.put_events(Entries=entries)).startswith("AccessDenied")  # type: ignore[misc]


def test_a_batch_of_reads_is_authorised_on_its_table(cloud: Cloud) -> None:
    table, other = cloud.name("table"), cloud.name("table")
    for name in (table, other):
        cloud.client("dynamodb").create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        )  # fmt: skip
    wanted = {"Keys": [{"k": {"S": "1"}}]}
    arn = cloud.arn("dynamodb", f"table/{table}")
    granted = cloud.caller("dynamodb", allow("dynamodb:BatchGetItem", arn))
    assert granted.batch_get_item(RequestItems={table: wanted})["Responses"] == {table: []}
    single = cloud.caller("dynamodb", allow("dynamodb:GetItem", arn))
    assert code_of(lambda: single.batch_get_item(RequestItems={table: wanted})).startswith("AccessDenied")
    both = {table: wanted, other: wanted}
    assert code_of(lambda: granted.batch_get_item(RequestItems=both)).startswith("AccessDenied")


@pytest.mark.parametrize(
    ("operation", "arguments", "action", "resource"),
    [
        ("describe_model", {"ModelName": "m"}, "DescribeModel", "model/m"),
        ("describe_endpoint", {"EndpointName": "e"}, "DescribeEndpoint", "endpoint/e"),
        ("describe_endpoint_config", {"EndpointConfigName": "c"}, "DescribeEndpointConfig", "endpoint-config/c"),
        ("describe_processing_job", {"ProcessingJobName": "j"}, "DescribeProcessingJob", "processing-job/j"),
        ("describe_transform_job", {"TransformJobName": "j"}, "DescribeTransformJob", "transform-job/j"),
        ("describe_training_job", {"TrainingJobName": "j"}, "DescribeTrainingJob", "training-job/j"),
        ("delete_pipeline", {"PipelineName": "p", "ClientRequestToken": "t" * 32}, "DeletePipeline", "pipeline/p"),
        ("describe_model_package_group", {"ModelPackageGroupName": "g"}, "DescribeModelPackageGroup", "model-package-group/g"),
        ("create_endpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, "CreateEndpoint", "endpoint/e"),
        ("update_endpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, "UpdateEndpoint", "endpoint/e"),
    ],
)  # fmt: skip
def test_each_operation_is_authorised_on_the_arn_of_its_resource(
    cloud: Cloud, operation: str, arguments: dict[str, Any], action: str, resource: str
) -> None:
    def code(target: str) -> str:
        caller = cloud.caller("sagemaker", allow(f"sagemaker:{action}", cloud.arn("sagemaker", target)))
        return code_of(lambda: getattr(caller, operation)(**arguments))

    assert code(resource + "-other").startswith("AccessDenied")
    assert not code(resource).startswith("AccessDenied"), "what does not exist is found out after the permission"


def test_invoking_is_authorised_on_the_endpoint(cloud: Cloud) -> None:
    def code(target: str) -> str:
        caller = cloud.caller("sagemaker-runtime", allow("sagemaker:InvokeEndpoint", cloud.arn("sagemaker", target)))
        return code_of(lambda: caller.invoke_endpoint(EndpointName="absent", Body=b"1"))

    assert code("endpoint/other").startswith("AccessDenied")
    assert code("endpoint/absent").startswith("Validation")


def create_model(client: Any, cloud: Cloud, role: str) -> Any:
    return client.create_model(ModelName=cloud.name("model"), ExecutionRoleArn=role)


def test_a_role_is_passed_only_by_whom_may(cloud: Cloud) -> None:
    role, other = cloud.role(), cloud.role()
    create = allow("sagemaker:CreateModel")
    to_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    for refused in (
        cloud.caller("sagemaker", create),
        cloud.caller("sagemaker", create, allow("iam:PassRole", other)),
        cloud.caller("sagemaker", create, allow("iam:PassRole", role, Condition=to_lambda)),
    ):
        assert "iam:PassRole" in message_of(lambda c=refused: create_model(c, cloud, role))  # type: ignore[misc]
    create_model(cloud.caller("sagemaker", create, allow("iam:PassRole", role)), cloud, role)
    create_model(cloud.caller("sagemaker", create, allow("iam:PassRole", role, Condition=to_sagemaker)), cloud, role)


def test_a_role_that_does_not_trust_sagemaker_is_refused(cloud: Cloud) -> None:
    client = cloud.client("sagemaker")
    stranger = cloud.role(trusts=["lambda.amazonaws.com"])
    assert "does not trust sagemaker" in message_of(lambda: create_model(client, cloud, stranger))
    absent = f"arn:aws:iam::{cloud.twin.account}:role/absent"
    assert "does not exist" in message_of(lambda: create_model(client, cloud, absent))


def trust(cloud: Cloud, document: dict[str, Any]) -> str:
    name = cloud.name("role")
    text = json.dumps({"Version": "2012-10-17", **document})
    arn: str = cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=text)["Role"]["Arn"]
    return arn


SAGEMAKER = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.mark.parametrize(
    ("statements", "accepted"),
    [
        (SAGEMAKER, True),
        ([{**SAGEMAKER, "Principal": {"AWS": "*"}}], False),
        ([SAGEMAKER, {**SAGEMAKER, "Effect": "Deny"}], False),
        ([{**SAGEMAKER, "Effect": "Deny"}], False),
        ([{**SAGEMAKER, "Action": ["sts:AssumeRole", "sts:TagSession"]}], True),
        ([{**SAGEMAKER, "Action": "sts:TagSession"}], False),
    ],
)
def test_every_form_of_a_trust_policy(cloud: Cloud, statements: Any, accepted: bool) -> None:
    role = trust(cloud, {"Statement": statements})
    if accepted:
        create_model(cloud.client("sagemaker"), cloud, role)
    else:
        assert "does not trust" in message_of(lambda: create_model(cloud.client("sagemaker"), cloud, role))


def test_the_metric_namespace_is_a_condition(cloud: Cloud) -> None:
    condition = {"StringEquals": {"cloudwatch:namespace": "mine"}}
    caller = cloud.caller("cloudwatch", allow("cloudwatch:PutMetricData", Condition=condition))
    data = [{"MetricName": "m", "Value": 1.0}]
    caller.put_metric_data(Namespace="mine", MetricData=data)
    assert code_of(lambda: caller.put_metric_data(Namespace="other", MetricData=data)).startswith("AccessDenied")


def test_loopback_counts_as_tls(cloud: Cloud) -> None:
    bucket, s3 = cloud.bucket(), cloud.client("s3")
    deny = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(deny))
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"


def test_a_request_that_was_signed_years_away_is_accepted(cloud: Cloud) -> None:
    assert abs(datetime.now(UTC) - cloud.now()).days > 365
    assert cloud.client("sts").get_caller_identity()["Account"] == cloud.twin.account


@pytest.mark.parametrize(
    ("service", "call"), [("sqs", "list_queues"), ("s3", "list_buckets"), ("sagemaker", "list_models")]
)
def test_a_wrong_signature_is_refused(cloud: Cloud, service: str, call: str) -> None:
    """ministack verifies the keys of users and of role sessions, but not the root key's."""
    role = cloud.role(allow("*"))
    keys = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]

    def code(secret: str) -> str:
        client = cloud.client(service, (keys["AccessKeyId"], secret, keys["SessionToken"]))
        return code_of(getattr(client, call))

    assert code("not the secret") in ("SignatureDoesNotMatch", "InvalidSignatureException")
    getattr(cloud.client(service, (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])), call)()
    forged = cloud.client(service, (keys["AccessKeyId"], keys["SecretAccessKey"], "not the token"))
    assert code_of(getattr(forged, call)) in ("InvalidToken", "InvalidClientTokenId", "UnrecognizedClientException")


def test_an_unknown_key_is_refused(cloud: Cloud) -> None:
    assert code_of(cloud.client("sagemaker", ("AKIANOBODY", "x", None)).list_models) == "UnrecognizedClientException"
