"""Dead letters: how many, where they go back to, and that none is lost on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.sqs.responses import SQSResponse

from driftloop.cli import dead_letters, redrive
from driftloop.cli.redrive import DeadLetterQueue, dead_letter_queues

from .conftest import Account, Run, refusal

WORKS = ("labels", "retraining")
ALONE = "detection"


@pytest.fixture
def queues(account: Account) -> Account:
    """Two works with their queues, what a schedule's calls leave behind, and a queue of somebody else."""
    for work in (*WORKS, ALONE):
        account.sqs.create_queue(QueueName=f"driftloop-{work}-dlq")
    for name in (*(f"driftloop-{work}" for work in WORKS), "others-dlq", "driftlooper-dlq"):
        account.sqs.create_queue(QueueName=name)
    return account


Reply = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]
Answer = Callable[[str, Reply], None]
"""Have an operation that moto does not know answered: name of the operation, request -> status and answer."""


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    def teach(operation: str, reply: Reply) -> None:
        def respond(self: SQSResponse) -> tuple[int, dict[str, str], str]:
            status, content = reply(json.loads(self.body))
            return status, {"status": str(status)}, json.dumps(content)

        monkeypatch.setattr(SQSResponse, operation, respond, raising=False)

    return teach


def lacking(_: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 400, {"__type": "com.amazonaws.sqs#InvalidAction", "message": "unknown action"}


@pytest.fixture
def without_tasks(answer: Answer) -> None:
    """A service that does not know message move tasks."""
    for operation in ("start_message_move_task", "list_message_move_tasks"):
        answer(operation, lacking)


def url(account: Account, name: str) -> str:
    return account.sqs.get_queue_url(QueueName=f"driftloop-{name}")["QueueUrl"]


def put(account: Account, name: str, *bodies: str) -> None:
    for body in bodies:
        account.sqs.send_message(QueueUrl=url(account, name), MessageBody=body)


def bodies(account: Account, name: str) -> list[str]:
    found = account.sqs.receive_message(QueueUrl=url(account, name), MaxNumberOfMessages=10, VisibilityTimeout=0)
    return sorted(message["Body"] for message in found.get("Messages", ()))


def test_queues_are_listed_with_their_counts_and_where_messages_go_back_to(queues: Account, run: Run) -> None:
    put(queues, "labels-dlq", "a", "b", "c")
    queues.sqs.receive_message(QueueUrl=url(queues, "labels-dlq"), MaxNumberOfMessages=1, VisibilityTimeout=60)
    output = run("dead-letters").output
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if "│" in line]
    assert cells == [
        ["driftloop-detection-dlq", "0", "0", "nowhere: the next run does it"],
        ["driftloop-labels-dlq", "2", "1", "driftloop-labels"],
        ["driftloop-retraining-dlq", "0", "0", "driftloop-retraining"],
    ]


@pytest.mark.parametrize("name", ["labels", "driftloop-labels-dlq", "labels-dlq"])
def test_one_queue_is_listed_by_its_work_or_its_name(queues: Account, run: Run, name: str) -> None:
    output = run("dead-letters", name).output
    assert "driftloop-labels-dlq" in output
    assert "retraining" not in output


def test_unknown_queue_names_those_that_are_there(queues: Account, run: Run) -> None:
    for arguments in (["lables"], ["lables", "--redrive"], ["others-dlq"]):
        told = refusal(run("dead-letters", *arguments))
        assert told == f"there is no queue {arguments[0]!r}; there are detection, labels, retraining"


def test_account_without_the_kit_is_named(account: Account, run: Run) -> None:
    assert "there are no queues of the kit in account" in refusal(run("dead-letters"))


