"""Names and ARNs of the platform as ``Fn::Sub`` text. Stacks find each other by name, so none holds an export that
would keep another from being deleted."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Fn, Token

from driftloop import names
from driftloop.names import PREFIX

PARTITION, ACCOUNT, REGION = "${AWS::Partition}", "${AWS::AccountId}", "${AWS::Region}"
KEY = "${KmsKeyArn}"
"""The platform key; unlike the others, a key's ARN cannot be told from a name."""

LIVE, CURATED, ARTIFACTS, ACCESS_LOGS = "live", "curated", "artifacts", "access-logs"
LEDGER = names.LEDGER_TABLE
TOPIC = f"{PREFIX}-notifications"
ANSWERED = f"{PREFIX}-answered"
"""Topic that SageMaker tells of every answer of an asynchronous endpoint."""
KEY_ALIAS = f"alias/{PREFIX}"
KEY_PARAMETER = f"/{PREFIX}/platform/kms-key-arn"
TRACKING = "mlflow"
"""Prefix of what MLflow keeps of runs, among the artifacts."""
SCHEDULER_ROLE = f"{PREFIX}-scheduler-{REGION}"


def arn(service: str, resource: str) -> str:
    """ARN of something in this account and region."""
    return f"arn:{PARTITION}:{service}:{REGION}:{ACCOUNT}:{resource}"


def bucket(kind: str) -> str:
    """Bucket names are global, so account and region are part of them."""
    return names.bucket(kind, ACCOUNT, REGION)


def bucket_arn(kind: str, key: str = "") -> str:
    """ARN of a bucket, or of keys in it."""
    return f"arn:{PARTITION}:s3:::{bucket(kind)}" + (f"/{key}" if key else "")


def role_arn(name: str) -> str:
    """ARN of a role of this account."""
    return f"arn:{PARTITION}:iam::{ACCOUNT}:role/{name}"


def queue(work: str) -> str:
    """Name of the queue for one kind of work."""
    return f"{PREFIX}-{work}"


def dead_letter_queue(work: str) -> str:
    """Name of the queue that keeps what could not be done."""
    return f"{PREFIX}-{work}-dlq"


def function(name: str) -> str:
    """Name of a shared function, e.g. ``driftloop-detect-drift``."""
    return f"{PREFIX}-{name.replace('_', '-')}"


def sub(text: str, values: Mapping[str, str] | None = None) -> str:
    """The text with its variables left to CloudFormation; ``values`` are those that are not pseudo parameters."""
    tokens: dict[str, str] = {}
    for name, value in (values or {}).items():
        variable = f"${{{name}}}"
        if text == variable:
            return value
        if not Token.is_unresolved(value):
            text = text.replace(variable, value)
        elif variable in text:
            tokens[name] = value
    return Fn.sub(text, tokens or None) if "${" in text else text
