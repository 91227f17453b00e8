"""Episodes, evidence and requests to decide about."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from driftloop.retraining.decision import Decision, Policy, decide
from driftloop.retraining.episode import Episode, Request, Status, Trigger, open_episode
from driftloop.retraining.evidence import NOTHING, Evidence, Watch
from tests.fakes.examples import START, request, spec

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
POLICY = replace(
    Policy.from_spec(spec()),
    on=frozenset(Trigger),
    per_day=100,
    per_month=100,
    give_up_after=100,
)
"""Nothing but the cooldown of three days is in the way."""
ON_THE_WAY = (Status.STARTED, Status.CANDIDATE, Status.APPROVED, Status.ROLLING_OUT)
PATHS = {
    Status.REQUESTED: (),
    **{status: ON_THE_WAY[: place + 1] for place, status in enumerate(ON_THE_WAY)},
    Status.FAILED: (Status.STARTED, Status.FAILED),
    Status.REJECTED: (Status.STARTED, Status.REJECTED),
    Status.PROMOTED: (*ON_THE_WAY, Status.PROMOTED),
    Status.ROLLED_BACK: (*ON_THE_WAY, Status.ROLLED_BACK),
}
"""Status of a retraining -> the moves that lead to it."""
OPEN = [status for status in PATHS if not status.is_final]
ENDS = [status for status in PATHS if status.is_final]


def run(status: Status, opened: datetime, ended: datetime | None = None, begun: datetime | None = None) -> Episode:
    """A retraining; without other times everything happens in the moment in which it was opened."""
    made = open_episode(request(cause=f"{status}@{opened}", at=opened), Status.REQUESTED, "start")
    for step in PATHS[status]:
        made = made.moved(step, (begun or opened) if step is Status.STARTED else (ended or opened))
    return made


def ended(status: Status, ago: timedelta) -> Episode:
    """A retraining that was over in no time."""
    return run(status, START - ago)


def asked(trigger: Trigger = Trigger.DRIFT, at: datetime = START) -> Request:
    """A request for a retraining."""
    return request(trigger, "asked", at)


def ask(
    *episodes: Episode,
    trigger: Trigger = Trigger.DRIFT,
    policy: Policy = POLICY,
    evidence: Evidence = NOTHING,
    at: datetime = START,
    now: datetime = START,
) -> Decision:
    """The decision about one request."""
    return decide(policy, episodes, asked(trigger, at), now, evidence)


def watch(verdict: str = "stable", age: timedelta = HOUR, labelled: dict[datetime, int] | None = None) -> Watch:
    """What monitoring saw of a window that ended some time ago."""
    return Watch(START - age, 4, verdict, ("delay is missing", "line is constant"), labelled or {})
