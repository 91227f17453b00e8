"""SQS as an event source: partial failures, redelivery in virtual time, the dead-letter queue."""

from __future__ import annotations

import json

import pytest

from .cloud import Cloud, allow

CONSUMER = """
import json, boto3
def handler(event, context):
    failed = []
    for record in event["Records"]:
        boto3.client("dynamodb").put_item(TableName="handled", Item={
            "body": {"S": record["body"]}, "seen": {"S": context.aws_request_id},
            "times": {"N": record["attributes"]["ApproximateReceiveCount"]},
            "sent": {"N": record["attributes"]["SentTimestamp"]},
        })
        if record["body"].startswith("bad"):
            failed.append({"itemIdentifier": record["messageId"]})
        if record["body"] == "crash":
            raise LookupError("crash")
    return {"batchItemFailures": failed}
"""
SQS = allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"])


@pytest.fixture(scope="module")
def table(cloud: Cloud) -> None:
    keys = [{"AttributeName": name, "KeyType": kind} for name, kind in (("body", "HASH"), ("seen", "RANGE"))]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("body", "seen")]
    cloud.client("dynamodb").create_table(
        TableName="handled", KeySchema=keys, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST"
    )


class Source:
    """A queue whose messages a function takes."""

    def __init__(self, cloud: Cloud, visibility: int, receives: int = 3, batch: int = 10) -> None:
        self._cloud = cloud
        self.dead, dead_arn = cloud.queue()
        redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": receives})
        self.url, arn = cloud.queue(VisibilityTimeout=str(visibility), RedrivePolicy=redrive)
        self.function = cloud.function(CONSUMER, SQS, allow("dynamodb:PutItem"))
        cloud.client("lambda").create_event_source_mapping(
            EventSourceArn=arn, FunctionName=self.function, BatchSize=batch,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )  # fmt: skip

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self._cloud.client("sqs").send_message(QueueUrl=self.url, MessageBody=body)
        self._cloud.settle()

    def handled(self, body: str) -> list[int]:
        """How often the message had been received each time that the function saw it."""
        found = self._cloud.client("dynamodb").query(
            TableName="handled", KeyConditionExpression="body = :b", ExpressionAttributeValues={":b": {"S": body}}
        )["Items"]
        return sorted(int(item["times"]["N"]) for item in found)

    def left(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        got = self._cloud.client("sqs").get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(value) for value in got.values())


@pytest.mark.usefixtures("table")
def test_only_the_failed_messages_of_a_batch_come_back_and_at_last_go_to_the_dead_letters(cloud: Cloud) -> None:
    source = Source(cloud, visibility=600)
    source.send("good-1", "bad-1", "good-2")
    assert source.handled("good-1") == source.handled("good-2") == [1]
    assert source.handled("bad-1") == [1]
    assert source.left() == 1
    cloud.settle()
    cloud.move(minutes=8)
    assert source.handled("bad-1") == [1], "it is invisible for ten minutes of virtual time"
    cloud.move(minutes=3)
    cloud.settle()
    assert source.handled("bad-1") == [1, 2]
    cloud.move(minutes=25)
    cloud.settle()
    assert source.handled("bad-1") == [1, 2, 3]
    assert source.handled("good-1") == [1]
    assert cloud.take(source.dead) == ["bad-1"]
    assert source.left() == 0


@pytest.mark.usefixtures("table")
def test_a_function_that_raises_gives_the_whole_batch_back(cloud: Cloud) -> None:
    source = Source(cloud, visibility=60, receives=2, batch=1)
    source.send("crash", "good-3")
    assert source.handled("good-3") == [1]
    cloud.move(minutes=5)
    cloud.settle()
    assert source.handled("crash") == [1, 2]
    assert cloud.take(source.dead) == ["crash"]


@pytest.mark.usefixtures("table")
def test_moving_the_clock_through_a_long_invocation_does_not_deliver_twice(cloud: Cloud) -> None:
    source = Source(cloud, visibility=60)
    for number in range(20):
        cloud.client("sqs").send_message(QueueUrl=source.url, MessageBody=f"quick-{number}")
        cloud.move(minutes=20)
    cloud.settle()
    assert [source.handled(f"quick-{number}") for number in range(20)] == [[1]] * 20
    assert source.left() == 0


@pytest.mark.usefixtures("table")
def test_a_batch_may_be_larger_than_ten(cloud: Cloud) -> None:
    url, arn = cloud.queue(VisibilityTimeout="60")
    for number in range(30):
        cloud.client("sqs").send_message(QueueUrl=url, MessageBody=f"many-{number}")
    counter = "def handler(event, context): print('records', len(event['Records']))"
    function = cloud.function(counter, SQS)
    cloud.client("lambda").create_event_source_mapping(
        EventSourceArn=arn, FunctionName=function, BatchSize=100, MaximumBatchingWindowInSeconds=1
    )
    cloud.settle()
    counts = [int(line.split()[1]) for line in cloud.log(function) if line.startswith("records ")]
    assert sum(counts) == 30
    assert max(counts) > 10


@pytest.mark.usefixtures("table")
def test_a_delayed_message_waits_for_virtual_time(cloud: Cloud) -> None:
    source = Source(cloud, visibility=60)
    cloud.client("sqs").send_message(QueueUrl=source.url, MessageBody="delayed", DelaySeconds=600)
    cloud.settle()
    assert source.handled("delayed") == []
    cloud.move(minutes=11)
    cloud.settle()
    assert source.handled("delayed") == [1]
