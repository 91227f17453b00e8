"""How these tests use a twin: clients, roles, buckets, functions, and waiting."""

from __future__ import annotations

import io
import itertools
import json
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from driftloop.twin.lifecycle import Twin

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
Statement = Mapping[str, Any]
_CONFIG = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"})
_SESSION = boto3.Session()
_NUMBERS = itertools.count(1)


def allow(actions: str | Sequence[str], resources: str | Sequence[str] = "*", **more: Any) -> Statement:
    """A statement of a policy."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def policy(*statements: Statement) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def code_of(call: Callable[[], Any]) -> str:
    """The error code with which AWS refuses a call."""
    with pytest.raises(ClientError) as refusal:
        call()
    return str(refusal.value.response["Error"]["Code"])


def message_of(call: Callable[[], Any]) -> str:
    """The message with which AWS refuses a call."""
    with pytest.raises(ClientError) as refusal:
        call()
    return str(refusal.value.response["Error"]["Message"])


def zipped(files: Mapping[str, str]) -> bytes:
    """A zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


class Cloud:
    """A twin as its users see it."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.client = cache(self._client)

    def _client(self, service: str, keys: tuple[str, str, str | None] | None = None) -> Any:
        key, secret, token = keys or (self.twin.access_key, self.twin.secret_key, None)
        return _SESSION.client(  # type: ignore[call-overload]
            service, self.twin.region, endpoint_url=self.twin.url, config=_CONFIG,
            aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token,
        )  # fmt: skip

    @staticmethod
    def name(kind: str) -> str:
        """A name that no other test has."""
        return f"{kind}-{next(_NUMBERS)}"

    def arn(self, service: str, resource: str) -> str:
        """ARN of something in the twin's account."""
        return f"arn:aws:{service}:{self.twin.region}:{self.twin.account}:{resource}"

    def role(self, *statements: Statement, trusts: Sequence[str] = ("sagemaker.amazonaws.com",)) -> str:
        """ARN of a new role that this account may assume too."""
        name = self.name("role")
        principal = {"Service": list(trusts), "AWS": self.twin.account}
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        arn: str = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
        if statements:
            self.client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*statements))
        return arn

    def caller(self, service: str, *statements: Statement) -> Any:
        """A client of somebody who has these permissions and no others."""
        session = self.client("sts").assume_role(RoleArn=self.role(*statements), RoleSessionName="session")[
            "Credentials"
        ]
        return self.client(
            service, (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        )  # fmt: skip

    def bucket(self) -> str:
        """A new bucket."""
        name = self.name("bucket")
        self.client("s3").create_bucket(Bucket=name)
        return name

    def queue(self, **attributes: str) -> tuple[str, str]:
        """URL and ARN of a new queue."""
        url = self.client("sqs").create_queue(QueueName=self.name("queue"), Attributes=attributes)["QueueUrl"]
        got = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, got["Attributes"]["QueueArn"]

    def take(self, url: str) -> list[str]:
        """Bodies of all messages that can be received; they are deleted."""
        bodies = []
        while messages := self.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def function(self, source: str, *statements: Statement, files: Mapping[str, str] | None = None, **more: Any) -> str:
        """Name of a new function whose handler is ``app.handler``."""
        name = self.name("function")
        logs = allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"])
        settings: dict[str, Any] = {"Runtime": "python3.11", "Handler": "app.handler", "Timeout": 20} | more
        self.client("lambda").create_function(
            FunctionName=name,
            Role=self.role(logs, *statements, trusts=["lambda.amazonaws.com"]),
            Code={"ZipFile": zipped({"app.py": source, **(files or {})})},
            **settings,
        )
        return name

    def invoke(self, name: str, event: Any = None) -> tuple[Any, str | None]:
        """Answer of a function, and the kind of its error if it failed."""
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read() or b"null"), answer.get("FunctionError")

    def log(self, name: str) -> list[str]:
        """Log lines of a function."""
        events = self.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        return [event["message"] for event in events]

    def now(self) -> datetime:
        """Virtual time."""
        told: str = self.twin.door("status")["now"]
        return datetime.strptime(told, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)

    def move(self, **duration: float) -> None:
        """Let virtual time pass."""
        self.twin.move_clock(self.now() + timedelta(**duration))

    def settle(self) -> None:
        """Wait until everything that was set off has ended."""
        self.twin.door("settle")


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """Wait for something to become true; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value
