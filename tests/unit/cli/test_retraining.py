"""Asking for a retraining, for none for a while, and for retrainings again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from driftloop.aws.events import parse_request
from driftloop.retraining.episode import Trigger
from driftloop.retraining.evidence import Pause
from tests.events import record
from tests.fakes.examples import NAME

from .conftest import ACCOUNT, REGION, Account, Run, refusal

AT = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
CALLER = f"arn:aws:sts::{ACCOUNT}:user/moto"


def listen(account: Account) -> str:
    """URL of a queue that gets the kit's events."""
    url = account.sqs.create_queue(QueueName="heard")["QueueUrl"]
    pattern = json.dumps({"source": ["driftloop"], "detail-type": ["Retraining Requested"]})
    account.events.put_rule(Name="all", EventPattern=pattern)
    target = {"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:heard"}
    account.events.put_targets(Rule="all", Targets=[target])  # type: ignore[list-item]
    return url


def test_request_is_what_start_retraining_understands(account: Account, run: Run) -> None:
    url = listen(account)
    result = run("retrain", NAME, "--reason", "a new [timetable]")
    assert result.exit_code == 0, result.output
    [message] = account.sqs.receive_message(QueueUrl=url)["Messages"]
    request = parse_request(record(message["Body"]))
    assert request is not None
    assert result.stdout == f"event {request.cause}\n"
    assert result.stderr == f"what becomes of it: driftloop episodes {NAME}\n"
    assert (request.model, request.trigger, request.reason) == (NAME, Trigger.MANUAL, "a new [timetable]")
    assert request.by == CALLER


@pytest.mark.parametrize("command", ["retrain", "pause"])
@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_reason_must_say_something_and_fit(account: Account, run: Run, command: str, reason: str) -> None:
    url = listen(account)
    assert "--reason has" in refusal(run(command, NAME, "--reason", reason))
    assert "Messages" not in account.sqs.receive_message(QueueUrl=url)
    assert account.ledger.pause(NAME) is None


@pytest.mark.parametrize("command", ["retrain", "pause", "resume"])
def test_model_must_be_deployed(account: Account, run: Run, command: str) -> None:
    reason = [] if command == "resume" else ["--reason", "x"]
    assert "no model 'early_train' is deployed" in refusal(run(command, "early_train", *reason))
    assert "cannot be the name of a model" in refusal(run(command, "late-train", *reason))


def test_pause_says_who_since_when_and_why(account: Account, run: Run) -> None:
    before = datetime.now(UTC)
    result = run("pause", NAME, "--reason", "  the depot is closed ")
    assert result.exit_code == 0, result.output
    pause = account.ledger.pause(NAME)
    assert pause is not None
    assert (pause.by, pause.reason) == (CALLER, "the depot is closed")
    assert before <= pause.at <= datetime.now(UTC)
    since = f"since {pause.at:%Y-%m-%d %H:%M} by {CALLER}: the depot is closed"
    assert result.output == f"{NAME} is paused {since}; end it with: driftloop resume {NAME}\n"


def test_a_second_pause_says_that_there_was_one_and_takes_its_place(account: Account, run: Run) -> None:
    account.ledger.set_pause(NAME, Pause("somebody\x1b[2J", AT - timedelta(days=1), "first\nreason"))
    output = run("pause", NAME, "--reason", "second").output
    assert f"{NAME} was paused already, since 2026-03-01 10:30 by somebody [2J: first reason; now your" in output
    pause = account.ledger.pause(NAME)
    assert pause is not None
    assert pause.reason == "second"


def test_resume_ends_a_pause_and_only_a_pause(account: Account, run: Run) -> None:
    account.ledger.set_pause(NAME, Pause("somebody", AT, "the depot is closed"))
    output = run("resume", NAME).output
    assert output == f"{NAME} is resumed; it was paused since 2026-03-02 10:30 by somebody: the depot is closed\n"
    assert account.ledger.pause(NAME) is None
    assert refusal(run("resume", NAME)) == f"{NAME} is not paused"
