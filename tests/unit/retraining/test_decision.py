"""May this retraining start? Each rule with both sides of its boundary; and which data it would train on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.monitoring.report import Verdict as WindowVerdict
from driftloop.retraining.decision import Decision, Policy, Verdict, training_windows
from driftloop.retraining.episode import Status, Trigger, open_episode
from driftloop.retraining.evidence import Evidence, Pause
from tests.fakes.examples import START, request
from tests.unit.retraining.cases import DAY, ENDS, HOUR, OPEN, POLICY, SECOND, ask, ended, run, watch

ALARMS = [Trigger.DRIFT, Trigger.QUALITY]
BY_ITSELF = [trigger for trigger in Trigger if trigger is not Trigger.MANUAL]
NEVER_RAN = [Status.REFUSED, Status.DEFERRED, Status.MERGED]


def _too_early(trigger: Trigger) -> Verdict:
    """What is asked once cannot wait: nobody would ask again."""
    return Verdict.REFUSE if trigger in (Trigger.SCHEDULE, Trigger.MANUAL) else Verdict.WAIT


@pytest.mark.parametrize("trigger", list(Trigger))
def test_nothing_objects(trigger: Trigger) -> None:
    decision = ask(trigger=trigger)
    assert decision == Decision(Verdict.START, "start", f"{trigger}: threshold crossed", None, "")
    assert decision.start


class TestWanted:
    @pytest.mark.parametrize("trigger", BY_ITSELF)
    def test_the_model_file_does_not_listen_to_it(self, trigger: Trigger) -> None:
        policy = replace(POLICY, on=frozenset(Trigger) - {trigger})
        decision = ask(trigger=trigger, policy=policy)
        assert decision == Decision(Verdict.REFUSE, "wanted", f"the model file does not retrain on {trigger}")
        assert not decision.start
        assert all(ask(trigger=other, policy=policy).start for other in Trigger if other is not trigger)


class TestFresh:
    @pytest.mark.parametrize("sign", [1, -1], ids=["past", "future"])
    def test_two_days_either_way(self, sign: int) -> None:
        assert ask(at=START - sign * 2 * DAY).start
        at = START - sign * (2 * DAY + SECOND)
        reason = f"the request is from {at:%Y-%m-%dT%H:%M:%S}Z, more than 2 days from now"
        assert ask(at=at) == Decision(Verdict.REFUSE, "fresh", reason)

    @pytest.mark.parametrize("year", [1, 1970, 2020, 2033, 9999])
    def test_years_from_now(self, year: int) -> None:
        assert ask(at=START.replace(year=year)).rule == "fresh"


class TestServed:
    def test_a_schedule_does_not_ask_for_the_first_version(self) -> None:
        reason = "no version serves yet; the first one is asked for by hand"
        decision = ask(trigger=Trigger.SCHEDULE, evidence=Evidence(champion_version=0))
        assert decision == Decision(Verdict.REFUSE, "served", reason)

    @pytest.mark.parametrize("version", [None, 1, 7])
    def test_it_asks_once_some_version_serves_or_that_is_not_known(self, version: int | None) -> None:
        assert ask(trigger=Trigger.SCHEDULE, evidence=Evidence(champion_version=version)).start

    @pytest.mark.parametrize("trigger", [trigger for trigger in Trigger if trigger is not Trigger.SCHEDULE])
    def test_others_know_what_they_do(self, trigger: Trigger) -> None:
        assert ask(trigger=trigger, evidence=Evidence(champion_version=0)).start


class TestResumed:
    @pytest.mark.parametrize("trigger", list(Trigger))
    def test_a_pause_holds_for_everybody(self, trigger: Trigger) -> None:
        pause = Pause("ann@example.com", START - 9 * DAY, "stock-taking")
        reason = "paused by ann@example.com since 2026-02-21T00:00:00Z: stock-taking; driftloop resume ends it"
        evidence = Evidence(pause=pause)
        assert ask(trigger=trigger, evidence=evidence) == Decision(Verdict.REFUSE, "resumed", reason)


class TestAlone:
    @pytest.mark.parametrize("status", OPEN)
    @pytest.mark.parametrize("trigger", list(Trigger))
    def test_what_runs_answers_the_request(self, status: Status, trigger: Trigger) -> None:
        running = run(status, START - 20 * DAY)
        decision = ask(running, trigger=trigger)
        reason = f"episode {running.id} is still {status}"
        if trigger is Trigger.CODE:  # it runs with the code before the change
            assert decision == Decision(Verdict.WAIT, "alone", reason)
        else:
            assert decision == Decision(Verdict.MERGE, "alone", f"{reason} and answers this", into=running.id)

    @pytest.mark.parametrize("status", [*ENDS, *NEVER_RAN])
    def test_what_has_ended_is_not_in_the_way(self, status: Status) -> None:
        over = (
            open_episode(request(at=START - 20 * DAY), status, "x") if status in NEVER_RAN else ended(status, 20 * DAY)
        )
        assert ask(over).start

    def test_the_oldest_one_answers(self) -> None:
        old, new = run(Status.CANDIDATE, START - 9 * DAY), run(Status.REQUESTED, START - DAY)
        assert ask(new, ended(Status.FAILED, 20 * DAY), old).into == old.id


class TestSound:
    REASON = "the feed is broken upstream and a retraining would learn the fault: delay is missing; line is constant"

    @pytest.mark.parametrize("trigger", list(Trigger))
    def test_a_broken_feed_teaches_nothing(self, trigger: Trigger) -> None:
        evidence = Evidence(watch=watch("broken upstream"))
        assert ask(trigger=trigger, evidence=evidence) == Decision(Verdict.REFUSE, "sound", self.REASON)

    def test_a_verdict_counts_as_long_as_an_alarm_looks_back(self) -> None:
        assert POLICY.span == 4 * DAY + HOUR
        assert ask(evidence=Evidence(watch=watch("broken upstream", POLICY.span))).rule == "sound"
        assert ask(evidence=Evidence(watch=watch("broken upstream", POLICY.span + SECOND))).start

    @pytest.mark.parametrize("verdict", ["stable", "shifted", "not enough data", ""])
    def test_other_verdicts_are_no_fault(self, verdict: str) -> None:
        assert ask(evidence=Evidence(watch=watch(verdict))).start

    def test_it_is_the_word_of_the_reports(self) -> None:
        assert ask(evidence=Evidence(watch=watch(str(WindowVerdict.BROKEN_UPSTREAM)))).rule == "sound"


class TestOfThisVersion:
    SINCE = START - 4 * DAY - HOUR
    """Three windows of a day, the one that was begun, and an hour until it is judged."""

    @pytest.mark.parametrize("trigger", ALARMS)
    def test_an_alarm_may_tell_of_the_version_before(self, trigger: Trigger) -> None:
        evidence = Evidence(self.SINCE + SECOND, 7)
        until = START + SECOND
        reason = "the alarm may tell of windows before version 7 until 2026-03-02T00:00:01Z"
        decision = ask(trigger=trigger, evidence=evidence)
        assert decision == Decision(Verdict.WAIT, "of_this_version", reason, until)

    @pytest.mark.parametrize("trigger", ALARMS)
    def test_until_all_its_windows_are_the_champions(self, trigger: Trigger) -> None:
        assert ask(trigger=trigger, evidence=Evidence(self.SINCE, 7)).start

    @pytest.mark.parametrize("trigger", [trigger for trigger in Trigger if trigger not in ALARMS])
    def test_other_requests_have_nothing_to_do_with_it(self, trigger: Trigger) -> None:
        assert ask(trigger=trigger, evidence=Evidence(START, 7)).start


class TestHopeful:
    POLICY = replace(POLICY, give_up_after=3, cooldown=timedelta(0))
    VAIN = (Status.REJECTED, Status.FAILED, Status.ROLLED_BACK)

    @pytest.mark.parametrize("trigger", BY_ITSELF)
    def test_retrainings_that_brought_nothing_end_in_a_question_to_a_person(self, trigger: Trigger) -> None:
        vain = [ended(status, (9 - place) * DAY) for place, status in enumerate(self.VAIN)]
        reason = "3 retrainings in a row brought nothing: a person should look, and can start one by hand"
        decision = ask(*vain, trigger=trigger, policy=self.POLICY)
        assert decision == Decision(Verdict.REFUSE, "hopeful", reason)
        assert ask(*vain[1:], trigger=trigger, policy=self.POLICY).start
        assert ask(*vain, trigger=Trigger.MANUAL, policy=self.POLICY).start

    @pytest.mark.parametrize(("days_ago", "start"), [(10, False), (8.5, True), (6, True)])
    def test_only_those_after_the_last_success_count(self, days_ago: float, start: bool) -> None:
        vain = [ended(status, (9 - place) * DAY) for place, status in enumerate(self.VAIN)]
        success = ended(Status.PROMOTED, days_ago * DAY)
        assert ask(success, *vain, policy=self.POLICY).start is start

    @pytest.mark.parametrize("trigger", list(Trigger))
    @pytest.mark.parametrize("status", VAIN)
    def test_a_scheduled_challenger_that_is_no_better_is_good_news(self, trigger: Trigger, status: Status) -> None:
        vain = [ended(Status.FAILED, n * DAY) for n in (9, 8)]
        good_news = (trigger, status) == (Trigger.SCHEDULE, Status.REJECTED)
        third = replace(ended(status, 7 * DAY), trigger=trigger)
        assert ask(*vain, third, policy=self.POLICY).rule == ("start" if good_news else "hopeful")
        later = ended(Status.FAILED, 6 * DAY)
        assert ask(vain[0], third, later, policy=self.POLICY).start is good_news
        # It does not end the row, either.
        assert ask(*vain, third, later, policy=self.POLICY).rule == "hopeful"

    def test_requests_without_a_retraining_do_not_count(self) -> None:
        unstarted = [open_episode(request(at=START - HOUR), status, "x") for status in NEVER_RAN]
        vain = [ended(Status.REJECTED, n * DAY) for n in (8, 9)]
        assert ask(*unstarted, *vain, policy=self.POLICY).start
        assert ask(*unstarted, *vain, ended(Status.REJECTED, 7 * DAY), policy=self.POLICY).rule == "hopeful"


class TestCooledDown:
    @pytest.mark.parametrize("status", ENDS)
    @pytest.mark.parametrize("trigger", BY_ITSELF)
    def test_it_counts_from_the_end_of_the_last_episode(self, status: Status, trigger: Trigger) -> None:
        end = START - 3 * DAY + SECOND
        last = run(status, START - 9 * DAY, end)
        reason = "cooldown after the last episode until 2026-03-02T00:00:01Z"
        expected = Decision(_too_early(trigger), "cooled_down", reason, START + SECOND)
        assert ask(last, trigger=trigger) == expected
        assert ask(run(status, START - 9 * DAY, end - SECOND), trigger=trigger).start

    def test_the_latest_end_counts_and_not_the_latest_opening(self) -> None:
        overlong = run(Status.PROMOTED, START - 30 * DAY, START - DAY)
        assert ask(overlong, ended(Status.PROMOTED, 9 * DAY)).until == START + 2 * DAY

    def test_people_need_not_wait(self) -> None:
        assert ask(ended(Status.PROMOTED, HOUR), trigger=Trigger.MANUAL).start

    @pytest.mark.parametrize("status", NEVER_RAN)
    def test_a_request_without_a_retraining_starts_none(self, status: Status) -> None:
        assert ask(open_episode(request(at=START - HOUR), status, "x")).start

    def test_an_end_of_which_nobody_knows_the_time_is_no_obstacle(self) -> None:
        assert ask(replace(ended(Status.FAILED, HOUR), closed_at=None)).start


class TestBackedOff:
    def _vain(self, number: int, last: timedelta) -> list[Decision]:
        """Decisions about all triggers after some retrainings that brought nothing; the last ended some time ago."""
        episodes = [ended(Status.REJECTED, last + n * DAY / 2) for n in range(number)]
        return [ask(*episodes, trigger=trigger) for trigger in BY_ITSELF]

    @pytest.mark.parametrize(("number", "days"), [(2, 6), (3, 12), (4, 24), (5, 30), (9, 30)])
    def test_the_cooldown_doubles_up_to_a_month(self, number: int, days: int) -> None:
        reason = f"{number} retrainings in a row brought nothing: back-off until 2026-03-02T00:00:01Z"
        for trigger, decision in zip(BY_ITSELF, self._vain(number, days * DAY - SECOND), strict=True):
            assert decision == Decision(_too_early(trigger), "backed_off", reason, START + SECOND)
        assert all(decision.start for decision in self._vain(number, days * DAY))

    def test_one_failure_costs_the_cooldown_only(self) -> None:
        assert all(decision.start for decision in self._vain(1, 3 * DAY))

    def test_a_success_ends_it(self) -> None:
        vain = [ended(Status.FAILED, n * DAY) for n in (6, 7, 8)]
        assert ask(*vain, ended(Status.PROMOTED, 4 * DAY)).start
        assert ask(*vain, ended(Status.PROMOTED, 9 * DAY)).rule == "backed_off"

    def test_a_scheduled_challenger_that_is_no_better_lengthens_nothing(self) -> None:
        scheduled = replace(ended(Status.REJECTED, 4 * DAY), trigger=Trigger.SCHEDULE)
        assert ask(ended(Status.FAILED, 5 * DAY), scheduled).start
        assert ask(ended(Status.FAILED, 5 * DAY), replace(scheduled, trigger=Trigger.DRIFT)).rule == "backed_off"

    def test_people_need_not_wait(self) -> None:
        assert ask(*[ended(Status.FAILED, n * HOUR) for n in range(9)], trigger=Trigger.MANUAL).start

    def test_an_end_of_which_nobody_knows_the_time_is_no_obstacle(self) -> None:
        unknown = replace(ended(Status.FAILED, 4 * DAY), closed_at=None)
        assert ask(ended(Status.FAILED, 5 * DAY), unknown).start
        before = replace(ended(Status.FAILED, 5 * DAY), closed_at=None)
        assert ask(ended(Status.FAILED, 6 * DAY), before, ended(Status.FAILED, 4 * DAY)).rule == "backed_off"


class TestLearnedEnough:
    POLICY = replace(POLICY, new_rows=100)
    LAST = ended(Status.PROMOTED, 10 * DAY)
    """It used rows up to the 19th of February: opened on the 20th, and labels take twelve hours."""
    KNOWN = datetime(2026, 2, 19, tzinfo=UTC)

    @pytest.mark.parametrize("trigger", BY_ITSELF)
    def test_rows_that_no_retraining_has_seen(self, trigger: Trigger) -> None:
        labelled = {self.KNOWN - DAY: 1000, self.KNOWN: 60, self.KNOWN + DAY: 39}
        evidence = Evidence(watch=watch(labelled=labelled))
        decision = ask(self.LAST, trigger=trigger, policy=self.POLICY, evidence=evidence)
        reason = "99 labelled rows are new since 2026-02-19T00:00:00Z and 100 are needed"
        assert decision == Decision(_too_early(trigger), "learned_enough", reason)
        evidence = Evidence(watch=watch(labelled=labelled | {self.KNOWN + 2 * DAY: 1}))
        assert ask(self.LAST, trigger=trigger, policy=self.POLICY, evidence=evidence).start

    def test_the_last_retraining_counts_and_no_unstarted_request(self) -> None:
        labelled = {self.KNOWN: 100, self.KNOWN + 4 * DAY: 99}
        evidence = Evidence(watch=watch(labelled=labelled))
        later = ended(Status.PROMOTED, 6 * DAY)
        assert ask(self.LAST, later, policy=self.POLICY, evidence=evidence).reason.startswith("99 labelled rows")
        refused = open_episode(request(at=START - DAY), Status.REFUSED, "x")
        assert ask(self.LAST, refused, policy=self.POLICY, evidence=evidence).start

    def test_before_the_first_retraining_all_rows_are_new(self) -> None:
        labelled = {START - 80 * DAY: 60, START - DAY: 39}
        decision = ask(policy=self.POLICY, evidence=Evidence(watch=watch(labelled=labelled)))
        assert decision.reason == "99 labelled rows are new since 2025-12-12T00:00:00Z and 100 are needed"
        assert ask(policy=self.POLICY, evidence=Evidence(watch=watch(labelled={START: 100}))).start

    def test_no_labelled_row_at_all(self) -> None:
        decision = ask(policy=self.POLICY, evidence=Evidence(watch=watch()))
        assert decision.reason == "0 labelled rows are new since 2026-03-02T00:00:00Z and 100 are needed"

    def test_people_need_no_new_rows(self) -> None:
        assert ask(trigger=Trigger.MANUAL, policy=self.POLICY, evidence=Evidence(watch=watch())).start

    def test_a_model_file_that_asks_for_none(self) -> None:
        assert ask(self.LAST, evidence=Evidence(watch=watch())).start
        assert ask(self.LAST, policy=replace(POLICY, new_rows=1), evidence=Evidence(watch=watch())).until is None

    @pytest.mark.parametrize("trigger", [trigger for trigger in BY_ITSELF if trigger is not Trigger.DATA])
    def test_where_monitoring_has_seen_nothing_yet_alarms_and_schedules_are_believed(self, trigger: Trigger) -> None:
        assert ask(self.LAST, trigger=trigger, policy=self.POLICY).start

    def test_new_data_are_not_believed_unseen(self) -> None:
        decision = ask(self.LAST, trigger=Trigger.DATA, policy=self.POLICY)
        reason = "no window has been judged yet, so no new labelled rows are known"
        assert decision == Decision(Verdict.WAIT, "learned_enough", reason)


def _limited(key: str, budget: int) -> Policy:
    limits: dict[str, Any] = {key: budget}
    return replace(POLICY, cooldown=timedelta(0), **limits)


@pytest.mark.parametrize(
    ("rule", "period", "words", "key"),
    [("within_day", DAY, "a day", "per_day"), ("within_month", 30 * DAY, "30 days", "per_month")],
)
class TestBudget:
    def _ask(self, key: str, budget: int, *ages: timedelta, trigger: Trigger = Trigger.MANUAL) -> Decision:
        policy = _limited(key, budget)
        return ask(*[ended(Status.FAILED, age) for age in ages], trigger=trigger, policy=policy)

    @pytest.mark.parametrize("trigger", list(Trigger))
    def test_it_holds_for_everybody(self, rule: str, period: timedelta, words: str, key: str, trigger: Trigger) -> None:
        decision = self._ask(key, 2, HOUR, period - SECOND, trigger=trigger)
        reason = f"2 retrainings in {words} are the budget of 2: until 2026-03-02T00:00:01Z"
        assert decision == Decision(_too_early(trigger), rule, reason, START + SECOND)
        assert self._ask(key, 2, HOUR, period, trigger=trigger).start
        assert self._ask(key, 3, HOUR, period - SECOND, trigger=trigger).start

    def test_a_budget_that_was_lowered(self, rule: str, period: timedelta, words: str, key: str) -> None:
        """Three are spent and two are allowed: the second last must be out of sight."""
        decision = self._ask(key, 2, HOUR, period / 2, period - SECOND)
        assert decision.reason.startswith(f"3 retrainings in {words} are the budget of 2: until ")
        assert (decision.rule, decision.until) == (rule, START + period / 2)
        decision = self._ask(key, 2, HOUR, period / 2, period)
        assert decision.reason.startswith(f"2 retrainings in {words} are the budget of 2: until ")

    def test_a_budget_of_nothing(self, rule: str, period: timedelta, words: str, key: str) -> None:
        reason = f"the model file's budget is 0 retrainings in {words}"
        assert self._ask(key, 0) == Decision(Verdict.REFUSE, rule, reason)
        assert self._ask(key, 0, HOUR) == Decision(Verdict.REFUSE, rule, reason)

    @pytest.mark.parametrize("status", NEVER_RAN)
    def test_a_request_without_a_retraining_is_free(
        self, rule: str, period: timedelta, words: str, key: str, status: Status
    ) -> None:
        free = [open_episode(request(cause=str(n), at=START - n * HOUR), status, "x") for n in range(9)]
        assert ask(*free, policy=_limited(key, 1)).start

    def test_it_is_spent_when_the_pipeline_starts(self, rule: str, period: timedelta, words: str, key: str) -> None:
        """An episode may be opened long before: the start was throttled, or its function had died."""
        opened = START - period - 9 * HOUR
        late = run(Status.FAILED, opened, ended=START - HOUR, begun=START - period + SECOND)
        policy = _limited(key, 1)
        assert ask(late, policy=policy).until == START + SECOND
        early = run(Status.FAILED, opened, ended=START - HOUR, begun=START - period)
        assert ask(early, policy=policy).start

    def test_the_times_of_the_starts_count_in_their_own_order(
        self, rule: str, period: timedelta, words: str, key: str
    ) -> None:
        late = run(Status.FAILED, START - period / 2, ended=START - HOUR, begun=START - HOUR)
        policy = _limited(key, 1)
        assert ask(late, ended(Status.FAILED, period / 3), policy=policy).until == START - HOUR + period


class TestAffordable:
    POLICY = replace(POLICY, cooldown=timedelta(0), cost=2.5, cost_per_month=10.0)

    def _ask(self, runs: int, age: timedelta = 20 * DAY, trigger: Trigger = Trigger.DRIFT) -> Decision:
        return ask(
            *[ended(Status.REJECTED, age + n * SECOND) for n in range(runs)], policy=self.POLICY, trigger=trigger
        )

    @pytest.mark.parametrize("trigger", list(Trigger))
    def test_the_next_one_must_still_fit(self, trigger: Trigger) -> None:
        assert self._ask(3, trigger=trigger).start
        reason = "4 retrainings in 30 days cost about 10.00; one more for 2.50 exceeds 10.00"
        assert self._ask(4, trigger=trigger) == Decision(Verdict.REFUSE, "affordable", reason)

    def test_those_of_the_last_thirty_days_count(self) -> None:
        assert self._ask(4, 30 * DAY - 4 * SECOND).rule == "affordable"
        assert self._ask(4, 30 * DAY - 3 * SECOND).start  # the oldest was thirty days ago

    def test_it_is_paid_when_the_pipeline_starts(self) -> None:
        late = run(Status.FAILED, START - 40 * DAY, ended=START - HOUR, begun=START - 29 * DAY)
        assert ask(late, policy=replace(self.POLICY, cost_per_month=2.5)).rule == "affordable"
        early = run(Status.FAILED, START - 40 * DAY, ended=START - HOUR, begun=START - 30 * DAY)
        assert ask(early, policy=replace(self.POLICY, cost_per_month=2.5)).start

    def test_without_a_limit_nothing_is_too_dear(self) -> None:
        dear = replace(self.POLICY, cost=1e9, cost_per_month=None)
        assert ask(ended(Status.REJECTED, HOUR), policy=dear).start

    def test_a_limit_of_nothing(self) -> None:
        decision = ask(policy=replace(self.POLICY, cost_per_month=0.0))
        assert decision.reason == "0 retrainings in 30 days cost about 0.00; one more for 2.50 exceeds 0.00"

    @pytest.mark.parametrize(
        ("cost", "limit", "allowed"),
        [(0.1, 0.3, 3), (1.1, 3.3, 3), (0.7, 4.9, 7), (0.01, 0.29, 29), (0.3333334, 1.0, 3)],
    )
    def test_cents_add_up_as_people_add_them(self, cost: float, limit: float, allowed: int) -> None:
        policy = replace(self.POLICY, cost=cost, cost_per_month=limit)
        before = [ended(Status.REJECTED, 20 * DAY + n * HOUR) for n in range(allowed)]
        assert ask(*before[:-1], policy=policy).start
        assert ask(*before, policy=policy).rule == "affordable"


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
