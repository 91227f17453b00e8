"""A queue in front of a function."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Aws, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import references as ref
from infra.constructs.dead_letters import DeadLetters
from infra.function_catalog import SharedFunction, Work


class WorkQueue(Construct):
    """Encrypted, with a dead-letter queue, and visible again only after its function has surely given up."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        function: SharedFunction,
        work: Work,
        key: kms.IKey,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, id)
        self.dead_letters = DeadLetters(self, "DeadLetters", work.name, key, topic)
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=ref.queue(work.name),
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            data_key_reuse=Duration.hours(1),
            enforce_ssl=True,
            retention_period=Duration.days(14),
            # Six times the function's timeout and the batching window: AWS's advice for queues that feed functions.
            visibility_timeout=Duration.seconds(work.again or 6 * function.timeout + work.batching_seconds),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters.queue, max_receive_count=work.deliveries),
        )

    @property
    def policy(self) -> sqs.CfnQueuePolicy:
        """Who may send; the queue has one from the start, because plain HTTP is refused."""
        policy = self.queue.node.find_child("Policy").node.default_child
        assert isinstance(policy, sqs.CfnQueuePolicy)  # noqa: S101 - narrows the type
        return policy

    def accept_objects(self, bucket_arn: str) -> None:
        """Let S3 send notifications of one bucket."""
        self._accept(self.queue, "s3", _own(bucket_arn))

    def accept_events(self, rules: str) -> None:
        """Let EventBridge send what rules (an ARN pattern) match, and keep what it could not deliver."""
        for queue in (self.queue, self.dead_letters.queue):
            self._accept(queue, "events", _own(rules))

    def accept_notifications(self, topic_arn: str) -> None:
        """Let SNS send what a topic is told, and keep what it could not deliver."""
        for queue in (self.queue, self.dead_letters.queue):
            # A topic's ARN says whose it is.
            self._accept(queue, "sns", {"ArnEquals": {"aws:SourceArn": topic_arn}})

    def _accept(self, queue: sqs.Queue, service: str, conditions: Mapping[str, Mapping[str, str]]) -> None:
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions=conditions,
            )
        )


def _own(source: str) -> dict[str, dict[str, str]]:
    return {"ArnLike": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
