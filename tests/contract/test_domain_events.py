"""Events of the kit on the bus."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from driftloop.aws.domain_events import EventBridgeEvents
from driftloop.ports import Events, RetryableError
from driftloop.simulation.fakes import FakeEvents
from tests.contract.conftest import EVERYWHERE

Listener = Callable[[], list[tuple[str, Any]]]


@pytest.fixture
def bus(kind: str, aws: Callable[[str], Any]) -> tuple[Events, Listener]:
    if kind == "fake":
        fake = FakeEvents()
        return fake, lambda: list(fake.sent)
    return EventBridgeEvents(aws("events")), _listen(aws)


def _listen(aws: Callable[[str], Any]) -> Listener:
    """A queue behind a rule for all of the kit's events, as anybody may set one up."""
    queue = aws("sqs").create_queue(QueueName="listener")["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws("events").put_rule(Name="listen", EventPattern=json.dumps({"source": ["driftloop"]}))
    aws("events").put_targets(Rule="listen", Targets=[{"Id": "queue", "Arn": arn}])

    def heard() -> list[tuple[str, Any]]:
        answer = aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        events = [json.loads(message["Body"]) for message in answer.get("Messages", ())]
        return [(event["detail-type"], event["detail"]) for event in events]

    return heard


@EVERYWHERE
def test_whoever_listens_hears_it(bus: tuple[Events, Listener]) -> None:
    events, heard = bus
    first = {"model": "late_train", "status": "started", "until": None, "reason": '\u00fc "quoted"'}
    events.put("Retraining Episode Changed", first)
    events.put("Serving Version Changed", {"version": 2})
    assert heard() == [("Retraining Episode Changed", first), ("Serving Version Changed", {"version": 2})]


def _stubbed(answer: dict[str, Any] | None = None) -> Any:
    events = boto3.client("events")
    stubber = Stubber(events)
    entry = {"Source": "driftloop", "DetailType": "Serving Version Changed", "Detail": '{"a": 1, "b": 2}'}
    if answer is None:
        stubber.add_client_error("put_events", "AccessDeniedException", expected_params={"Entries": [entry]})
    else:
        stubber.add_response("put_events", answer, {"Entries": [entry]})
    stubber.activate()
    return events


@pytest.mark.parametrize("message", ["throttled", None])
def test_a_bus_that_refuses_an_event_is_no_success(message: str | None) -> None:
    """PutEvents answers with 200 and says in its body that it has not taken the event."""
    refusal = {"ErrorCode": "ThrottlingException", **({"ErrorMessage": message} if message else {})}
    events = EventBridgeEvents(_stubbed({"FailedEntryCount": 1, "Entries": [refusal]}))
    with pytest.raises(RetryableError, match=f"the event bus refused Serving Version Changed: {message}"):
        events.put("Serving Version Changed", {"b": 2, "a": 1})


def test_an_event_that_was_taken() -> None:
    events = EventBridgeEvents(_stubbed({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}))
    events.put("Serving Version Changed", {"b": 2, "a": 1})


def test_a_missing_permission_is_told() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        EventBridgeEvents(_stubbed()).put("Serving Version Changed", {"b": 2, "a": 1})
