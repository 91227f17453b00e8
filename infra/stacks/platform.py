"""The platform: what all models share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from driftloop.aws.settings import Settings
from driftloop.names import PLATFORM_STACK, PREFIX
from infra.constructs.answer_topic import AnswerTopic
from infra.constructs.data_buckets import DataBuckets
from infra.constructs.dead_letters import DeadLetters
from infra.constructs.encryption_key import EncryptionKey
from infra.constructs.experiment_tracking import ExperimentTracking
from infra.constructs.ledger import Ledger
from infra.constructs.loop_function import LoopFunction
from infra.constructs.notifications import Notifications
from infra.constructs.overview import Overview
from infra.constructs.platform_rules import PlatformRules
from infra.constructs.reconciler_watch import ReconcilerWatch
from infra.constructs.reconciliation import Reconciliation
from infra.constructs.scheduler_role import SchedulerRole
from infra.constructs.work_queue import WorkQueue
from infra.function_catalog import FUNCTIONS
from infra.packaging import UNPUBLISHED
from infra.references import LIVE, arn, bucket_arn, sub


class PlatformStack(Stack):
    """Keys, buckets, ledger, queues, topic and functions."""

    def __init__(
        self, scope: Construct, *, functions: Path, owners: Iterable[str], retain: bool, mlflow: bool = False
    ) -> None:
        """``mlflow`` adds an MLflow app, which the loop does without."""
        super().__init__(scope, PLATFORM_STACK, description="driftloop: what all models share")
        removal = RemovalPolicy.RETAIN if retain else RemovalPolicy.DESTROY
        encryption = EncryptionKey(self, "Encryption", removal)
        key = encryption.key
        buckets = DataBuckets(self, "Data", key, removal)
        table = Ledger(self, "Ledger", key, removal).table
        topic = Notifications(self, "Notifications", key, owners).topic
        queues = {
            f.work.name: WorkQueue(self, f"Work-{f.work.name}", f, f.work, key, topic) for f in FUNCTIONS if f.work
        }
        failures = {
            f.failures: DeadLetters(self, f"Work-{f.failures}", f.failures, key, topic) for f in FUNCTIONS if f.failures
        }
        answered = AnswerTopic(self, "Answers", key, queues["answers"]).topic
        self._connect(buckets, queues)
        values = {
            "live_bucket": buckets.live.bucket_name,
            "curated_bucket": buckets.curated.bucket_name,
            "artifact_bucket": buckets.artifacts.bucket_name,
            "ledger_table": table.table_name,
            "topic_arn": topic.topic_arn,
            "answers_topic_arn": answered.topic_arn,
            "kms_key_arn": key.key_arn,
        }
        environment = {field.upper(): values[field] for field in Settings.model_fields}
        code = assets.Asset(self, "Code", path=str(functions), exclude=UNPUBLISHED)
        for function in FUNCTIONS:
            LoopFunction(
                self,
                f"Function-{function.name}",
                function,
                code=code,
                environment=environment,
                key_arn=key.key_arn,
                queue_arn=queues[function.work.name].queue.queue_arn if function.work else None,
                failures_arn=failures[function.failures].queue.queue_arn if function.failures else None,
            )
        PlatformRules(self, "Rules")
        role = SchedulerRole(self, "Scheduler", key.key_arn)
        reconciliation = Reconciliation(self, "Reconciliation")
        reconciliation.node.add_dependency(role)
        watch = ReconcilerWatch(self, "ReconcilerWatch", topic)
        # Until its first run it is taken for silent: let that come soon.
        watch.node.add_dependency(reconciliation)
        letters = [*(queue.dead_letters for queue in queues.values()), *failures.values()]
        Overview(self, "Overview", [*watch.alarms, *(letter.alarm for letter in letters)])
        if mlflow:
            ExperimentTracking(self, "Mlflow", buckets.artifacts, key.key_arn, removal)

    def _connect(self, buckets: DataBuckets, queues: dict[str, WorkQueue]) -> None:
        arrivals = {"capture/": queues["capture"], "labels/": queues["labels"]}
        for queue in arrivals.values():
            # By name: the bucket waits for the queue's policy, which therefore cannot wait for the bucket.
            queue.accept_objects(sub(bucket_arn(LIVE)))
        buckets.notify(arrivals)
        for work in ("retraining", "deployment", "endpoint", "rollout", "episode", "batch"):
            queues[work].accept_events(sub(arn("events", f"rule/{PREFIX}-*")))
