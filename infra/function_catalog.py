"""The shared functions: what each needs of the machine, which queue feeds it, and what it may do.

The grants follow the calls of the adapters in ``driftloop.aws``; a call that is added there needs its grant here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from driftloop.names import PREFIX, parameter_prefix
from infra import references as ref
from infra.grants import Grant
from infra.references import ACCOUNT, ARTIFACTS, KEY, LIVE, PARTITION, REGION, arn, bucket_arn

_OWN = f"names that start with {PREFIX}-: the kit's own, one per model"


@dataclass(frozen=True)
class Work:
    """A queue and how it feeds its function."""

    name: str
    batch_size: int = 10
    batching_seconds: int = 0
    deliveries: int = 5
    """Times a message is tried before it goes to the dead-letter queue."""
    concurrency: int | None = None
    again: int | None = None
    """Seconds after which a message that could not be handled comes back, at least the function's timeout; None for what AWS
    advises."""


@dataclass(frozen=True)
class SharedFunction:
    """One function of ``functions/``."""

    name: str
    description: str
    memory: int
    """MB; a full vCPU comes with 1769."""
    timeout: int
    """Seconds."""
    grants: tuple[Grant, ...]
    work: Work | None = None
    """None if it is not fed by a queue."""
    failures: str | None = None
    """Dead-letter queue of asynchronous calls, for a function that a schedule calls."""


def _read(kind: str, *prefixes: str) -> Grant:
    keys = [bucket_arn(kind, f"{prefix}/*") for prefix in prefixes]
    return Grant(["s3:GetObject", "s3:GetObjectVersion"], keys, f"objects of {', '.join(prefixes)} of all models")


def _write(kind: str, *prefixes: str) -> Grant:
    keys = [bucket_arn(kind, f"{prefix}/*") for prefix in prefixes]
    return Grant(["s3:PutObject"], keys, f"objects of {', '.join(prefixes)} of all models")


def _list(kind: str, *prefixes: str) -> Grant:
    condition = {"StringLike": {"s3:prefix": [f"{prefix}/*" for prefix in prefixes]}}
    return Grant(["s3:ListBucket"], [bucket_arn(kind)], condition=condition)


def _list_versions(kind: str, *prefixes: str) -> Grant:
    return replace(_list(kind, *prefixes), actions=["s3:ListBucketVersions"])


def _sagemaker(actions: list[str], *kinds: str) -> Grant:
    return Grant(
        [f"sagemaker:{action}" for action in actions], [arn("sagemaker", f"{k}/{PREFIX}-*") for k in kinds], _OWN
    )


def _ledger(*operations: str) -> Grant:
    # A transaction needs the permissions of the writes in it.
    return Grant([f"dynamodb:{operation}" for operation in operations], [arn("dynamodb", f"table/{ref.LEDGER}")])


_MODELS = Grant(["ssm:GetParameter"], [arn("ssm", f"parameter{parameter_prefix()}*")], "the parameters of all models")
_NOTIFY = Grant(["sns:Publish"], [arn("sns", ref.TOPIC)])
_ANNOUNCE = (_NOTIFY, Grant(["events:PutEvents"], [arn("events", "event-bus/default")]))
"""People, and whoever listens to the account's own bus."""
_BASELINES = _read(ARTIFACTS, "evaluations")
_EVALUATIONS = (
    Grant(
        ["s3:GetObject"], [bucket_arn(ARTIFACTS, "evaluations/*/evaluation.json")], "what the gates of all models wrote"
    ),
    # Without it an evaluation that was deleted looks like one that may not be read.
    _list(ARTIFACTS, "evaluations"),
)
# A version's card says how it was judged and, from its archive, what it was made from.
_CARDS = (
    _sagemaker(["DescribeModelPackage", "UpdateModelPackage"], "model-package"),
    Grant(
        ["s3:GetObject"],
        [bucket_arn(ARTIFACTS, "evaluations/*/evaluation.json"), bucket_arn(ARTIFACTS, "models/*/model.tar.gz")],
        "what the pipelines of all models leave",
    ),
)
_PASS_SERVING_ROLE = Grant(
    ["iam:PassRole"],
    [f"arn:{PARTITION}:iam::{ACCOUNT}:role/{PREFIX}-*-serving-{REGION}"],
    "the serving roles of all models, and only to SageMaker",
    {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
)
# SageMaker encrypts the storage of an endpoint or a job through a grant that its caller makes for it.
_ENDPOINT_KEY = (
    Grant(["kms:CreateGrant"], [KEY], condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
    Grant(["kms:DescribeKey"], [KEY]),
)

_SCALABLE = {
    "StringEquals": {
        "application-autoscaling:service-namespace": "sagemaker",
        "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount",
    }
}
_SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"


def _scaling(*operations: str) -> tuple[Grant, ...]:
    """Application Auto Scaling works in its caller's name, but for the role of its own that it makes once an account."""
    service = "sagemaker.application-autoscaling.amazonaws.com"
    return (
        Grant(
            [f"application-autoscaling:{operation}" for operation in operations],
            [arn("application-autoscaling", "scalable-target/*")],
            "targets have ids that nobody chooses; only instances of SageMaker endpoints",
            _SCALABLE,
        ),
        _sagemaker(["DescribeEndpoint", "UpdateEndpointWeightsAndCapacities"], "endpoint"),
        _sagemaker(["DescribeEndpointConfig"], "endpoint-config"),
        Grant(
            ["cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms"],
            [arn("cloudwatch", f"alarm:TargetTracking-endpoint/{PREFIX}-*")],
            "the alarms of scaling, for the kit's own endpoints",
        ),
        Grant(
            ["iam:CreateServiceLinkedRole"],
            [f"arn:{PARTITION}:iam::{ACCOUNT}:role/aws-service-role/{service}/{_SCALING_ROLE}"],
            condition={"StringEquals": {"iam:AWSServiceName": service}},
        ),
    )


_FOLLOW, _STOP = _scaling("RegisterScalableTarget", "PutScalingPolicy"), _scaling("DeregisterScalableTarget")

_CONFIRM = (
    _sagemaker(["DescribeEndpoint"], "endpoint"),
    _sagemaker(["UpdateModelPackage"], "model-package"),
    _sagemaker(["DeleteEndpointConfig"], "endpoint-config"),
    _sagemaker(["DeleteModel"], "model"),
    *_FOLLOW,
)

_TELL = Grant(["sqs:GetQueueUrl", "sqs:SendMessage"], [arn("sqs", ref.queue("deployment"))])
"""What is approved is deployed by the one function that may."""

FUNCTIONS = (
    SharedFunction(
        "profile_traffic",
        "Captured traffic becomes profile shards and decoded rows.",
        memory=1769,
        timeout=300,
        # Two at a time keep up with thousands of objects a minute, in batches that grow with the traffic.
        work=Work("capture", batch_size=100, batching_seconds=300, concurrency=2),
        grants=(
            _read(LIVE, "capture"),
            _write(LIVE, "shards", "rows", "quarantine"),
            _BASELINES,
            _ledger("GetItem"),
            _MODELS,
        ),
    ),
    SharedFunction(
        "rebuild_shards",
        "Past traffic becomes profile shards and decoded rows again.",
        memory=1769,
        timeout=900,
        # An hour a message, so that none is too long. Few at a time: the traffic of today must not wait for S3 or Lambda.
        work=Work("backfill", batch_size=1, concurrency=5),
        grants=(
            _read(LIVE, "capture"),
            _list_versions(LIVE, "capture"),
            _write(LIVE, "shards", "rows", "quarantine", "backfills"),
            _BASELINES,
            _MODELS,
        ),
    ),
    SharedFunction(
        "join_labels",
        "Delayed labels meet the predictions they belong to.",
        memory=1769,
        timeout=300,
        work=Work("labels", batch_size=100, batching_seconds=300, concurrency=2),
        grants=(
            _read(LIVE, "labels", "rows"),
            _list(LIVE, "rows"),
            _write(LIVE, "labelled", "quarantine"),
            _MODELS,
        ),
    ),
    SharedFunction(
        "detect_drift",
        "Judges the last complete window of one model and publishes its scores.",
        memory=1769,
        timeout=300,
        failures="detection",
        grants=(
            # A report that is not there is only told from one that may not be read if the prefix may be listed.
            _read(LIVE, "shards", "labelled", "reports"),
            _list(LIVE, "shards", "labelled", "reports"),
            _write(LIVE, "reports"),
            _BASELINES,
            # It writes one item a model. IAM can tell items apart by the model (dynamodb:LeadingKeys), which is any here,
            # and not by their sort keys.
            _ledger("GetItem", "PutItem"),
            _MODELS,
            _NOTIFY,
        ),
    ),
    SharedFunction(
        "start_retraining",
        "The one door through which retrainings start.",
        memory=512,
        timeout=60,
        # The ledger decides races, so this only keeps them few. Reserved concurrency would be worse: a message that
        # is throttled counts as tried, and young accounts have no concurrency to reserve.
        work=Work("retraining", concurrency=2),
        grants=(
            _ledger("GetItem", "BatchGetItem", "Query", "PutItem", "DeleteItem"),
            _sagemaker(["StartPipelineExecution"], "pipeline"),
            _MODELS,
            *_ANNOUNCE,
        ),
    ),
    SharedFunction(
        "track_episode",
        "Records what became of an episode when its pipeline has ended, and writes model cards.",
        memory=512,
        timeout=60,
        work=Work("episode"),
        grants=(
            _ledger("GetItem", "Query", "PutItem", "DeleteItem"),
            _sagemaker(["DescribePipelineExecution", "ListPipelineExecutionSteps"], "pipeline"),
            *_CARDS,
            _MODELS,
            *_ANNOUNCE,
        ),
    ),
    SharedFunction(
        "deploy_model",
        "Brings an approved version to its endpoint, and ends the episode of a rejected one.",
        memory=512,
        timeout=60,
        # An approval waits here while another rollout bakes: six minutes a delivery, so twelve hours in all.
        work=Work("deployment", deliveries=120),
        grants=(
            _ledger("GetItem", "PutItem", "DeleteItem"),
            # A version on a serverless endpoint is taken back by the kit if it misbehaves.
            _sagemaker(["DescribeModelPackage", "UpdateModelPackage"], "model-package"),
            # A version that waits for a quota is made ready anew each time, as the model file is by then.
            _sagemaker(["CreateModel", "DeleteModel"], "model"),
            _sagemaker(["CreateEndpointConfig", "DeleteEndpointConfig"], "endpoint-config"),
            # A failed endpoint can only be deleted before it is created again.
            _sagemaker(["DescribeEndpoint", "DeleteEndpoint"], "endpoint"),
            _sagemaker(["CreateEndpoint", "UpdateEndpoint"], "endpoint", "endpoint-config"),
            Grant(["cloudwatch:DescribeAlarms"], [arn("cloudwatch", f"alarm:{PREFIX}-*")], _OWN),
            *_STOP,
            _PASS_SERVING_ROLE,
            *_ENDPOINT_KEY,
            _MODELS,
            *_ANNOUNCE,
        ),
    ),
    SharedFunction(
        "confirm_deployment",
        "Ends rollouts: success is InService and the expected configuration.",
        memory=512,
        timeout=60,
        work=Work("endpoint"),
        grants=(
            _ledger("GetItem", "PutItem", "DeleteItem"),
            *_CONFIRM,
            *_ANNOUNCE,
        ),
    ),
    SharedFunction(
        "watch_rollout",
        "Compares what a version on its way answers with what was answered before, every minute.",
        memory=1769,
        timeout=60,
        # A message comes back every minute of a rollout, which takes up to four hours and what SageMaker needs for instances.
        work=Work("rollout", batch_size=1, deliveries=480, concurrency=2, again=60),
        grants=(
            _read(LIVE, "capture"),
            _list(LIVE, "capture"),
            *_EVALUATIONS,
            _ledger("GetItem"),
            _sagemaker(["DescribeModelPackage"], "model-package"),
            _MODELS,
        ),
    ),
    SharedFunction(
        "compare_shadow",
        "Compares a version that answers unheard with the one that serves, and decides about it.",
        memory=1769,
        timeout=300,
        failures="comparison",
        grants=(
            _read(LIVE, "capture"),
            _list(LIVE, "capture"),
            _write(LIVE, "shadows"),
            *_EVALUATIONS,
            _ledger("GetItem", "PutItem"),
            _sagemaker(["DescribeModelPackage", "UpdateModelPackage"], "model-package"),
            Grant(["cloudwatch:GetMetricData"], ["*"], "CloudWatch's metrics are no resources"),
            _TELL,
            _MODELS,
        ),
    ),
    SharedFunction(
        "transform_batch",
        "Has files of rows answered by batch transform jobs, and captures the answers.",
        memory=1769,
        timeout=900,
        work=Work("batch", batch_size=1, concurrency=2),
        grants=(
            _read(LIVE, "batch"),
            _list(LIVE, "batch"),
            _list_versions(LIVE, "batch"),
            _write(LIVE, "batch", "capture"),
            _ledger("GetItem"),
            _sagemaker(["CreateTransformJob", "DescribeTransformJob"], "transform-job"),
            Grant(["sagemaker:ListTransformJobs"], ["*"], "SageMaker's list calls know no resources"),
            *_ENDPOINT_KEY,
            _MODELS,
            _NOTIFY,
        ),
    ),
    SharedFunction(
        "capture_answers",
        "What asynchronous endpoints were asked and have answered becomes captures.",
        memory=1769,
        timeout=900,
        # A request may have a gigabyte, so one a message. What is not there will not be there later.
        work=Work("answers", batch_size=1, deliveries=3, concurrency=5),
        grants=(
            _read(LIVE, "asynchronous"),
            _list(LIVE, "asynchronous"),
            _write(LIVE, "capture"),
            _MODELS,
        ),
    ),
    SharedFunction(
        "reconcile",
        "Repairs what lost events, crashes and refusals left behind.",
        memory=512,
        timeout=900,
        failures="reconciliation",
        grants=(
            _ledger("GetItem", "BatchGetItem", "Query", "PutItem", "DeleteItem"),
            Grant(["ssm:GetParametersByPath"], [arn("ssm", f"parameter{parameter_prefix().rstrip('/')}")]),
            Grant(
                ["cloudwatch:DescribeAlarms", "sagemaker:ListModelPackages"],
                ["*"],
                "looking for alarms by prefix and state, and SageMaker's list calls, know no resources",
            ),
            _sagemaker(
                ["StartPipelineExecution", "DescribePipelineExecution", "ListPipelineExecutionSteps"], "pipeline"
            ),
            *_CARDS,
            *_CONFIRM,
            _TELL,
            _MODELS,
            *_ANNOUNCE,
        ),
    ),
    SharedFunction(
        "remove_endpoint",
        "When a model's stack goes, what the loop deployed goes first.",
        memory=512,
        timeout=300,
        grants=(
            *_STOP,
            _sagemaker(["DescribeEndpoint", "DeleteEndpoint"], "endpoint"),
            _sagemaker(["DeleteEndpointConfig"], "endpoint-config"),
            _sagemaker(["DeleteModel"], "model"),
            _sagemaker(["DeleteModelPackage"], "model-package"),
            _ledger("GetItem", "BatchGetItem", "Query", "PutItem", "DeleteItem"),
            *_ANNOUNCE,
            Grant(
                ["sagemaker:ListEndpointConfigs", "sagemaker:ListModels", "sagemaker:ListModelPackages"],
                ["*"],
                "SageMaker's list calls know no resources",
            ),
        ),
    ),
)
