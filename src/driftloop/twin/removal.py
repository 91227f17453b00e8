"""Take the kit out of a twin again as it would be taken out of AWS, and look whether anything is left.

CloudFormation refuses to delete a bucket that holds anything, so the kit's own buckets are emptied first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from driftloop.names import PREFIX, bucket
from driftloop.twin import deployment
from driftloop.twin.lifecycle import Twin
from driftloop.twin.toolkit import run_cdk

Client = Callable[[str], Any]
"""Service name -> boto3 client."""

BUCKETS = ("live", "curated", "artifacts", "access-logs")
"""In this order: emptying the others is written into the access logs."""
_TOOLKIT = "CDKToolkit"
_OWN = re.compile(rf"(^|[/:]){PREFIX}(?=$|[-/])")


class RemovalError(Exception):
    """Something could not be deleted; the message names it."""


@dataclass(frozen=True)
class _Kind:
    """How to list one kind of resource."""

    name: str
    service: str
    operation: str
    items: str
    field: str = ""
    """Field that holds the name; empty if the items are names."""
    arguments: tuple[tuple[str, str], ...] = ()


_KINDS = (
    _Kind("stack", "cloudformation", "describe_stacks", "Stacks", "StackName"),
    _Kind("endpoint", "sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    _Kind("endpoint configuration", "sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    _Kind("model", "sagemaker", "list_models", "Models", "ModelName"),
    _Kind(
        "scaled variant", "application-autoscaling", "describe_scalable_targets", "ScalableTargets", "ResourceId",
        (("ServiceNamespace", "sagemaker"),),
    ),
    _Kind(
        "model package group", "sagemaker", "list_model_package_groups", "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
    ),
    _Kind(
        "model package", "sagemaker", "list_model_packages", "ModelPackageSummaryList", "ModelPackageArn",
        (("ModelPackageType", "Both"),),
    ),
    _Kind("pipeline", "sagemaker", "list_pipelines", "PipelineSummaries", "PipelineName"),
    _Kind("bucket", "s3", "list_buckets", "Buckets", "Name"),
    _Kind("table", "dynamodb", "list_tables", "TableNames"),
    _Kind("queue", "sqs", "list_queues", "QueueUrls"),
    _Kind("topic", "sns", "list_topics", "Topics", "TopicArn"),
    _Kind("function", "lambda", "list_functions", "Functions", "FunctionName"),
    _Kind("event source mapping", "lambda", "list_event_source_mappings", "EventSourceMappings", "FunctionArn"),
    _Kind("alarm", "cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    _Kind("dashboard", "cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    _Kind("rule", "events", "list_rules", "Rules", "Name"),
    _Kind("schedule", "scheduler", "list_schedules", "Schedules", "Name"),
    _Kind("parameter", "ssm", "describe_parameters", "Parameters", "Name"),
    _Kind("log group", "logs", "describe_log_groups", "logGroups", "logGroupName"),
    _Kind("role", "iam", "list_roles", "Roles", "RoleName"),
    _Kind("key alias", "kms", "list_aliases", "Aliases", "AliasName"),
)  # fmt: skip


def destroy(twin: Twin, say: Callable[[str], None]) -> list[str]:
    """Remove every stack of the kit with ``cdk destroy``; what is left of it, which should be nothing.

    Args:
        say: told what is done, a line at a time.

    Raises TwinError, ToolkitError or RemovalError.
    """
    client = partial(deployment.client, twin)
    if not any(name.startswith("stack ") for name in leftovers(client)):
        say("nothing is deployed")
        return leftovers(client)
    twin.door("settle")
    _check_at_rest(client("sagemaker"))
    for name in own_buckets(client("s3"), twin.account, twin.region):
        say(f"emptied   {name}: {empty_bucket(client('s3'), name)} object versions")
    assembly, log = twin.folder / deployment.ASSEMBLY, twin.folder / deployment.LOG
    if not assembly.exists():
        say("synthesise the app, as it was not deployed with `driftloop deploy`")
        deployment.synthesise(assembly, log)
    together = ("--concurrency", "4")  # stacks of models do not know each other
    run_cdk(["destroy", "--all", "--force", "--app", str(assembly), *together], twin.environment(), log)
    return leftovers(client)


def _check_at_rest(sagemaker: Any) -> None:
    for page in _pages(sagemaker, "list_endpoints", NameContains=f"{PREFIX}-"):
        for endpoint in page["Endpoints"]:
            if endpoint["EndpointStatus"] in ("Creating", "Updating"):
                raise RemovalError(
                    f"endpoint {endpoint['EndpointName']} is {endpoint['EndpointStatus']}, and SageMaker deletes none "
                    "that is; let its rollout end first, or move time with `driftloop clock`"
                )


def own_buckets(s3: Any, account: str, region: str) -> list[str]:
    """The kit's buckets of one account and region that exist."""
    there = {found["Name"] for page in _pages(s3, "list_buckets") for found in page["Buckets"]}
    return [name for kind in BUCKETS if (name := bucket(kind, account, region)) in there]


def empty_bucket(s3: Any, name: str) -> int:
    """Delete every version of every object; how many there were. Raises RemovalError."""
    count = 0
    while True:
        # Always the first page: what it listed is gone the next time.
        page = s3.list_object_versions(Bucket=name)
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if not found:
            return count
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        answer = s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
        for error in answer.get("Errors", ()):
            raise RemovalError(f"s3://{name}/{error['Key']} cannot be deleted: {error['Code']}: {error['Message']}")
        count += len(objects)


def leftovers(client: Client) -> list[str]:
    """Everything that bears the kit's name, e.g. ``queue driftloop-labels``."""
    return [
        f"{kind.name} {name}" for kind in _KINDS for name in _names(client(kind.service), kind) if _OWN.search(name)
    ]


def kept(client: Client) -> list[str]:
    """What stays on purpose, because it is CDK's and not the kit's, or because AWS takes its time."""
    formation = client("cloudformation")
    stacks = [name for name in _names(formation, _KINDS[0]) if name == _TOOLKIT]
    lines = [f"stack {name}, which CDK deploys with and other apps may use" for name in stacks]
    for name in stacks:
        pages = _pages(formation, "list_stack_resources", StackName=name)
        resources = [item for page in pages for item in page["StackResourceSummaries"]]
        lines += [
            f"bucket {item['PhysicalResourceId']} of that stack, with the code that was published"
            for item in resources
            if item["ResourceType"] == "AWS::S3::Bucket"
        ]
    return lines + [f"key {key}, until AWS deletes it" for key in _dying_keys(client("kms"))]


def _dying_keys(kms: Any) -> Iterator[str]:
    for page in _pages(kms, "list_keys"):
        for key in page["Keys"]:
            if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion":
                yield key["KeyId"]


def _names(service: Any, kind: _Kind) -> Iterator[str]:
    for page in _pages(service, kind.operation, **dict(kind.arguments)):
        for item in page.get(kind.items, ()):
            yield item[kind.field] if kind.field else item


def _pages(service: Any, operation: str, **arguments: str) -> Iterator[dict[str, Any]]:
    yield from service.get_paginator(operation).paginate(**arguments)
