"""What holds for every history, request and moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from driftloop.retraining.decision import ASKED_AGAIN, Decision, Policy, Verdict, decide
from driftloop.retraining.episode import Episode, Status, Trigger, open_episode
from driftloop.retraining.evidence import NOTHING, Evidence, Pause
from tests.fakes.examples import START, request
from tests.unit.retraining.cases import DAY, ENDS, HOUR, OPEN, POLICY, SECOND, ask, asked, run, watch

FOR_THOSE_WHO_CAN_WAIT = {"served", "of_this_version", "hopeful", "cooled_down", "backed_off", "learned_enough"}
NEVER_RAN = [Status.REFUSED, Status.DEFERRED, Status.MERGED]
HOURS = st.integers(0, 24 * 40).map(lambda hours: hours * HOUR)
TRIGGERS = st.sampled_from(list(Trigger))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Small budgets, so that they are met."""
    return replace(
        POLICY,
        on=frozenset(draw(st.sets(TRIGGERS))) | {Trigger.MANUAL},
        cooldown=draw(st.integers(0, 200)) * HOUR,
        per_day=draw(st.integers(0, 4)),
        per_month=draw(st.integers(0, 9)),
        new_rows=draw(st.sampled_from([0, 50])),
        give_up_after=draw(st.integers(1, 6)),
        cost=1.0,
        cost_per_month=draw(st.sampled_from([None, 4.0])),
    )


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Everything that may be known, mostly nothing."""
    counts = draw(st.lists(st.integers(0, 30), max_size=5))
    labelled = {START - (n + 1) * DAY: rows for n, rows in enumerate(counts)}
    seen = watch(draw(st.sampled_from(["stable", "broken upstream"])), draw(HOURS), labelled)
    return Evidence(
        champion_since=draw(st.none() | HOURS.map(lambda age: START - age)),
        champion_version=draw(st.sampled_from([None, 0, 3])),
        pause=draw(st.sampled_from([None, None, None, Pause("ann", START, "why")])),
        watch=draw(st.sampled_from([None, seen])),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Episode]:
    """Episodes one after the other; the last one may still run, and some requests came to nothing."""
    made, end = [], START
    for status in draw(st.lists(st.sampled_from([*ENDS, *NEVER_RAN]), max_size=8)):
        lasted, apart = draw(st.integers(0, 30)) * HOUR, draw(st.integers(0, 200)) * HOUR
        opened = end - apart - lasted
        if status in NEVER_RAN:
            made.append(open_episode(request(cause=str(opened), at=opened), status, "x"))
        else:
            made.append(run(status, opened, opened + lasted, opened + lasted / 2))
        end = opened
    if draw(st.integers(0, 9)) == 0:
        made.append(run(draw(st.sampled_from(OPEN)), START - HOUR))
    return made


@given(policies(), histories(), evidences(), TRIGGERS)
def test_waiting_until_the_time_that_was_named_is_enough(
    policy: Policy, episodes: list[Episode], evidence: Evidence, trigger: Trigger
) -> None:
    def at(now: datetime) -> Decision:
        return ask(*episodes, trigger=trigger, policy=policy, evidence=evidence, at=now, now=now)

    decision = at(START)
    if decision.until is not None:
        assert decision.until > START
        assert at(decision.until).rule != decision.rule
        early = at(decision.until - SECOND)
        assert (early.rule, early.until) == (decision.rule, decision.until)


@given(policies(), histories(), evidences(), TRIGGERS)
def test_who_waits_and_who_does_not(
    policy: Policy, episodes: list[Episode], evidence: Evidence, trigger: Trigger
) -> None:
    decision = ask(*episodes, trigger=trigger, policy=policy, evidence=evidence)
    if decision.verdict is Verdict.WAIT:
        assert trigger in ASKED_AGAIN
    if trigger is Trigger.MANUAL:
        assert decision.rule not in FOR_THOSE_WHO_CAN_WAIT | {"wanted"}
    assert decision.reason
    assert (decision.verdict is Verdict.START) == (decision.rule == "start") == decision.start
    assert (decision.verdict is Verdict.MERGE) == bool(decision.into)


@given(policies(), histories(), evidences(), TRIGGERS)
def test_one_at_a_time(policy: Policy, episodes: list[Episode], evidence: Evidence, trigger: Trigger) -> None:
    if any(not episode.status.is_final for episode in episodes):
        assert not ask(*episodes, trigger=trigger, policy=policy, evidence=evidence).start


@given(policies(), histories(), evidences(), TRIGGERS, st.randoms(use_true_random=False))
def test_the_order_in_which_the_ledger_is_read_does_not_matter(
    policy: Policy, episodes: list[Episode], evidence: Evidence, trigger: Trigger, random: object
) -> None:
    shuffled = list(episodes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = ask(*episodes, trigger=trigger, policy=policy, evidence=evidence)
    assert ask(*shuffled, trigger=trigger, policy=policy, evidence=evidence) == one


@dataclass(frozen=True)
class _Step:
    """Somebody asks after some time; if a retraining starts, it is under way for some time and then ends."""

    wait: timedelta
    trigger: Trigger
    on_the_way: timedelta
    start_takes: timedelta
    lasts: timedelta
    end: Status


STEPS = st.builds(
    _Step,
    st.integers(0, 60).map(lambda hours: hours * HOUR),
    TRIGGERS,
    st.integers(-50, 50).map(lambda hours: hours * HOUR),
    st.integers(0, 10).map(lambda hours: hours * HOUR),
    st.integers(0, 10).map(lambda hours: hours * HOUR),
    st.sampled_from(ENDS),
)


@given(policies(), st.lists(STEPS, max_size=40))
def test_no_sequence_of_requests_exceeds_the_budget(policy: Policy, steps: list[_Step]) -> None:
    policy = replace(policy, on=frozenset(Trigger), cooldown=timedelta(0), give_up_after=100)
    episodes: list[Episode] = []
    now = START
    for number, step in enumerate(steps):
        now += step.wait
        wanted = replace(asked(step.trigger, now - step.on_the_way), cause=str(number))
        decision = decide(policy, episodes, wanted, now, NOTHING)
        if decision.start:
            begun = now + step.start_takes
            now = begun + step.lasts
            episodes.append(run(step.end, begun - step.start_takes, now, begun))
    begun_at = sorted(episode.begun_at for episode in episodes)
    for period, budget in ((DAY, policy.per_day), (30 * DAY, policy.per_month)):
        for place, first in enumerate(begun_at):
            assert sum(first <= moment < first + period for moment in begun_at[place:]) <= budget
    if policy.cost_per_month is not None:
        for place, first in enumerate(begun_at):
            spent = sum(first <= moment < first + 30 * DAY for moment in begun_at[place:])
            assert spent * policy.cost <= policy.cost_per_month
