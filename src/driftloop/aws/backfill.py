"""Messages of backfills: one per hour of captures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, StringConstraints

from driftloop.aws.events import ModelName
from driftloop.aws.queues import queue_url
from driftloop.loop.backfill import Task
from driftloop.names import PREFIX
from driftloop.ports import RetryableError

QUEUE = f"{PREFIX}-backfill"
_AT_ONCE = 10
"""Messages that SQS takes in one call."""


class HourMessage(BaseModel):
    """Body of a message."""

    run: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
    model: ModelName
    baseline: Annotated[str, StringConstraints(pattern=r"^s3://[^/\s]+/\S+$")]
    hour: AwareDatetime

    def task(self) -> Task:
        """What it asks for."""
        return Task(self.run, self.model, self.baseline, self.hour)


def body(task: Task) -> str:
    """The message for one hour."""
    hour: datetime = task.hour
    value = {"run": task.run, "model": task.model, "baseline": task.baseline_uri, "hour": hour.isoformat()}
    return json.dumps(value)


class BackfillQueue:
    """The queue in front of ``rebuild_shards``, and the one behind it that keeps what could not be done."""

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs

    def send(self, tasks: Sequence[Task]) -> None:
        """Ask for hours. Raises RetryableError if SQS did not take all of them: asking again does no harm."""
        url = queue_url(self._sqs, QUEUE)
        for place in range(0, len(tasks), _AT_ONCE):
            entries = [{"Id": str(n), "MessageBody": body(t)} for n, t in enumerate(tasks[place : place + _AT_ONCE])]
            refused = self._sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed", ())
            if refused:
                raise RetryableError(f"{QUEUE} did not take {len(refused)} messages: {refused[0].get('Message', '')}")

    def dead_letters(self) -> int:
        """Messages that were given up, of any backfill."""
        wanted = "ApproximateNumberOfMessages"
        answer = self._sqs.get_queue_attributes(QueueUrl=queue_url(self._sqs, f"{QUEUE}-dlq"), AttributeNames=[wanted])
        return int(answer["Attributes"][wanted])
