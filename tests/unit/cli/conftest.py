"""An account (moto) with one deployed model, and the command line on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from driftloop.aws.ledger import DynamoLedger
from driftloop.cli import main
from driftloop.names import LEDGER_TABLE, ModelNames, bucket
from tests.fakes.examples import NAME, model

ACCOUNT, REGION = "123456789012", "eu-central-1"
KINDS = ("live", "curated", "artifacts", "access-logs")
Run = Callable[..., Result]


class Account:
    """What the tests look at."""

    def __init__(self) -> None:
        self.s3, self.ssm = boto3.client("s3"), boto3.client("ssm")
        self.events, self.sqs = boto3.client("events"), boto3.client("sqs")
        self.dynamodb = boto3.client("dynamodb")
        self.ledger = DynamoLedger(self.dynamodb, LEDGER_TABLE)

    def deploy(self) -> None:
        """What the commands need of the stacks."""
        for kind in KINDS:
            self.make_bucket(bucket(kind, ACCOUNT, REGION))
        keys = {"model": "HASH", "item": "RANGE"}
        self.dynamodb.create_table(
            TableName=LEDGER_TABLE, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],  # type: ignore[misc]
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        )  # fmt: skip
        deployed = model()
        value = json.dumps({"spec": deployed.spec, "resources": asdict(deployed.resources)})
        self.ssm.put_parameter(Name=ModelNames(NAME).parameter, Value=value, Type="String", Tier="Intelligent-Tiering")

    def make_bucket(self, name: str) -> None:
        """A versioned bucket."""
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def versions(self, name: str) -> int:
        """Versions and delete markers of a bucket."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=name)
        return sum(len(page.get("Versions", ())) + len(page.get("DeleteMarkers", ())) for page in pages)

    def history(self) -> dict[str, str]:
        """Key -> text of the curated bucket."""
        name = bucket("curated", ACCOUNT, REGION)
        found: list[Any] = list(self.s3.list_objects_v2(Bucket=name).get("Contents", ()))
        return {item["Key"]: self.s3.get_object(Bucket=name, Key=item["Key"])["Body"].read().decode() for item in found}


@pytest.fixture
def empty_account() -> Iterator[Account]:
    """An account without the kit."""
    with mock_aws():
        yield Account()


@pytest.fixture
def account(empty_account: Account) -> Account:
    """An account with the kit and one model."""
    empty_account.deploy()
    return empty_account


@pytest.fixture
def run() -> Run:
    """``driftloop ...``"""

    def invoke(*arguments: object, **options: Any) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], **options)

    return invoke


def refusal(result: Result) -> str:
    """The one line with which a command has refused."""
    assert result.exit_code == 1, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    return lines[0].removeprefix("Error: ")