def test_messages_go_back_one_by_one_where_the_service_cannot_move_them(
    queues: Account, run: Run, without_tasks: None
) -> None:
    sent = [f"message {number:02d}" for number in range(23)]
    put(queues, "labels-dlq", *sent)
    output = run("dead-letters", "labels", "--redrive").output
    assert output == "driftloop-labels-dlq: 23 messages sent back to driftloop-labels, 0 left\n"
    found = set()
    for _ in range(5):
        found |= set(bodies(queues, "labels"))
    assert bodies(queues, "labels-dlq") == []
    assert found <= set(sent)
    counted = queues.sqs.get_queue_attributes(
        QueueUrl=url(queues, "labels"), AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert counted["Attributes"]["ApproximateNumberOfMessages"] == "23"


def test_attributes_of_a_message_go_with_it(queues: Account, run: Run, without_tasks: None) -> None:
    attributes = {"trace": {"DataType": "String", "StringValue": "t-1"}}
    queues.sqs.send_message(QueueUrl=url(queues, "labels-dlq"), MessageBody="a", MessageAttributes=attributes)  # type: ignore[arg-type]
    run("dead-letters", "labels", "--redrive")
    [message] = queues.sqs.receive_message(QueueUrl=url(queues, "labels"), MessageAttributeNames=["All"])["Messages"]
    assert message["MessageAttributes"]["trace"]["StringValue"] == "t-1"


def test_a_message_that_cannot_be_sent_is_not_deleted(
    queues: Account, run: Run, without_tasks: None, answer: Answer
) -> None:
    put(queues, "labels-dlq", "a")
    answer("send_message", lambda _: (403, {"__type": "AccessDenied", "message": "no"}))
    assert refusal(run("dead-letters", "labels", "--redrive")) == "AWS refused SendMessage: AccessDenied: no"
    [queue] = [q for q in dead_letter_queues(queues.sqs) if q.work == "labels"]
    assert sum(queue.count()) == 1


def test_all_queues_are_sent_back_and_those_without_a_way_are_left_alone(
    queues: Account, run: Run, without_tasks: None
) -> None:
    put(queues, "labels-dlq", "a")
    put(queues, "detection-dlq", "b")
    lines = run("dead-letters", "--redrive").output.splitlines()
    assert lines[0].startswith("driftloop-detection-dlq: 1 waiting, left alone: its work is done by a schedule")
    assert lines[1:] == [
        "driftloop-labels-dlq: 1 messages sent back to driftloop-labels, 0 left",
        "driftloop-retraining-dlq: nothing waits",
    ]
    assert bodies(queues, "detection-dlq") == ["b"]
    told = refusal(run("dead-letters", "detection", "--redrive"))
    assert told.startswith("driftloop-detection-dlq has no queue to go back to")


class Service:
    """SQS as far as it moves messages by itself: each look is one step."""

    def __init__(self, answer: Answer, *steps: dict[str, Any]) -> None:
        self.started: list[dict[str, Any]] = []
        self._steps = list(steps)
        answer("start_message_move_task", self._start)
        answer("list_message_move_tasks", self._list)

    def _start(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.started.append(request)
        return 200, {"TaskHandle": "t"}

    def _list(self, _: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        return 200, {"Results": [step] if step else []}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "_POLL_SECONDS", 0.001)


RUNNING = {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 1}


def test_sqs_moves_the_messages_where_it_can(queues: Account, run: Run, answer: Answer, impatient: None) -> None:
    done = {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 2}
    service = Service(answer, {}, {}, RUNNING, RUNNING, done)
    put(queues, "labels-dlq", "a", "b")
    output = run("dead-letters", "labels", "--redrive").output
    assert output.startswith("driftloop-labels-dlq: 2 messages sent back to driftloop-labels")
    [request] = service.started
    assert request["SourceArn"].endswith(":driftloop-labels-dlq")
    assert request["DestinationArn"].endswith(":driftloop-labels")


def test_a_task_that_runs_already_is_followed_and_no_second_one_is_started(
    queues: Account, run: Run, answer: Answer, impatient: None
) -> None:
    service = Service(answer, RUNNING, RUNNING, {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 2})
    put(queues, "labels-dlq", "a", "b")
    assert "2 messages sent back" in run("dead-letters", "labels", "--redrive").output
    assert service.started == []


def test_a_task_that_fails_says_why(queues: Account, run: Run, answer: Answer, impatient: None) -> None:
    failed = {"Status": "FAILED", "ApproximateNumberOfMessagesMoved": 1, "FailureReason": "AccessDenied"}
    Service(answer, {}, RUNNING, failed)
    put(queues, "labels-dlq", "a", "b")
    told = refusal(run("dead-letters", "labels", "--redrive"))
    assert told == "driftloop-labels-dlq: SQS stopped after 1 of about 2 messages: AccessDenied"


def test_a_task_that_takes_long_goes_on_without_us(
    queues: Account, run: Run, answer: Answer, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "_PATIENCE_SECONDS", 0.01)
    Service(answer, {}, RUNNING)
    put(queues, "labels-dlq", "a", "b")
    output = run("dead-letters", "labels", "--redrive").output
    assert output == "driftloop-labels-dlq: 1 of about 2 messages moved; SQS goes on by itself\n"


def test_a_refusal_of_the_task_is_not_taken_for_a_service_that_lacks_it(
    queues: Account, run: Run, answer: Answer
) -> None:
    answer("list_message_move_tasks", lambda _: (200, {"Results": []}))
    answer("start_message_move_task", lambda _: (403, {"__type": "AccessDenied", "message": "no"}))
    put(queues, "labels-dlq", "a")
    assert refusal(run("dead-letters", "labels", "--redrive")) == "AWS refused StartMessageMoveTask: AccessDenied: no"
    assert bodies(queues, "labels-dlq") == ["a"]


@pytest.mark.parametrize(
    "code", ["InvalidAction", "UnknownOperationException", "AWS.SimpleQueueService.UnsupportedOperation"]
)
def test_words_for_a_service_that_lacks_it(code: str) -> None:
    assert redrive._lacks(ClientError({"Error": {"Code": code}}, "StartMessageMoveTask"))


def test_a_queue_knows_its_names() -> None:
    queue = DeadLetterQueue(None, "labels", "https://sqs/1/driftloop-labels-dlq", "https://sqs/1/driftloop-labels")
    assert (queue.name, queue.target_name) == ("driftloop-labels-dlq", "driftloop-labels")
