"""May this retraining start now? A pure function of policy, ledger, evidence and time; every answer has a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Any

from driftloop.data.windows import Window, floor_time, iso
from driftloop.retraining.episode import Episode, Request, Status, Trigger
from driftloop.retraining.evidence import NOTHING, Evidence

DAY = timedelta(days=1)
MONTH = timedelta(days=30)
LOOK_BACK = 3 * MONTH
"""How far back decisions read the ledger."""
STALE = timedelta(days=2)
BROKEN = "broken upstream"
"""The verdict of a drift report that no retraining can answer."""
MAX_BACK_OFF = MONTH
_SETTLING = timedelta(hours=1)
"""From the end of a window to its data point in CloudWatch, with room to spare."""
ALARMS = frozenset({Trigger.DRIFT, Trigger.QUALITY})
ASKED_AGAIN = ALARMS | {Trigger.DATA, Trigger.CODE}
"""Triggers whose cause lasts: the reconciler asks again while it does, so they can be told to wait."""


@dataclass(frozen=True)
class Policy:
    """The ``retraining`` part of a model file, and the windows that training needs."""

    on: frozenset[Trigger]
    cooldown: timedelta
    per_month: int
    approval: str
    window: timedelta
    holdout: timedelta
    label_delay: timedelta
    step: timedelta
    span: timedelta
    """From when a version takes over until an alarm can have seen enough of it to be silent: the windows that it looks
    at, the one that was begun, and the time until that is judged."""
    per_day: int = 2
    cost: float = 0.0
    """Estimated cost of one retraining, in the currency of the budget."""
    cost_per_month: float | None = None
    new_rows: int = 0
    """Labelled rows that must be new since the last retraining, unless a person asks."""
    give_up_after: int = 5
    """Retrainings in a row that brought nothing, after which a person is asked."""

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Policy:
        """Read a compiled model file; one that an older version of the kit deployed lacks the newer fields."""
        retraining, training, monitoring = spec["retraining"], spec["training"], spec["monitoring"]
        budget, step = retraining["budget"], timedelta(seconds=monitoring["window"])
        return cls(
            on=frozenset(Trigger(name) for name in retraining["on"]) | {Trigger.MANUAL},
            cooldown=timedelta(seconds=retraining["cooldown"]),
            per_month=budget["per_month"],
            approval=retraining["approval"],
            window=timedelta(seconds=training["window"]),
            holdout=timedelta(seconds=training["holdout"]),
            label_delay=timedelta(seconds=spec["data"]["label_delay"]),
            step=step,
            span=step * (monitoring["of"] + 1) + _SETTLING,
            per_day=budget.get("per_day", cls.per_day),
            cost=budget.get("cost", cls.cost),
            cost_per_month=budget.get("cost_per_month"),
            new_rows=retraining.get("new_rows") or 0,
            give_up_after=retraining.get("give_up_after", cls.give_up_after),
        )


class Verdict(StrEnum):
    """What becomes of a request."""

    START = "start"
    WAIT = "wait"
    """Not yet: the reconciler asks again, if the cause lasts."""
    MERGE = "merge"
    """Another episode answers it."""
    REFUSE = "refuse"


@dataclass(frozen=True)
class Decision:
    """A verdict, the rule that gave it, and why."""

    verdict: Verdict
    rule: str
    reason: str
    until: datetime | None = None
    """For WAIT, and where the rule knows it for REFUSE: when the same request could start."""
    into: str = ""
    """For MERGE: id of the episode that answers the request."""

    @property
    def start(self) -> bool:
        """True if nothing objects."""
        return self.verdict is Verdict.START


@dataclass(frozen=True)
class _Case:
    """Everything that the rules look at."""

    policy: Policy
    episodes: Sequence[Episode]
    """Oldest first."""
    evidence: Evidence
    request: Request
    now: datetime

    @property
    def by_hand(self) -> bool:
        """A person asks, who need not wait, but spends the same budget."""
        return self.request.trigger is Trigger.MANUAL

    @property
    def runs(self) -> list[Episode]:
        """Retrainings, oldest first."""
        return [episode for episode in self.episodes if episode.ran]

    def not_before(self, until: datetime, reason: str) -> Decision | None:
        """Nothing if the time has come. A cause that lasts may wait; what is asked once is refused."""
        if self.now >= until:
            return None
        verdict = Verdict.WAIT if self.request.trigger in ASKED_AGAIN else Verdict.REFUSE
        return Decision(verdict, "", f"{reason} until {iso(until)}", until)


def decide(
    policy: Policy, episodes: Sequence[Episode], request: Request, now: datetime, evidence: Evidence = NOTHING
) -> Decision:
    """Apply the rules in order; the first that objects decides.

    Args:
        episodes: the model's episodes of the last 90 days, in any order, the requested one not among them.
        evidence: what else is known of the model.
    """
    case = _Case(policy, sorted(episodes, key=lambda episode: episode.opened_at), evidence, request, now)
    for name, rule in RULES.items():
        objection = rule(case)
        if objection:
            return Decision(objection.verdict, name, objection.reason, objection.until, objection.into)
    return Decision(Verdict.START, "start", f"{request.trigger}: {request.reason}")


def _refuse(reason: str) -> Decision:
    return Decision(Verdict.REFUSE, "", reason)


def _wanted(case: _Case) -> Decision | None:
    trigger = case.request.trigger
    return None if trigger in case.policy.on else _refuse(f"the model file does not retrain on {trigger}")


def _fresh(case: _Case) -> Decision | None:
    if abs(case.now - case.request.at) <= STALE:
        return None
    return _refuse(f"the request is from {iso(case.request.at)}, more than {STALE.days} days from now")


def _served(case: _Case) -> Decision | None:
    """The first version needs rows that somebody has brought, and a schedule fires as soon as it is deployed."""
    if case.evidence.champion_version != 0 or case.request.trigger is not Trigger.SCHEDULE:
        return None
    return _refuse("no version serves yet; the first one is asked for by hand")


def _alone(case: _Case) -> Decision | None:
    running = next((episode for episode in case.episodes if not episode.status.is_final), None)
    if running is None:
        return None
    reason = f"episode {running.id} is still {running.status}"
    # What runs was started from the code before the change.
    if case.request.trigger is Trigger.CODE:
        return Decision(Verdict.WAIT, "", reason)
    return Decision(Verdict.MERGE, "", f"{reason} and answers this", into=running.id)


def _resumed(case: _Case) -> Decision | None:
    pause = case.evidence.pause
    if pause is None:
        return None
    return _refuse(f"paused by {pause.by} since {iso(pause.at)}: {pause.reason}; driftloop resume ends it")


def _sound(case: _Case) -> Decision | None:
    watch = case.evidence.watch
    # A verdict that is older than the alarm's windows says nothing about the feed as it is.
    if watch is None or watch.verdict != BROKEN or case.now - watch.window_end > case.policy.span:
        return None
    return _refuse(f"the feed is broken upstream and a retraining would learn the fault: {'; '.join(watch.reasons)}")


def _of_this_version(case: _Case) -> Decision | None:
    since = case.evidence.champion_since
    if since is None or case.request.trigger not in ALARMS:
        return None
    version = case.evidence.champion_version
    return case.not_before(since + case.policy.span, f"the alarm may tell of windows before version {version}")


def _cooled_down(case: _Case) -> Decision | None:
    ended = [episode.closed_at for episode in case.runs if episode.closed_at]
    if case.by_hand or not ended:
        return None
    return case.not_before(max(ended) + case.policy.cooldown, "cooldown after the last episode")


def _backed_off(case: _Case) -> Decision | None:
    """The cooldown doubles with each further retraining in a row that brought nothing."""
    vain = _in_vain(case)
    if case.by_hand or len(vain) < 2 or vain[-1].closed_at is None:
        return None
    pause = min(case.policy.cooldown * 2 ** (len(vain) - 1), MAX_BACK_OFF)
    return case.not_before(vain[-1].closed_at + pause, f"{len(vain)} retrainings in a row brought nothing: back-off")


def _hopeful(case: _Case) -> Decision | None:
    vain = len(_in_vain(case))
    if case.by_hand or vain < case.policy.give_up_after:
        return None
    return _refuse(f"{vain} retrainings in a row brought nothing: a person should look, and can start one by hand")


def _in_vain(case: _Case) -> list[Episode]:
    """The latest retrainings, oldest first, up to the last one that brought a version to the endpoint.

    A challenger of the schedule that is no better says that the champion is still good.
    """
    latest = takewhile(lambda episode: episode.status is not Status.PROMOTED, reversed(case.runs))
    return [e for e in latest if (e.trigger, e.status) != (Trigger.SCHEDULE, Status.REJECTED)][::-1]


def _learned_enough(case: _Case) -> Decision | None:
    """New rows are those of windows that no retraining's data reached."""
    needed, watch = case.policy.new_rows, case.evidence.watch
    if case.by_hand or not needed:
        return None
    if watch is None:
        # Rows that nobody has counted are no objection, but no reason either.
        unseen = Decision(Verdict.WAIT, "", "no window has been judged yet, so no new labelled rows are known")
        return unseen if case.request.trigger is Trigger.DATA else None
    begun = case.runs[-1].opened_at if case.runs else None
    known = training_windows(case.policy, begun).holdout.end if begun else min(watch.labelled, default=case.now)
    rows = watch.labelled_since(known)
    if rows >= needed:
        return None
    return Decision(
        Verdict.WAIT if case.request.trigger in ASKED_AGAIN else Verdict.REFUSE, "",
        f"{rows} labelled rows are new since {iso(known)} and {needed} are needed",
    )  # fmt: skip


