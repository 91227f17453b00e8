"""The ledger: one table for champion, rollout, lease and episodes of all models."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra import references as ref


class Ledger(Construct):
    """Keys as in ``driftloop.aws.ledger``."""

    def __init__(self, scope: Construct, id: str, key: kms.IKey, removal_policy: RemovalPolicy) -> None:  # noqa: A002
        super().__init__(scope, id)
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=ref.LEDGER,
            partition_key=dynamodb.Attribute(name="model", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="item", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=removal_policy,
        )
