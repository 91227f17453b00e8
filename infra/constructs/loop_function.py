"""One shared function: its role, its log group, and the queue that feeds it."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from driftloop.names import NAMESPACE
from infra import references as ref
from infra.acknowledge import acknowledge
from infra.constructs.service_role import ServiceRole
from infra.function_catalog import SharedFunction, Work
from infra.grants import Grant
from infra.references import KEY, arn

RUNTIME = "python3.13"
_TRACES = Grant(
    ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"], "X-Ray knows no resources for these two actions"
)
_POWERTOOLS = {"POWERTOOLS_LOG_LEVEL": "INFO", "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE}


class LoopFunction(Construct):
    """Written with the plain CloudFormation types, so that the role holds the grants of the catalogue and no more."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        function: SharedFunction,
        *,
        code: assets.Asset,
        environment: Mapping[str, str],
        key_arn: str,
        queue_arn: str | None,
        failures_arn: str | None,
    ) -> None:
        """``queue_arn`` feeds the function; ``failures_arn`` keeps asynchronous calls that failed."""
        super().__init__(scope, id)
        self._name, self._key_arn = ref.function(function.name), key_arn
        self.resource = lambda_.CfnFunction(
            self,
            "Resource",
            function_name=self._name,
            description=function.description,
            code=lambda_.CfnFunction.CodeProperty(s3_bucket=code.s3_bucket_name, s3_key=code.s3_object_key),
            handler=f"functions.{function.name}.handler.handler",
            runtime=RUNTIME,
            architectures=["arm64"],
            memory_size=function.memory,
            timeout=function.timeout,
            role=self._role(function).arn,
            environment=lambda_.CfnFunction.EnvironmentProperty(variables={**environment, **_POWERTOOLS}),
            tracing_config=lambda_.CfnFunction.TracingConfigProperty(mode="Active"),
            dead_letter_config={"targetArn": failures_arn} if failures_arn else None,
        )
        self._keep_logs()
        acknowledge(self.resource, {"AwsSolutions-L1": f"locks/functions.txt is locked and tested for {RUNTIME}"})
        if function.work and queue_arn:
            self._feed(function.work, queue_arn)

    def _role(self, function: SharedFunction) -> ServiceRole:
        return ServiceRole(
            self,
            "Role",
            service="lambda",
            grants=[*function.grants, *_runtime_grants(function, self._name)],
            values={"KmsKeyArn": self._key_arn},
            description=function.description,
        )

    def _keep_logs(self) -> None:
        group = logs.CfnLogGroup(
            self, "Logs", log_group_name=f"/aws/lambda/{self._name}", retention_in_days=90, kms_key_id=self._key_arn
        )
        group.apply_removal_policy(RemovalPolicy.DESTROY)
        # Otherwise the first call makes a group of its own, without retention.
        self.resource.add_resource_dependency(group)

    def _feed(self, work: Work, queue_arn: str) -> None:
        scaling = lambda_.CfnEventSourceMapping.ScalingConfigProperty(maximum_concurrency=work.concurrency)
        lambda_.CfnEventSourceMapping(
            self,
            "Feed",
            event_source_arn=queue_arn,
            function_name=self.resource.ref,
            batch_size=work.batch_size,
            maximum_batching_window_in_seconds=work.batching_seconds,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=scaling if work.concurrency else None,
        )


def _runtime_grants(function: SharedFunction, name: str) -> list[Grant]:
    grants = [
        Grant(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [arn("logs", f"log-group:/aws/lambda/{name}:*")],
            "the streams of the function's own log group",
        ),
        _TRACES,
        Grant(["kms:Decrypt", "kms:GenerateDataKey"], [KEY]),
    ]
    if function.work:
        actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        grants.append(Grant(actions, [arn("sqs", ref.queue(function.work.name))]))
    if function.failures:
        grants.append(Grant(["sqs:SendMessage"], [arn("sqs", ref.dead_letter_queue(function.failures))]))
    return grants
