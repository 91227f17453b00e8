"""Why a model was or was not retrained."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from string import Formatter

import pytest

from driftloop.cli.advice import BY_RULE, BY_STATUS, next_step
from driftloop.cli.episodes import as_dict
from driftloop.cli.story import HEADLINES, Story
from driftloop.names import ModelNames, bucket
from driftloop.retraining.decision import RULES
from driftloop.retraining.episode import NEVER_RAN, Episode, Status
from tests.fakes.examples import NAME

from .conftest import ACCOUNT, REGION, Account, Run, refusal
from .stories import AT, EXECUTION, PACKAGE, deferred, merged, promoted, unstarted

REFUSED = unstarted(Status.REFUSED, "resumed", "paused by somebody since 2026-03-01: the depot is closed")


def record(account: Account, *episodes: Episode) -> None:
    for episode in episodes:
        assert account.ledger.record(episode)


def test_a_retraining_is_told_move_by_move(account: Account, run: Run) -> None:
    serves = promoted()
    record(account, serves)
    result = run("explain", serves.id)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"{NAME} was retrained, and the version came to serve",
        f"  episode   {serves.id}, trigger drift",
        "  asked     2026-03-02 10:30 by alarm driftloop-late-train-drift",
        "  evidence  datapoints [1.2, 1.4]",
        "  rule      start",
        "  revision  0123456789ab",
        "  moves",
        "    2026-03-02 10:30  requested",
        f"    2026-03-02 11:30  started     {EXECUTION}",
        f"    2026-03-02 12:30  candidate   version 4, {PACKAGE}",
        f"    2026-03-02 13:30  approved    version 4, {PACKAGE}",
        "    2026-03-02 14:30  rolling_out",
        "    2026-03-02 15:30  promoted    version 4 serves",
        "  next      Nothing: the version came to serve.",
    ]


def test_a_refusal_says_the_rule_its_reason_and_what_to_do(account: Account, run: Run) -> None:
    record(account, REFUSED)
    output = run("explain", REFUSED.id[:6]).output
    assert output.startswith(f"{NAME} was not retrained: the request was refused\n")
    assert "  rule      resumed: paused by somebody since 2026-03-01: the depot is closed\n" in output
    assert output.endswith(f"  next      driftloop resume {NAME} ends the pause.\n")


def test_a_request_that_waits_says_until_when_and_what_came_then(account: Account, run: Run) -> None:
    waits = deferred()
    between, then = deferred(AT + timedelta(days=1)), promoted(at=AT + timedelta(days=3))
    record(account, waits, replace(between, id="f" * 20), then)
    output = run("explain", waits.id).output
    assert "  until     2026-03-05 10:30\n" in output
    assert f"  then      {then.id} (drift, 2026-03-05 10:30) promoted: version 4 serves\n" in output


def test_a_merged_request_names_what_answers_it_and_the_other_way_round(account: Account, run: Run) -> None:
    serves = promoted()
    joins = merged(serves, at=AT + timedelta(hours=1))
    record(account, serves, joins)
    assert f"  answer    {serves.id} (drift, 2026-03-02 10:30) promoted: version 4" in run("explain", joins.id).output
    assert f"  answers   {joins.id} (drift, 2026-03-02 11:30) merged: episode" in run("explain", serves.id).output


def test_an_answer_that_is_not_there_any_more_is_said_so() -> None:
    lines = list(Story.of(merged(promoted()), []).lines())
    assert f"  answer    {promoted().id}, which the ledger does not hold" in lines


def test_what_the_gate_found_is_told(account: Account, run: Run) -> None:
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:pipeline/driftloop-late-train/execution/abc123"
    serves = replace(promoted(), pipeline_execution_arn=arn)
    record(account, serves)
    assert "  gate" not in run("explain", serves.id).output
    evaluation = json.dumps({"gate": {"decision": "promote", "reason": "0.0046 better than the champion"}})
    place = {"Bucket": bucket("artifacts", ACCOUNT, REGION), "Key": f"evaluations/{NAME}/abc123/evaluation.json"}
    account.s3.put_object(**place, Body=evaluation.encode())
    said = "promote: 0.0046 better than the champion"
    assert f"  gate      {said}" in run("explain", serves.id).output.splitlines()
    assert json.loads(run("explain", serves.id, "--json").output)["gate"] == said


def test_json_holds_the_same(account: Account, run: Run) -> None:
    serves = promoted()
    joins = merged(serves, at=AT + timedelta(hours=1))
    record(account, serves, joins)
    short = {"trigger": "drift", "opened_at": "2026-03-02T10:30:00Z"}
    assert json.loads(run("explain", joins.id, "--json").output) == {
        "headline": f"{NAME} was not retrained for this: another episode answers it",
        "episode": as_dict(joins),
        "answered_by": {"id": serves.id, "status": "promoted", "outcome": "version 4 serves", **short},
        "answers": [],
        "next_retraining": None,
        "gate": None,
        "next_step": next_step(joins),
    }
    found = json.loads(run("explain", serves.id, "--json").output)
    assert [other["id"] for other in found["answers"]] == [joins.id]


def test_an_id_that_is_not_there_names_the_closest(account: Account, run: Run) -> None:
    record(account, REFUSED, promoted(at=AT + timedelta(days=1)))
    wrong = REFUSED.id[:9] + ("0" if REFUSED.id[9] != "0" else "1")
    told = refusal(run("explain", wrong))
    assert f"an id that begins with {wrong}; the closest is {REFUSED.id} ({NAME}, drift, refused, 2026-03-02" in told


def test_digits_that_several_ids_begin_with_name_them(account: Account, run: Run) -> None:
    first, second = replace(REFUSED, id="abcdef" + "0" * 14), replace(promoted(), id="abcdef" + "1" * 14)
    record(account, first, second)
    assert refusal(run("explain", "abcdef")) == f"2 ids begin with abcdef: {first.id}, {second.id}"
    assert first.id in run("explain", "abcdef0").output


@pytest.mark.parametrize("digits", ["abcde", "", "ABCDEF", "abcdeg", "../../x", "%s%s%s"])
def test_what_no_id_begins_with_is_refused(account: Account, run: Run, digits: str) -> None:
    assert "write 6 or more of its digits" in refusal(run("explain", "--", digits))


def test_a_ledger_without_episodes_is_said_so(account: Account, run: Run) -> None:
    assert "there are no episodes of any model in account" in refusal(run("explain", "abcdef"))
    assert f"there are no episodes of {NAME} in account" in refusal(run("explain", "abcdef", "--model", NAME))


def test_a_model_that_was_removed_is_still_explained_if_named(account: Account, run: Run) -> None:
    record(account, REFUSED)
    account.ssm.delete_parameter(Name=ModelNames(NAME).parameter)
    assert "there are no episodes" in refusal(run("explain", REFUSED.id))
    assert run("explain", REFUSED.id, "--model", NAME).exit_code == 0
    assert "cannot be the name" in refusal(run("explain", REFUSED.id, "--model", "late-train"))


def test_what_others_wrote_cannot_move_the_cursor(account: Account, run: Run) -> None:
    record(account, replace(REFUSED, reason="\x1b[2Jgone\nline", outcome="a\rb", by="c\x07"))
    output = run("explain", REFUSED.id).output
    assert not [letter for letter in output if not letter.isprintable() and letter != "\n"]
    assert len(output.splitlines()) == 8


def test_there_is_a_word_for_every_status_and_a_hint_for_every_rule() -> None:
    assert set(HEADLINES) == set(Status)
    assert set(BY_RULE) == set(RULES)
    assert set(BY_STATUS) == set(Status) - NEVER_RAN


@pytest.mark.parametrize("rule", [*RULES, "a_rule_of_long_ago"])
def test_hints_are_complete_sentences(rule: str) -> None:
    text = next_step(unstarted(Status.REFUSED, rule, "because"))
    assert not [field for _, field, _, _ in Formatter().parse(text) if field]
    assert text.endswith((".", '"...."', '"..."')), text
