"""Dead-letter queues in SQS: how many messages wait, and moving them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from driftloop.names import PREFIX

SUFFIX = "-dlq"
_LACKING = frozenset({"InvalidAction", "UnknownOperationException", "UnsupportedOperation"})
"""Error codes of a service that does not know message move tasks."""
_HOLD_SECONDS = 60
"""Time in which a message that was taken has to be sent and deleted; else it waits in its queue again."""
_AT_ONCE = 10


@dataclass(frozen=True)
class Moving:
    """How far SQS is with moving a queue's messages."""

    runs: bool
    moved: int
    failure: str


@dataclass(frozen=True)
class DeadLetterQueue:
    """One queue of what could not be done."""

    sqs: Any
    work: str
    url: str
    target_url: str | None
    """The queue that the work comes from; None for what a schedule calls."""

    @property
    def name(self) -> str:
        """Name of the queue."""
        return self.url.rpartition("/")[2]

    @property
    def target_name(self) -> str | None:
        """Name of the queue that messages go back to."""
        return self.target_url.rpartition("/")[2] if self.target_url else None

    def count(self) -> tuple[int, int]:
        """Messages that wait, and that somebody reads just now; SQS counts about right."""
        found = self._attributes(self.url, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])

    def start_moving(self) -> bool:
        """Have SQS move all messages; False if the service cannot. A task that runs already is left to it.

        The target is named because EventBridge's and the Scheduler's own dead letters, which are here too, have no
        source that SQS could find out.
        """
        source, target = self._arn(self.url), self._arn(str(self.target_url))
        running = self.moving()
        if running and running.runs:
            return True
        try:
            self.sqs.start_message_move_task(SourceArn=source, DestinationArn=target)
        except ClientError as error:
            if _lacks(error):
                return False
            raise
        return True

    def moving(self) -> Moving | None:
        """How far SQS is with the latest task; None if it knows of none."""
        try:
            answer = self.sqs.list_message_move_tasks(SourceArn=self._arn(self.url), MaxResults=1)
        except ClientError as error:
            if _lacks(error):
                return None
            raise
        for task in answer.get("Results", ()):
            moved = int(task.get("ApproximateNumberOfMessagesMoved", 0))
            return Moving(task["Status"] in ("RUNNING", "CANCELLING"), moved, task.get("FailureReason", ""))
        return None

    def move_by_hand(self) -> int:
        """Send each message and only then delete it; how many. A death in between sends one twice and loses none."""
        moved = 0
        while messages := self._take():
            for message in messages:
                attributes = message.get("MessageAttributes", {})
                self.sqs.send_message(
                    QueueUrl=self.target_url, MessageBody=message["Body"], MessageAttributes=attributes
                )
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                moved += 1
        return moved

    def _take(self) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=_AT_ONCE,
            VisibilityTimeout=_HOLD_SECONDS,
            MessageAttributeNames=["All"],
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found

    def _arn(self, url: str) -> str:
        return self._attributes(url, "QueueArn")["QueueArn"]

    def _attributes(self, url: str, *names: str) -> Mapping[str, str]:
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))
        found: Mapping[str, str] = answer["Attributes"]
        return found


def dead_letter_queues(sqs: Any) -> list[DeadLetterQueue]:
    """All of the kit, by name."""
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{PREFIX}-")
    urls = {url.rpartition("/")[2]: url for page in pages for url in page.get("QueueUrls", ())}
    return [
        DeadLetterQueue(sqs, name.removeprefix(f"{PREFIX}-").removesuffix(SUFFIX), url, urls.get(name.removesuffix(SUFFIX)))
        for name, url in sorted(urls.items())
        if name.endswith(SUFFIX)
    ]  # fmt: skip


def _lacks(error: ClientError) -> bool:
    return any(code in error.response["Error"]["Code"] for code in _LACKING)
