"""The topic that SageMaker tells of every answer of an asynchronous endpoint."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra import references as ref
from infra.constructs.work_queue import WorkQueue


class AnswerTopic(Construct):
    """Serving roles publish, one queue listens; others may subscribe, to be told of answers to requests of their own."""

    def __init__(self, scope: Construct, id: str, key: kms.IKey, work: WorkQueue) -> None:  # noqa: A002
        super().__init__(scope, id)
        self.topic = sns.Topic(self, "Topic", topic_name=ref.ANSWERED, master_key=key, enforce_ssl=True)
        work.accept_notifications(self.topic.topic_arn)
        # The plain type: CDK's own subscription would write into the policies of queue and key, too.
        sns.CfnSubscription(
            self,
            "Subscription",
            topic_arn=self.topic.topic_arn,
            protocol="sqs",
            endpoint=work.queue.queue_arn,
            raw_message_delivery=True,
            redrive_policy={"deadLetterTargetArn": work.dead_letters.queue.queue_arn},
        )
