"""May this retraining start now? A pure function of the policy, the ledger and the time; every answer has a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from driftloop.data.windows import Window, floor_time, iso
from driftloop.retraining.episode import Episode, Request, Status, Trigger

MONTH = timedelta(days=30)
STALE = timedelta(days=2)


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

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Policy:
        """Read a compiled model file."""
        retraining, training = spec["retraining"], spec["training"]
        return cls(
            on=frozenset(Trigger(name) for name in retraining["on"]) | {Trigger.MANUAL},
            cooldown=timedelta(seconds=retraining["cooldown"]),
            per_month=retraining["budget"]["per_month"],
            approval=retraining["approval"],
            window=timedelta(seconds=training["window"]),
            holdout=timedelta(seconds=training["holdout"]),
            label_delay=timedelta(seconds=spec["data"]["label_delay"]),
            step=timedelta(seconds=spec["monitoring"]["window"]),
        )


@dataclass(frozen=True)
class Decision:
    """Start, or do not, and by which rule."""

    start: bool
    rule: str
    reason: str


def decide(policy: Policy, episodes: Sequence[Episode], request: Request, now: datetime) -> Decision:
    """Apply the rules in order; the first that objects decides.

    Args:
        episodes: the model's episodes of the last 30 days, in any order, the requested one not among them.
    """
    for rule in (_wanted, _fresh, _alone, _cooled_down, _within_budget):
        objection = rule(policy, episodes, request, now)
        if objection:
            return Decision(False, rule.__name__.strip("_"), objection)
    return Decision(True, "start", f"{request.trigger}: {request.reason}")


def _wanted(policy: Policy, _: Sequence[Episode], request: Request, __: datetime) -> str:
    if request.trigger in policy.on:
        return ""
    return f"the model file does not retrain on {request.trigger}"


def _fresh(_: Policy, __: Sequence[Episode], request: Request, now: datetime) -> str:
    if abs(now - request.at) <= STALE:
        return ""
    return f"the request is from {iso(request.at)}, more than {STALE.days} days from now"


def _alone(_: Policy, episodes: Sequence[Episode], __: Request, ___: datetime) -> str:
    running = next((episode for episode in episodes if not episode.status.is_final), None)
    return f"episode {running.id} is still {running.status}" if running else ""


def _cooled_down(policy: Policy, episodes: Sequence[Episode], request: Request, now: datetime) -> str:
    if request.trigger is Trigger.MANUAL:
        return ""
    ended = [e.closed_at for e in episodes if e.closed_at and e.status is not Status.REFUSED]
    until = max(ended) + policy.cooldown if ended else now
    return f"cooldown after the last episode lasts until {iso(until)}" if now < until else ""


def _within_budget(policy: Policy, episodes: Sequence[Episode], _: Request, now: datetime) -> str:
    spent = sum(1 for e in episodes if e.status is not Status.REFUSED and e.opened_at > now - MONTH)
    if spent < policy.per_month:
        return ""
    return f"{spent} retrainings in 30 days have used up the budget of {policy.per_month}"


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
