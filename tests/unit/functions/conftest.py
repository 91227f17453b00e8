"""An account in memory (moto) with one deployed model, for handlers as Lambda calls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
import time_machine
from aws_lambda_powertools.utilities.typing import LambdaContext
from moto import mock_aws

from driftloop.aws import wiring
from driftloop.aws.ledger import DynamoLedger
from driftloop.ports import Package
from driftloop.retraining.episode import Episode
from tests.contract.conftest import client
from tests.contract.test_hosting import register
from tests.contract.test_ledger import create_table
from tests.contract.test_services import put_parameter
from tests.events import event
from tests.fakes import examples as ex

NOW = ex.START + timedelta(days=1, hours=1)


class Context(LambdaContext):
    """What Lambda tells a function about its invocation."""

    def __init__(self) -> None:
        self._function_name = "driftloop-test"
        self._memory_limit_in_mb = 256
        self._invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:driftloop-test"
        self._aws_request_id = "52fdfc07-2182-154f-163f-5f0f9a621d72"


@dataclass
class Account:
    """The account, seen from outside."""

    queue: str

    def client(self, service: str) -> Any:
        """A client of one service."""
        return client(service)

    @property
    def ledger(self) -> DynamoLedger:
        """The ledger."""
        return DynamoLedger(self.client("dynamodb"), "ledger")

    def put(self, key: str, content: bytes, bucket: str = ex.LIVE) -> dict[str, Any]:
        """Upload an object; the event that S3 sends."""
        version = self.client("s3").put_object(Bucket=bucket, Key=key, Body=content)["VersionId"]
        sent = event("s3_object_created")
        sent["Records"][0]["s3"]["object"] |= {
            "key": quote_plus(key, safe="/"),
            "size": len(content),
            "versionId": version,
        }
        return sent

    def keys(self, prefix: str) -> list[str]:
        """Keys of the live bucket."""
        found = self.client("s3").list_objects_v2(Bucket=ex.LIVE, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", ())]

    def told(self) -> list[str]:
        """Subjects of what people were sent."""
        answer = self.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"])["Subject"] for message in answer.get("Messages", ())]

    def register(self, package: Package) -> str:
        """Register a version."""
        return register(self.client("sagemaker"), package)

    def episodes(self) -> list[Episode]:
        """All episodes."""
        return self.ledger.episodes(ex.NAME, ex.START - timedelta(days=30))


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with mock_aws(), time_machine.travel(NOW, tick=True):
        _forget()
        yield _deploy(monkeypatch)
    _forget()


def _forget() -> None:
    """A new process has wired nothing yet."""
    for wired in vars(wiring).values():
        if hasattr(wired, "cache_clear"):
            wired.cache_clear()


def _deploy(monkeypatch: pytest.MonkeyPatch) -> Account:
    s3, sns, sqs = client("s3"), client("sns"), client("sqs")
    for bucket in (ex.LIVE, ex.ARTIFACTS):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=ex.ARTIFACTS, Key=ex.BASELINE_KEY, Body=ex.baseline().to_json())
    create_table(client("dynamodb"))
    put_parameter(client("ssm"))
    topic = sns.create_topic(Name="driftloop")["TopicArn"]
    queue = sqs.create_queue(QueueName="people")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sagemaker = client("sagemaker")
    sagemaker.create_pipeline(
        PipelineName=ex.BASE, PipelineDefinition="{}", ClientRequestToken="c" * 32, RoleArn=ex.ROLE
    )
    sagemaker.create_model_package_group(ModelPackageGroupName=ex.BASE)
    environment = {
        "LIVE_BUCKET": ex.LIVE,
        "CURATED_BUCKET": "curated-bucket",
        "ARTIFACT_BUCKET": ex.ARTIFACTS,
        "LEDGER_TABLE": "ledger",
        "TOPIC_ARN": topic,
        "ANSWERS_TOPIC_ARN": topic,
        "KMS_KEY_ARN": "arn:aws:kms:eu-central-1:123456789012:key/1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Account(queue)
