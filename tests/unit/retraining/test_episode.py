"""Episodes are a state machine."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.retraining.episode import MOVES, IllegalMoveError, Request, Status, Trigger, open_episode
from tests.fakes.examples import START, episode, request

FINAL = {Status.PROMOTED, Status.REJECTED, Status.REFUSED, Status.FAILED, Status.ROLLED_BACK}


@pytest.mark.parametrize("before", list(Status))
@pytest.mark.parametrize("after", list(Status))
def test_only_the_moves_of_the_state_machine(before: Status, after: Status) -> None:
    made = episode(before)
    if after in MOVES[before]:
        moved = made.moved(after, START + timedelta(hours=1), "why")
        assert (moved.status, moved.outcome) == (after, "why")
        assert moved.history == (*made.history, ("2026-03-02T01:00:00+00:00", str(after)))
        assert (moved.closed_at is not None) == after.is_final
    else:
        with pytest.raises(IllegalMoveError, match=f"{before} cannot become {after}"):
            made.moved(after, START)


def test_final_states() -> None:
    assert {status for status in Status if status.is_final} == FINAL


def test_every_state_but_refused_is_reached_from_requested_and_reaches_an_end() -> None:
    reached = {Status.REQUESTED}
    while more := {after for status in reached for after in MOVES[status]} - reached:
        reached |= more
    assert reached == set(Status) - {Status.REFUSED}
    assert all(MOVES[status] & FINAL for status in reached - FINAL)


def test_an_episodes_id_is_stable() -> None:
    """It is stored: another formula would open the episodes that are known a second time."""
    assert request().episode_id == "291302435c31f786ca10"
    assert open_episode(request(), Status.REQUESTED, "start").token == episode().token


CAUSES = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(list(Trigger)), st.sampled_from(["x", "y"]))


@given(CAUSES, CAUSES)
def test_the_same_cause_names_the_same_episode(a: tuple[str, Trigger, str], b: tuple[str, Trigger, str]) -> None:
    one = Request(*a, reason="first words", at=START)
    two = Request(*b, reason="other words", at=START + timedelta(days=1))
    assert (one.episode_id == two.episode_id) == (a == b)


def test_tokens_fit_sagemakers_bounds() -> None:
    assert 32 <= len(episode().token) <= 128


def test_an_outcome_is_kept_until_there_is_a_newer_one() -> None:
    moved = episode().moved(Status.STARTED, START, "first").moved(Status.CANDIDATE, START)
    assert moved.outcome == "first"
    assert moved.moved(Status.REJECTED, START, "second").outcome == "second"


def test_a_refusal_is_closed_when_it_is_opened() -> None:
    refused = open_episode(request(), Status.REFUSED, "cooled_down", "too early")
    assert (refused.closed_at, refused.outcome, refused.rule) == (START, "too early", "cooled_down")
