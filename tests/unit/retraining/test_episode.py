"""Episodes are a state machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.retraining.episode import (
    MOVES,
    NEVER_RAN,
    Episode,
    IllegalMoveError,
    Request,
    Status,
    Trigger,
    alarm_cause,
    open_episode,
)
from tests.fakes.examples import START, episode, request

HOUR = timedelta(hours=1)
UNSTARTED = {Status.REFUSED, Status.DEFERRED, Status.MERGED}
FINAL = {Status.PROMOTED, Status.REJECTED, Status.FAILED, Status.ROLLED_BACK, *UNSTARTED}
ALLOWED = {
    (Status.REQUESTED, Status.STARTED),
    (Status.REQUESTED, Status.FAILED),
    (Status.STARTED, Status.CANDIDATE),
    (Status.STARTED, Status.APPROVED),
    (Status.STARTED, Status.REJECTED),
    (Status.STARTED, Status.FAILED),
    (Status.CANDIDATE, Status.APPROVED),
    (Status.CANDIDATE, Status.REJECTED),
    (Status.CANDIDATE, Status.FAILED),
    (Status.APPROVED, Status.ROLLING_OUT),
    (Status.APPROVED, Status.REJECTED),
    (Status.APPROVED, Status.FAILED),
    (Status.ROLLING_OUT, Status.PROMOTED),
    (Status.ROLLING_OUT, Status.ROLLED_BACK),
    (Status.ROLLING_OUT, Status.FAILED),
}


@pytest.mark.parametrize("before", list(Status))
@pytest.mark.parametrize("after", list(Status))
def test_only_the_moves_of_the_state_machine(before: Status, after: Status) -> None:
    made = episode(before)
    if (before, after) in ALLOWED:
        moved = made.moved(after, START + HOUR, "why")
        assert (moved.status, moved.outcome) == (after, "why")
        assert moved.history == (*made.history, ("2026-03-02T01:00:00+00:00", str(after)))
        assert moved.closed_at == (START + HOUR if after in FINAL else None)
        assert replace(moved, **{name: getattr(made, name) for name in MOVED}) == made
    else:
        with pytest.raises(IllegalMoveError, match=f"^episode {made.id}: {before} cannot become {after}$"):
            made.moved(after, START)


MOVED = ("status", "outcome", "history", "closed_at")
"""All that a move changes."""


def test_the_table_of_moves_is_the_one_that_was_meant() -> None:
    assert {(before, after) for before, more in MOVES.items() for after in more} == ALLOWED
    assert set(MOVES) == set(Status)


def test_final_states() -> None:
    assert {status for status in Status if status.is_final} == FINAL


def test_what_is_answered_without_a_retraining_never_ran() -> None:
    assert NEVER_RAN == UNSTARTED
    assert {status for status in Status if episode(status).ran} == set(Status) - UNSTARTED


def test_every_retraining_can_be_reached_and_reaches_an_end() -> None:
    reached = {Status.REQUESTED}
    while more := {after for status in reached for after in MOVES[status]} - reached:
        reached |= more
    assert reached == set(Status) - UNSTARTED
    ends = set(FINAL)
    while more := {before for before in reached if MOVES[before] & ends} - ends:
        ends |= more
    assert reached <= ends


@given(st.lists(st.sampled_from(list(Status)), max_size=12))
def test_no_sequence_of_events_brings_an_episode_back_to_life(statuses: list[Status]) -> None:
    made = episode()
    for status in statuses:
        try:
            made = made.moved(status, START)
        except IllegalMoveError:
            continue
    told = [Status(status) for _, status in made.history]
    assert told[0] is Status.REQUESTED
    assert told[-1] is made.status
    assert len(told) == len(set(told)) <= 6
    assert not any(status.is_final for status in told[:-1])
    assert (made.closed_at is not None) == made.status.is_final


def test_words_are_stored_and_so_they_stay() -> None:
    assert [str(status) for status in Status] == [
        "requested", "started", "candidate", "approved", "rolling_out", "promoted", "rejected", "refused", "deferred",
        "merged", "failed", "rolled_back",
    ]  # fmt: skip
    assert [str(trigger) for trigger in Trigger] == ["drift", "quality", "schedule", "data", "code", "manual"]


def test_an_episodes_id_is_stable() -> None:
    """It is stored: another formula would open the episodes that are known a second time."""
    assert request().episode_id == "291302435c31f786ca10"
    assert episode().id == "291302435c31f786ca10"
    assert episode().token == "941c0d2c10226b357c24a07319486572ac0f59cb3a4f406cea312a24148fb219"  # noqa: S105


CAUSES = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(list(Trigger)), st.sampled_from(["x", "y"]))


@given(CAUSES, CAUSES)
def test_the_same_cause_names_the_same_episode(a: tuple[str, Trigger, str], b: tuple[str, Trigger, str]) -> None:
    one = Request(*a, reason="first words", at=START)
    two = Request(*b, reason="other words", at=START + timedelta(days=1), by="somebody")
    assert (one.episode_id == two.episode_id) == (a == b)


@pytest.mark.parametrize(("asked", "cause"), [((), ""), ((0,), ""), ((1,), "#1"), ((12,), "#12")])
def test_an_alarm_is_known_by_its_name_its_time_and_how_often_it_was_answered(asked: tuple[int], cause: str) -> None:
    assert alarm_cause("driftloop-a-drift", START, *asked) == f"driftloop-a-drift@2026-03-02T00:00:00Z{cause}"


def test_tokens_fit_sagemakers_bounds() -> None:
    assert 32 <= len(episode().token) <= 128


def test_an_outcome_is_kept_until_there_is_a_newer_one() -> None:
    moved = episode().moved(Status.STARTED, START, "first").moved(Status.CANDIDATE, START)
    assert moved.outcome == "first"
    assert moved.moved(Status.REJECTED, START, "second").outcome == "second"


def test_times_of_an_episode() -> None:
    opened = episode()
    assert (opened.moved_at, opened.begun_at) == (START, START)
    started = opened.moved(Status.STARTED, START + HOUR)
    candidate = started.moved(Status.CANDIDATE, START + 2 * HOUR)
    assert (started.moved_at, started.begun_at) == (START + HOUR, START + HOUR)
    assert (candidate.moved_at, candidate.begun_at) == (START + 2 * HOUR, START + HOUR)
    never_started = opened.moved(Status.FAILED, START + HOUR)
    assert (never_started.moved_at, never_started.begun_at) == (START + HOUR, START)


def test_an_episode_without_history_moved_when_it_was_opened() -> None:
    """The oldest entries of a ledger have none."""
    bare = replace(episode(), history=())
    assert (bare.moved_at, bare.begun_at) == (START, START)


@pytest.mark.parametrize("status", sorted(UNSTARTED))
def test_what_never_runs_is_closed_when_it_is_opened(status: Status) -> None:
    made = open_episode(request(), status, "cooled_down", "too early")
    assert (made.closed_at, made.outcome, made.rule) == (START, "too early", "cooled_down")


def test_the_first_record_of_an_episode() -> None:
    wanted = Request("m", Trigger.DATA, "rows@1", "new rows", START, "reconciler")
    assert open_episode(wanted, Status.REQUESTED, "start") == Episode(
        id=wanted.episode_id, model="m", trigger=Trigger.DATA, reason="new rows", opened_at=START,
        status=Status.REQUESTED, rule="start", outcome="", pipeline_execution_arn="", model_package_arn="",
        closed_at=None, history=(("2026-03-02T00:00:00+00:00", "requested"),), by="reconciler", until=None, into="",
        revision="",
    )  # fmt: skip


@pytest.mark.parametrize("status", [Status.REQUESTED, Status.REFUSED])
def test_an_episode_is_as_old_as_its_decision(status: Status) -> None:
    """The request may have been on its way for days, and budgets count from the decision."""
    made = open_episode(request(), status, "start", "", START + HOUR)
    assert made.id == request().episode_id
    assert (made.opened_at, made.moved_at) == (START + HOUR, START + HOUR)
    assert made.closed_at == (START + HOUR if status is Status.REFUSED else None)
