"""The ledger as a list."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import timedelta

import pytest

from driftloop.cli.episodes import as_dict
from driftloop.ports import Champion
from driftloop.retraining.episode import Episode, Status, Trigger, open_episode
from driftloop.retraining.evidence import Pause
from tests.fakes.examples import NAME

from .conftest import Account, Run, refusal
from .stories import AT, EXECUTION, PACKAGE, asked, deferred, promoted, unstarted

REFUSED = unstarted(Status.REFUSED, "within_month", "8 retrainings in 30 days")


def test_model_must_be_deployed(account: Account, run: Run) -> None:
    assert "no model 'early_train' is deployed" in refusal(run("episodes", "early_train"))


def test_without_episodes_there_is_no_table(account: Account, run: Run) -> None:
    assert run("episodes", NAME).output == f"{NAME}: no version serves; 0 episodes\n"


def test_episodes_are_shown_with_trigger_status_reason_and_outcome(account: Account, run: Run) -> None:
    later = open_episode(asked(Trigger.MANUAL, "2", AT.replace(hour=12)), Status.REQUESTED, "start")
    account.ledger.record(REFUSED)
    account.ledger.claim(later, AT)
    account.ledger.set_champion(NAME, Champion(3, "arn", "s3://b/k", "c", AT))
    result = run("episodes", NAME)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"{NAME}: version 3 serves since 2026-03-02 10:30; 2 episodes\n")
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.output.splitlines() if "│" in line]
    assert cells == [
        ["2026-03-02 10:30", REFUSED.id, "drift", "refused", "datapoints [1.2, 1.4]"],
        ["", "", "", "", "8 retrainings in 30 days"],
        ["2026-03-02 12:30", later.id, "manual", "requested", "datapoints [1.2, 1.4]"],
    ]


def test_a_pause_is_told(account: Account, run: Run) -> None:
    account.ledger.set_pause(NAME, Pause("somebody", AT, "the depot is closed"))
    assert run("episodes", NAME).output == (
        f"{NAME}: no version serves; 0 episodes; paused since 2026-03-02 10:30 by somebody: the depot is closed\n"
    )


def test_only_some_statuses_if_asked(account: Account, run: Run) -> None:
    waits, serves = deferred(AT + timedelta(hours=1)), promoted(at=AT + timedelta(days=1))
    for episode in (REFUSED, waits, serves):
        account.ledger.record(episode)
    one = run("episodes", NAME, "--status", "deferred").output
    assert "; 1 of 3 episodes" in one
    assert waits.id in one
    assert REFUSED.id not in one
    lines = run("episodes", NAME, "--status", "refused", "--status", "promoted", "--json").output.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [REFUSED.id, serves.id]
    unknown = run("episodes", NAME, "--status", "lost")
    assert unknown.exit_code == 2
    assert "'lost' is not one of 'requested', 'started'" in unknown.stderr


def test_json_has_every_field_with_times_in_utc(account: Account, run: Run) -> None:
    serves = promoted()
    account.ledger.record(serves)
    [line] = run("episodes", NAME, "--json").output.splitlines()
    assert json.loads(line) == as_dict(serves)
    assert set(as_dict(serves)) == {field.name for field in fields(Episode)}
    assert as_dict(serves) == {
        "id": serves.id, "model": NAME, "trigger": "drift", "status": "promoted", "rule": "start",
        "reason": "datapoints [1.2, 1.4]", "outcome": "version 4 serves", "by": "alarm driftloop-late-train-drift",
        "into": None, "revision": "0123456789ab", "pipeline_execution_arn": EXECUTION, "model_package_arn": PACKAGE,
        "opened_at": "2026-03-02T10:30:00Z", "closed_at": "2026-03-02T15:30:00Z", "until": None,
        "history": [
            {"at": "2026-03-02T10:30:00Z", "status": "requested"}, {"at": "2026-03-02T11:30:00Z", "status": "started"},
            {"at": "2026-03-02T12:30:00Z", "status": "candidate"}, {"at": "2026-03-02T13:30:00Z", "status": "approved"},
            {"at": "2026-03-02T14:30:00Z", "status": "rolling_out"}, {"at": "2026-03-02T15:30:00Z", "status": "promoted"},
        ],
    }  # fmt: skip
    assert as_dict(deferred())["until"] == "2026-03-05T10:30:00Z"


@pytest.mark.parametrize("text", ["\x1b[2Jgone", "two\nlines", "a\rb", "tab\tbed"])
def test_what_others_wrote_cannot_move_the_cursor(account: Account, run: Run, text: str) -> None:
    account.ledger.record(replace(REFUSED, reason=text, outcome=text))
    output = run("episodes", NAME).output
    assert not [letter for letter in output if not letter.isprintable() and letter != "\n"]
