"""May this retraining start? Each rule, and the order of the rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.retraining.decision import Decision, Policy, decide, training_windows
from driftloop.retraining.episode import Episode, Status, Trigger
from tests.fakes.examples import START, episode, request, spec

POLICY = Policy.from_spec(spec())
DAY = timedelta(days=1)


def _ended(status: Status, days_ago: float, lasted: float = 0.1) -> Episode:
    opened = START - timedelta(days=days_ago)
    path = {
        Status.FAILED: (Status.FAILED,),
        Status.REJECTED: (Status.STARTED, Status.REJECTED),
        Status.PROMOTED: (Status.STARTED, Status.CANDIDATE, Status.ROLLING_OUT, Status.PROMOTED),
        Status.CANDIDATE: (Status.STARTED, Status.CANDIDATE),
        Status.STARTED: (Status.STARTED,),
        Status.REQUESTED: (),
    }
    made = episode(at=opened, cause=f"{status}@{days_ago}")
    for step in path[status]:
        made = made.moved(step, opened + timedelta(days=lasted))
    return made


def _decide(*episodes: Episode, trigger: Trigger = Trigger.DRIFT, at: datetime = START) -> Decision:
    return decide(POLICY, episodes, request(trigger, at=at), START)


def test_nothing_objects() -> None:
    assert _decide() == Decision(True, "start", "drift: threshold crossed")


@pytest.mark.parametrize(
    ("trigger", "start"),
    [(Trigger.DRIFT, True), (Trigger.QUALITY, True), (Trigger.MANUAL, True), (Trigger.SCHEDULE, False)],
)
def test_only_wanted_triggers(trigger: Trigger, start: bool) -> None:
    decision = _decide(trigger=trigger)
    assert decision.start is start
    assert decision.rule == ("start" if start else "wanted")
    assert start or decision.reason == "the model file does not retrain on schedule"


@pytest.mark.parametrize(("days", "start"), [(0, True), (2, True), (2.01, False), (-2, True), (-2.01, False)])
def test_only_fresh_requests(days: float, start: bool) -> None:
    decision = _decide(at=START - timedelta(days=days))
    assert decision.start is start
    assert start or decision.rule == "fresh"


@pytest.mark.parametrize("status", [Status.REQUESTED, Status.STARTED, Status.CANDIDATE])
def test_one_at_a_time(status: Status) -> None:
    running = _ended(status, 20)
    for trigger in (Trigger.DRIFT, Trigger.MANUAL):
        decision = _decide(running, trigger=trigger)
        assert (decision.start, decision.rule) == (False, "alone")
        assert decision.reason == f"episode {running.id} is still {status}"


@pytest.mark.parametrize("status", [Status.PROMOTED, Status.REJECTED, Status.FAILED])
@pytest.mark.parametrize(("days_ago", "start"), [(3.05, False), (3.2, True)])
def test_cooldown_counts_from_the_end_of_the_last_episode(status: Status, days_ago: float, start: bool) -> None:
    decision = _decide(_ended(status, days_ago, lasted=0.1))  # three days of cooldown
    assert decision.start is start
    assert start or decision.rule == "cooled_down"


def test_people_need_not_wait_for_the_cooldown() -> None:
    assert _decide(_ended(Status.PROMOTED, 0.5), trigger=Trigger.MANUAL).start


def test_a_refusal_starts_no_cooldown_and_costs_nothing() -> None:
    refused = [episode(Status.REFUSED, START - number * DAY / 4, str(number)) for number in range(9)]
    assert _decide(*refused).start


def test_the_budget_of_thirty_days() -> None:
    spent = [_ended(Status.REJECTED, 29), _ended(Status.FAILED, 10)]
    for trigger in (Trigger.DRIFT, Trigger.MANUAL):
        decision = _decide(*spent, trigger=trigger)
        assert (decision.start, decision.rule) == (False, "within_budget")
        assert "used up the budget of 2" in decision.reason
    assert _decide(_ended(Status.REJECTED, 31), spent[1]).start


def test_the_first_objection_decides() -> None:
    running = _ended(Status.STARTED, 1)
    old = START - 5 * DAY
    assert _decide(running, trigger=Trigger.SCHEDULE, at=old).rule == "wanted"
    assert _decide(running, at=old).rule == "fresh"
    assert _decide(running, _ended(Status.FAILED, 2), _ended(Status.FAILED, 9)).rule == "alone"
    assert _decide(_ended(Status.FAILED, 2), _ended(Status.FAILED, 9)).rule == "cooled_down"


@given(st.permutations([_ended(Status.REJECTED, 29), _ended(Status.FAILED, 2), _ended(Status.PROMOTED, 12)]))
def test_the_order_of_episodes_does_not_matter(episodes: list[Episode]) -> None:
    assert _decide(*episodes) == _decide(*reversed(episodes))


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS)
def test_training_windows_end_where_labels_end(now: datetime) -> None:
    windows = training_windows(POLICY, now)
    assert windows.holdout.end <= now - POLICY.label_delay < windows.holdout.end + POLICY.step
    assert windows.training.end == windows.holdout.start
    assert windows.training.end - windows.training.start == POLICY.window
    assert windows.holdout.end - windows.holdout.start == POLICY.holdout
    assert windows.holdout.end.hour == windows.holdout.end.minute == 0


def test_pipeline_parameters() -> None:
    assert training_windows(POLICY, START + timedelta(hours=13)).parameters() == {
        "WindowStart": "2025-12-25T00:00:00Z",
        "WindowEnd": "2026-02-23T00:00:00Z",
        "HoldoutEnd": "2026-03-02T00:00:00Z",
    }
