"""SQS queues by name."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from driftloop.ports import TerminalError


def queue_url(sqs: Any, name: str) -> str:
    """Where a queue is. Raises TerminalError if there is none."""
    try:
        url: str = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except ClientError as error:
        if "NonExistentQueue" in error.response["Error"]["Code"]:
            raise TerminalError(f"there is no queue {name}: deploy the platform's stack of this version") from error
        raise
    return url
