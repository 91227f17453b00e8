"""Empties the account of a twin between two tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from tests.contract.twin.cloud import allow, policy, until
from tests.fakes import examples as ex


def serving_role(client: Callable[[str], Any]) -> str:
    """ARN of the role that models are served by; made once, as it changes nothing for other tests."""
    name = ex.ROLE.rpartition("/")[2]
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    with suppress(client("iam").exceptions.EntityAlreadyExistsException):
        client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))
        resources = [f"arn:aws:s3:::{ex.ARTIFACTS}", f"arn:aws:s3:::{ex.ARTIFACTS}/*"]
        topics = f"arn:aws:sns:*:{ex.ROLE.split(':')[4]}:answered"
        grant = policy(allow("s3:GetObject", resources), allow("sns:Publish", topics))
        client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=grant)
    return ex.ROLE


def empty(client: Callable[[str], Any]) -> None:
    """Delete whatever a contract test may have made."""
    _empty_sagemaker(client("sagemaker"))
    for name in client("dynamodb").list_tables()["TableNames"]:
        client("dynamodb").delete_table(TableName=name)
    pages = client("ssm").get_paginator("get_parameters_by_path").paginate(Path="/driftloop", Recursive=True)
    for name in [item["Name"] for page in pages for item in page["Parameters"]]:
        client("ssm").delete_parameter(Name=name)
    _empty_cloudwatch(client("cloudwatch"))
    for bucket in client("s3").list_buckets()["Buckets"]:
        _delete_bucket(client("s3"), bucket["Name"])
    for rule in client("events").list_rules()["Rules"]:
        targets = client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
        client("events").remove_targets(Rule=rule["Name"], Ids=[target["Id"] for target in targets])
        client("events").delete_rule(Name=rule["Name"])
    for url in client("sqs").list_queues().get("QueueUrls", ()):
        client("sqs").delete_queue(QueueUrl=url)
    for topic in client("sns").list_topics()["Topics"]:
        client("sns").delete_topic(TopicArn=topic["TopicArn"])


def _empty_cloudwatch(cloudwatch: Any) -> None:
    """Composite alarms first: an alarm that another one depends on cannot be deleted."""
    for kind in ("CompositeAlarm", "MetricAlarm"):
        pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=[kind])
        for name in [alarm["AlarmName"] for page in pages for alarm in page[f"{kind}s"]]:
            cloudwatch.delete_alarms(AlarmNames=[name])


def _empty_sagemaker(sagemaker: Any) -> None:
    for endpoint in sagemaker.list_endpoints()["Endpoints"]:
        until(partial(_is_deleted, sagemaker, endpoint["EndpointName"]), 60)
    for config in sagemaker.list_endpoint_configs()["EndpointConfigs"]:
        sagemaker.delete_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
    for model in sagemaker.list_models()["Models"]:
        sagemaker.delete_model(ModelName=model["ModelName"])
    for group in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]:
        name = group["ModelPackageGroupName"]
        for package in sagemaker.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]:
            sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
        sagemaker.delete_model_package_group(ModelPackageGroupName=name)
    for pipeline in sagemaker.list_pipelines()["PipelineSummaries"]:
        sagemaker.delete_pipeline(PipelineName=pipeline["PipelineName"], ClientRequestToken="d" * 32)


def _is_deleted(sagemaker: Any, name: str) -> bool:
    """False while it is busy."""
    with suppress(ClientError):
        sagemaker.delete_endpoint(EndpointName=name)
        return True
    return False


def _delete_bucket(s3: Any, name: str) -> None:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        objects = [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for item in page.get(kind, ())
        ]
        if objects:
            s3.delete_objects(Bucket=name, Delete={"Objects": objects})
    s3.delete_bucket(Bucket=name)
