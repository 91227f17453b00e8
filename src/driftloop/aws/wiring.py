"""Ports wired to AWS, once per process; what a handler starts from."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache

from aws_lambda_powertools import Logger

from driftloop.aws.alarms import CloudWatchAlarms
from driftloop.aws.cards import Cards
from driftloop.aws.clients import SystemClock, client
from driftloop.aws.decisions import SqsDecisions
from driftloop.aws.domain_events import EventBridgeEvents
from driftloop.aws.hosting import SageMakerHosting
from driftloop.aws.ledger import DynamoLedger
from driftloop.aws.models import SsmModels
from driftloop.aws.notifier import SnsNotifier
from driftloop.aws.objects import S3Objects
from driftloop.aws.pipelines import SageMakerPipelines
from driftloop.aws.scaling import EndpointScaling
from driftloop.aws.settings import Settings
from driftloop.aws.transforms import SageMakerTransforms
from driftloop.aws.usages import CloudWatchUsages
from driftloop.loop.announce import Announcer
from driftloop.loop.track_episode import Tracker
from driftloop.loop.write_card import CardWriter

CLOCK = SystemClock()
AT_A_TIME = 8
"""Calls that wait for AWS together; below the ten connections that a client keeps open."""


@cache
def settings() -> Settings:
    """The function's environment."""
    return Settings.from_environment()


@cache
def models() -> SsmModels:
    """Deployed models."""
    return SsmModels(client("ssm"))


@cache
def ledger() -> DynamoLedger:
    """The ledger table."""
    return DynamoLedger(client("dynamodb"), settings().ledger_table)


@cache
def objects() -> S3Objects:
    """Buckets."""
    return S3Objects(client("s3"))


@cache
def pipelines() -> SageMakerPipelines:
    """Pipelines."""
    return SageMakerPipelines(client("sagemaker"))


@cache
def hosting() -> SageMakerHosting:
    """Packages and endpoints."""
    return SageMakerHosting(client("sagemaker"))


@cache
def transforms() -> SageMakerTransforms:
    """Batch transform jobs."""
    return SageMakerTransforms(client("sagemaker"))


@cache
def scaler() -> EndpointScaling:
    """Numbers of instances."""
    return EndpointScaling(client("application-autoscaling"))


@cache
def alarms() -> CloudWatchAlarms:
    """Alarms."""
    return CloudWatchAlarms(client("cloudwatch"))


@cache
def usages() -> CloudWatchUsages:
    """Metrics of endpoints."""
    return CloudWatchUsages(client("cloudwatch"))


@cache
def decisions() -> SqsDecisions:
    """Decisions about versions."""
    return SqsDecisions(client("sqs"))


@cache
def notifier() -> SnsNotifier:
    """The kit's topic."""
    return SnsNotifier(client("sns"), settings().topic_arn)


@cache
def announcer() -> Announcer:
    """The kit's topic and the event bus."""
    return Announcer(notifier(), EventBridgeEvents(client("events")))


def tracker(logger: Logger) -> Tracker:
    """Moves episodes on when their pipeline has ended, and has cards written."""
    writer = CardWriter(models(), ledger(), pipelines(), hosting(), objects(), settings().curated_bucket)
    return Tracker(ledger(), pipelines(), announcer(), CLOCK, Cards(writer, logger))


@cache
def pool() -> Executor:
    """What waits for AWS at several places at once."""
    return ThreadPoolExecutor(AT_A_TIME)
