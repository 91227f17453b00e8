"""Episodes: one retraining from its trigger to its end, as an explicit state machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from driftloop.data.windows import iso


class Trigger(StrEnum):
    """Why a retraining is asked for."""

    DRIFT = "drift"
    QUALITY = "quality"
    SCHEDULE = "schedule"
    DATA = "data"
    CODE = "code"
    MANUAL = "manual"


class Status(StrEnum):
    """Where an episode stands."""

    REQUESTED = "requested"
    STARTED = "started"
    CANDIDATE = "candidate"
    APPROVED = "approved"
    ROLLING_OUT = "rolling_out"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    REFUSED = "refused"
    DEFERRED = "deferred"
    MERGED = "merged"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"

    @property
    def is_final(self) -> bool:
        """True if nothing more can happen to the episode."""
        return not MOVES[self]


MOVES: dict[Status, frozenset[Status]] = {
    Status.REQUESTED: frozenset({Status.STARTED, Status.FAILED}),
    Status.STARTED: frozenset({Status.CANDIDATE, Status.APPROVED, Status.REJECTED, Status.FAILED}),
    Status.CANDIDATE: frozenset({Status.APPROVED, Status.REJECTED, Status.FAILED}),
    Status.APPROVED: frozenset({Status.ROLLING_OUT, Status.REJECTED, Status.FAILED}),
    Status.ROLLING_OUT: frozenset({Status.PROMOTED, Status.ROLLED_BACK, Status.FAILED}),
    Status.PROMOTED: frozenset(),
    Status.REJECTED: frozenset(),
    Status.REFUSED: frozenset(),
    Status.DEFERRED: frozenset(),
    Status.MERGED: frozenset(),
    Status.FAILED: frozenset(),
    Status.ROLLED_BACK: frozenset(),
}
"""Which status may follow which. An approval can overtake the event that the pipeline has ended."""

NEVER_RAN = frozenset({Status.REFUSED, Status.DEFERRED, Status.MERGED})
"""Requests that were answered without a retraining: they cost nothing and start no cooldown."""


class IllegalMoveError(Exception):
    """An episode was asked to take a step that the state machine does not have."""


@dataclass(frozen=True)
class Request:
    """Somebody or something asks for a retraining."""

    model: str
    trigger: Trigger
    cause: str
    """What made it so, stable under redelivery: alarm name and transition time, scheduled time, event id."""
    reason: str
    at: datetime
    by: str = ""
    """Who asks: an alarm, a schedule, a person."""

    @property
    def episode_id(self) -> str:
        """The same cause always names the same episode."""
        return hashlib.sha256(f"{self.model}|{self.trigger}|{self.cause}".encode()).hexdigest()[:20]


def alarm_cause(alarm: str, raised_at: datetime, asked: int = 0) -> str:
    """What an alarm's request is known by, whether its event brings it or somebody who found the alarm standing.

    Args:
        asked: how often this alarm has been answered with an episode since it was raised.
    """
    return f"{alarm}@{iso(raised_at)}" + (f"#{asked}" if asked else "")


@dataclass(frozen=True)
class Episode:
    """One entry of the ledger."""

    id: str
    model: str
    trigger: Trigger
    reason: str
    opened_at: datetime
    status: Status
    rule: str = ""
    """The rule of the decision that started or refused it."""
    outcome: str = ""
    """How it ended, in words."""
    pipeline_execution_arn: str = ""
    model_package_arn: str = ""
    closed_at: datetime | None = None
    history: tuple[tuple[str, str], ...] = field(default=())
    """(time, status) of every move."""
    by: str = ""
    """Who asked."""
    until: datetime | None = None
    """When a deferred request may be made again."""
    into: str = ""
    """The episode that answers a merged request."""
    revision: str = ""
    """Code and settings that the retraining used."""

    @property
    def ran(self) -> bool:
        """True if a retraining was started for it, or is about to be."""
        return self.status not in NEVER_RAN

    @property
    def moved_at(self) -> datetime:
        """Time of the last move."""
        return datetime.fromisoformat(self.history[-1][0]) if self.history else self.opened_at

    @property
    def begun_at(self) -> datetime:
        """When its pipeline was started, as far as that is recorded; until then when it was opened."""
        started = next((time for time, status in self.history if status == Status.STARTED), None)
        return datetime.fromisoformat(started) if started else self.opened_at

    @property
    def token(self) -> str:
        """Client request token: starting the same episode twice is starting it once."""
        return hashlib.sha256(f"episode|{self.id}".encode()).hexdigest()

    def moved(self, status: Status, at: datetime, outcome: str = "") -> Episode:
        """The episode after one move. Raises IllegalMoveError for a move that is not in MOVES."""
        if status not in MOVES[self.status]:
            raise IllegalMoveError(f"episode {self.id}: {self.status} cannot become {status}")
        return replace(
            self,
            status=status,
            outcome=outcome or self.outcome,
            closed_at=at if status.is_final else None,
            history=(*self.history, (at.isoformat(), str(status))),
        )


def open_episode(request: Request, status: Status, rule: str, outcome: str = "", at: datetime | None = None) -> Episode:
    """The first record of an episode: requested, or how it was answered without a retraining.

    Args:
        at: when it was decided, from which budgets count; the request may have been on its way for long.
    """
    at = at or request.at
    return Episode(
        request.episode_id, request.model, request.trigger, request.reason, at, status, rule, outcome,
        closed_at=at if status.is_final else None, history=((at.isoformat(), str(status)),), by=request.by,
    )  # fmt: skip
