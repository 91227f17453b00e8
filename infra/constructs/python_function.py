"""One function of ``functions/``: its role and its log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from driftloop.names import NAMESPACE
from infra.acknowledge import acknowledge
from infra.constructs.service_role import ServiceRole
from infra.grants import Grant
from infra.references import KEY, arn

RUNTIME = "python3.13"
_TRACES = Grant(
    ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"], "X-Ray knows no resources for these two actions"
)
_POWERTOOLS = {"POWERTOOLS_LOG_LEVEL": "INFO", "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE}


@dataclass(frozen=True)
class Program:
    """What a function runs, and on what."""

    name: str
    """Name of the deployed function."""
    module: str
    """Folder in ``functions/``."""
    description: str
    memory: int
    """MB; a full vCPU comes with 1769."""
    timeout: int
    """Seconds."""


class PythonFunction(Construct):
    """Written with the plain CloudFormation types, so that the role holds the grants that are named and no more."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        program: Program,
        *,
        code: assets.Asset,
        environment: Mapping[str, str],
        key_arn: str,
        grants: Sequence[Grant],
        failures_arn: str | None = None,
    ) -> None:
        """``failures_arn`` keeps asynchronous calls that failed."""
        super().__init__(scope, id)
        role = ServiceRole(
            self,
            "Role",
            service="lambda",
            grants=[*grants, *_runtime_grants(program.name)],
            values={"KmsKeyArn": key_arn},
            description=program.description,
        )
        self.resource = lambda_.CfnFunction(
            self,
            "Resource",
            function_name=program.name,
            description=program.description,
            code=lambda_.CfnFunction.CodeProperty(s3_bucket=code.s3_bucket_name, s3_key=code.s3_object_key),
            handler=f"functions.{program.module}.handler.handler",
            runtime=RUNTIME,
            architectures=["arm64"],
            memory_size=program.memory,
            timeout=program.timeout,
            role=role.arn,
            environment=lambda_.CfnFunction.EnvironmentProperty(variables={**environment, **_POWERTOOLS}),
            tracing_config=lambda_.CfnFunction.TracingConfigProperty(mode="Active"),
            dead_letter_config={"targetArn": failures_arn} if failures_arn else None,
        )
        group = logs.CfnLogGroup(
            self, "Logs", log_group_name=f"/aws/lambda/{program.name}", retention_in_days=90, kms_key_id=key_arn
        )
        group.apply_removal_policy(RemovalPolicy.DESTROY)
        # Otherwise the first call makes a group of its own, without retention.
        self.resource.add_resource_dependency(group)
        acknowledge(self.resource, {"AwsSolutions-L1": f"locks/functions.txt is locked and tested for {RUNTIME}"})


def _runtime_grants(name: str) -> list[Grant]:
    return [
        Grant(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [arn("logs", f"log-group:/aws/lambda/{name}:*")],
            "the streams of the function's own log group",
        ),
        _TRACES,
        Grant(["kms:Decrypt", "kms:GenerateDataKey"], [KEY]),
    ]
