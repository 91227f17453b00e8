"""The AWS that the environment names: an account, or a twin."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import boto3
import click

from driftloop.aws.ledger import DynamoLedger
from driftloop.aws.models import SsmModels
from driftloop.aws.objects import S3Objects
from driftloop.names import LEDGER_TABLE, MLFLOW_PARAMETER, PREFIX, bucket
from driftloop.ports import Model, NotFoundError
from driftloop.spec.model import HINTS, NAME

_PATIENCE = 5
"""Seconds."""


def check_name(name: str) -> None:
    """Raises ClickException for what no model can be called."""
    if not re.fullmatch(NAME, name):
        raise click.ClickException(f"{name!r} cannot be the name of a model: write {HINTS[NAME]}")


@dataclass(frozen=True)
class Cloud:
    """One account and region, seen with the caller's credentials."""

    session: boto3.Session

    @classmethod
    def of_environment(cls) -> Cloud:
        """The one of the environment and of AWS's configuration files."""
        return cls(boto3.Session())

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return self.session.client(service)  # type: ignore[call-overload]

    @cached_property
    def _identity(self) -> Mapping[str, str]:
        identity: Mapping[str, str] = self.client("sts").get_caller_identity()
        return identity

    @property
    def account(self) -> str:
        """Number of the account; raises botocore's errors without credentials."""
        return self._identity["Account"]

    @property
    def caller(self) -> str:
        """ARN of whoever uses the command line."""
        return self._identity["Arn"]

    def now(self) -> datetime:
        """Time where the model lives: a twin has its own."""
        url = self._elsewhere
        if url:
            try:
                request = urllib.request.Request(f"{url}/_driftloop/status", data=b"{}", method="POST")  # noqa: S310
                with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310 - the caller's own AWS
                    return datetime.fromisoformat(json.load(answer)["now"])
            except (OSError, ValueError, KeyError, TypeError):
                pass  # some other emulator, whose time is the machine's
        return datetime.now(UTC)

    @property
    def region(self) -> str:
        """Name of the region."""
        return str(self.client("sts").meta.region_name)

    @property
    def place(self) -> str:
        """For people: which account this is."""
        elsewhere = f" at {self._elsewhere}" if self._elsewhere else ""
        return f"account {self.account} in {self.region}{elsewhere}"

    @property
    def _elsewhere(self) -> str:
        """Where the services are if they are not AWS's own."""
        url = str(self.client("s3").meta.endpoint_url)
        return "" if url.endswith((".amazonaws.com", ".amazonaws.com.cn")) else url

    def bucket(self, kind: str) -> str:
        """Name of the ``live``, ``curated`` or ``artifacts`` bucket."""
        return bucket(kind, self.account, self.region)

    @cached_property
    def ledger(self) -> DynamoLedger:
        """The ledger."""
        return DynamoLedger(self.client("dynamodb"), LEDGER_TABLE)

    @cached_property
    def objects(self) -> S3Objects:
        """Buckets."""
        return S3Objects(self.client("s3"))

    @cached_property
    def models(self) -> SsmModels:
        """Deployed models."""
        return SsmModels(self.client("ssm"))

    def model(self, name: str) -> Model:
        """A deployed model. Raises ClickException for any other name."""
        check_name(name)
        try:
            return self.models.get(name)
        except NotFoundError:
            there = ", ".join(model.name for model in self.models.all()[0]) or "none; deploy the stacks first"
            raise click.ClickException(
                f"no model {name!r} is deployed to {self.place}; deployed there: {there}"
            ) from None

    @property
    def mlflow_app(self) -> str:
        """ARN of the platform's MLflow app. Raises ClickException without one."""
        client = self.client("ssm")
        try:
            return str(client.get_parameter(Name=MLFLOW_PARAMETER)["Parameter"]["Value"])
        except client.exceptions.ParameterNotFound:
            raise click.ClickException(
                f"no MLflow app is deployed to {self.place}; "
                "`npx cdk deploy driftloop-platform -c driftloop:mlflow=true` deploys one"
            ) from None

    def put_event(self, detail_type: str, detail: dict[str, str]) -> str:
        """Put one of the kit's own events on the default bus; its id. Raises ClickException if it was refused."""
        entry = {"Source": PREFIX, "DetailType": detail_type, "Detail": json.dumps(detail)}
        answer = self.client("events").put_events(Entries=[entry])["Entries"][0]
        if "EventId" not in answer:
            raise click.ClickException(
                f"the event was refused: {answer.get('ErrorCode')}: {answer.get('ErrorMessage')}"
            )
        return str(answer["EventId"])
