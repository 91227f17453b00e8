"""The topic that tells people."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra import references as ref


class Notifications(Construct):
    """One encrypted topic; every owner that a model file names is subscribed once."""

    def __init__(self, scope: Construct, id: str, key: kms.IKey, owners: Iterable[str]) -> None:  # noqa: A002
        super().__init__(scope, id)
        self.topic = sns.Topic(self, "Topic", topic_name=ref.TOPIC, master_key=key, enforce_ssl=True)
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        for owner in sorted(set(owners)):
            self.topic.add_subscription(subscriptions.EmailSubscription(owner))
