"""Asking for a retraining, and reading the ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from driftloop.aws.events import parse_request
from driftloop.ports import Champion
from driftloop.retraining.episode import Request, Status, Trigger, open_episode
from tests.fakes.examples import NAME

from .conftest import ACCOUNT, REGION, Account, Run, refusal

AT = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)


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
    request = parse_request({"body": message["Body"]})
    assert request is not None
    assert result.output == f"event {request.cause}\n"
    assert (request.model, request.trigger, request.reason) == (NAME, Trigger.MANUAL, "a new [timetable]")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_reason_must_say_something_and_fit(account: Account, run: Run, reason: str) -> None:
    url = listen(account)
    assert "--reason has" in refusal(run("retrain", NAME, "--reason", reason))
    assert "Messages" not in account.sqs.receive_message(QueueUrl=url)


def test_model_must_be_deployed(account: Account, run: Run) -> None:
    for command in (["retrain", "early_train", "--reason", "x"], ["episodes", "early_train"]):
        assert "no model 'early_train' is deployed" in refusal(run(*command))


def test_without_episodes_there_is_no_table(account: Account, run: Run) -> None:
    assert run("episodes", NAME).output == f"{NAME}: no version serves; 0 episodes\n"


def test_episodes_are_shown_with_trigger_status_reason_and_outcome(account: Account, run: Run) -> None:
    drift = Request(NAME, Trigger.DRIFT, "alarm@1", "datapoints [1.2, 1.4]", AT)
    refused = open_episode(drift, Status.REFUSED, "budget", "8 retrainings in 30 days")
    asked = open_episode(
        replace(drift, trigger=Trigger.MANUAL, cause="2", at=AT.replace(hour=12)), Status.REQUESTED, "start"
    )
    account.ledger.record(refused)
    account.ledger.claim(asked, AT)
    account.ledger.set_champion(NAME, Champion(3, "arn", "s3://b/k", "c", AT))
    result = run("episodes", NAME)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"{NAME}: version 3 serves since 2026-03-02 10:30; 2 episodes\n")
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.output.splitlines() if "│" in line]
    assert cells == [
        ["2026-03-02 10:30", refused.id, "drift", "refused", "datapoints [1.2, 1.4]"],
        ["", "", "", "", "8 retrainings in 30 days"],
        ["2026-03-02 12:30", asked.id, "manual", "requested", "datapoints [1.2, 1.4]"],
    ]
