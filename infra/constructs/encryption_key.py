"""The platform's one KMS key."""

from __future__ import annotations

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from driftloop.names import PREFIX
from infra import references as ref
from infra.references import arn, sub

# These services put messages into encrypted queues and topics with nobody's credentials but their own.
_SENDERS = ("s3", "events", "cloudwatch")
_SEND = ("kms:GenerateDataKey", "kms:Decrypt")
_LOGS_ACTIONS = (
    "kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey",
)  # fmt: skip


class EncryptionKey(Construct):
    """Encrypts everything of the kit. It stays for as long as data that it encrypts stay."""

    def __init__(self, scope: Construct, id: str, removal_policy: RemovalPolicy) -> None:  # noqa: A002
        super().__init__(scope, id)
        self.key = kms.Key(
            self,
            "Key",
            alias=ref.KEY_ALIAS,
            description="Everything that driftloop stores",
            enable_key_rotation=True,
            removal_policy=removal_policy,
        )
        for service in _SENDERS:
            self._allow(
                f"{service}.amazonaws.com",
                _SEND,
                {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        # SNS is documented to name the topic that it delivers for, and not the account.
        self._allow("sns.amazonaws.com", _SEND, {"ArnEquals": {"aws:SourceArn": sub(arn("sns", ref.ANSWERED))}})
        groups = sub(arn("logs", f"log-group:/aws/lambda/{PREFIX}-*"))
        self._allow(
            f"logs.{Aws.REGION}.amazonaws.com",
            _LOGS_ACTIONS,
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        )
        self.parameter = ssm.StringParameter(
            self,
            "Parameter",
            parameter_name=ref.KEY_PARAMETER,
            string_value=self.key.key_arn,
            description="ARN of the key of driftloop",
        )

    def _allow(self, service: str, actions: tuple[str, ...], conditions: dict[str, dict[str, str]]) -> None:
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(service)],
                actions=list(actions),
                resources=["*"],
                conditions=conditions,
            )
        )
