"""The buckets: live data, curated data, artifacts, and who read what."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from driftloop.names import PREFIX
from infra import references as ref
from infra.constructs.work_queue import WorkQueue


class DataBuckets(Construct):
    """Live account data and curated experimentation data never share a bucket."""

    def __init__(self, scope: Construct, id: str, key: kms.IKey, removal_policy: RemovalPolicy) -> None:  # noqa: A002
        super().__init__(scope, id)
        self._key, self._removal_policy = key, removal_policy
        self._access_logs = self._access_log_bucket()
        # What capture and rejected input say is kept elsewhere (rows/) or of use for debugging only.
        expiring = ("capture/", "quarantine/", "batch/", "asynchronous/")
        self.live = self._bucket("Live", ref.LIVE, *(_expiring(prefix, 90) for prefix in expiring))
        self.curated = self._bucket("Curated", ref.CURATED)
        self.artifacts = self._bucket("Artifacts", ref.ARTIFACTS)
        self._keep_training_out()

    def notify(self, queues: dict[str, WorkQueue]) -> None:
        """Send a message for each new object below a prefix.

        Written on the bucket itself: CDK's own way is a custom resource with a function that may change any bucket.
        """
        resource = self.live.node.default_child
        assert isinstance(resource, s3.CfnBucket)  # noqa: S101 - narrows the type
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[_notification(prefix, queue) for prefix, queue in queues.items()]
        )
        for queue in queues.values():
            # S3 sends a test message before it accepts the configuration.
            resource.add_resource_dependency(queue.policy)

    def _bucket(self, id: str, kind: str, *rules: s3.LifecycleRule) -> s3.Bucket:  # noqa: A002
        return s3.Bucket(
            self,
            id,
            bucket_name=ref.sub(ref.bucket(kind)),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self._key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=True,
            lifecycle_rules=[_housekeeping(), *rules],
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=self._removal_policy,
            server_access_logs_bucket=self._access_logs,
            server_access_logs_prefix=f"{kind}/",
        )

    def _access_log_bucket(self) -> s3.Bucket:
        return s3.Bucket(
            self,
            "AccessLogs",
            bucket_name=ref.sub(ref.bucket(ref.ACCESS_LOGS)),
            # Log delivery cannot write to a bucket whose default is a customer's KMS key.
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            lifecycle_rules=[s3.LifecycleRule(id="expire", expiration=Duration.days(365))],
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=self._removal_policy,
        )

    def _keep_training_out(self) -> None:
        """The second lock: training roles are refused by the bucket too, whatever their own policies say."""
        training = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/{PREFIX}-*-training-{Stack.of(self).region}"
        self.live.add_to_resource_policy(
            iam.PolicyStatement(
                sid="TrainingNeverReadsLiveData",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:*"],
                resources=[self.live.bucket_arn, self.live.arn_for_objects("*")],
                conditions={"ArnLike": {"aws:PrincipalArn": training}},
            )
        )


def _housekeeping() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id="housekeeping",
        abort_incomplete_multipart_upload_after=Duration.days(7),
        noncurrent_version_expiration=Duration.days(30),
    )


def _expiring(prefix: str, days: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(id=f"expire-{prefix.rstrip('/')}", prefix=prefix, expiration=Duration.days(days))


def _notification(prefix: str, queue: WorkQueue) -> s3.CfnBucket.QueueConfigurationProperty:
    rules: Sequence[s3.CfnBucket.FilterRuleProperty] = [s3.CfnBucket.FilterRuleProperty(name="prefix", value=prefix)]
    return s3.CfnBucket.QueueConfigurationProperty(
        event="s3:ObjectCreated:*",
        queue=queue.queue.queue_arn,
        filter=s3.CfnBucket.NotificationFilterProperty(s3_key=s3.CfnBucket.S3KeyFilterProperty(rules=rules)),
    )