def _within_day(case: _Case) -> Decision | None:
    return _within(case, DAY, case.policy.per_day, "a day")


def _within_month(case: _Case) -> Decision | None:
    return _within(case, MONTH, case.policy.per_month, "30 days")


def _within(case: _Case, period: timedelta, budget: int, words: str) -> Decision | None:
    spent = sorted(episode.begun_at for episode in case.runs if episode.begun_at > case.now - period)
    if len(spent) < budget:
        return None
    if not budget:
        return _refuse(f"the model file's budget is 0 retrainings in {words}")
    return case.not_before(spent[-budget] + period, f"{len(spent)} retrainings in {words} are the budget of {budget}:")


def _affordable(case: _Case) -> Decision | None:
    limit, cost = case.policy.cost_per_month, case.policy.cost
    if limit is None:
        return None
    runs = sum(1 for episode in case.runs if episode.begun_at > case.now - MONTH)
    if round((runs + 1) * cost - limit, 6) <= 0:  # cents as people add them
        return None
    return _refuse(
        f"{runs} retrainings in 30 days cost about {runs * cost:.2f}; one more for {cost:.2f} exceeds {limit:.2f}"
    )


Rule = Callable[[_Case], Decision | None]
RULES: Mapping[str, Rule] = {
    "wanted": _wanted,
    "fresh": _fresh,
    "served": _served,
    "resumed": _resumed,
    "alone": _alone,
    "sound": _sound,
    "of_this_version": _of_this_version,
    "hopeful": _hopeful,
    "cooled_down": _cooled_down,
    "backed_off": _backed_off,
    "learned_enough": _learned_enough,
    "within_day": _within_day,
    "within_month": _within_month,
    "affordable": _affordable,
}
"""Name -> rule, in the order in which they are asked."""


@dataclass(frozen=True)
class TrainingWindows:
    """Rows to train on and the more recent rows that are kept for the gate."""

    training: Window
    holdout: Window

    def parameters(self) -> dict[str, str]:
        """Pipeline parameters."""
        return {
            "WindowStart": iso(self.training.start),
            "WindowEnd": iso(self.training.end),
            "HoldoutEnd": iso(self.holdout.end),
        }


def training_windows(policy: Policy, now: datetime) -> TrainingWindows:
    """The most recent windows whose labels can be known."""
    end = floor_time(now - policy.label_delay, policy.step)
    middle = end - policy.holdout
    return TrainingWindows(Window(middle - policy.window, middle), Window(middle, end))
