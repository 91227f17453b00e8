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
    MANUAL = "manual"


class Status(StrEnum):
    """Where an episode stands."""

    REQUESTED = "requested"
    STARTED = "started"
    CANDIDATE = "candidate"
    ROLLING_OUT = "rolling_out"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    REFUSED = "refused"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"

    @property
    def is_final(self) -> bool:
        """True if nothing more can happen to the episode."""
        return not MOVES[self]


MOVES: dict[Status, frozenset[Status]] = {
    Status.REQUESTED: frozenset({Status.STARTED, Status.FAILED}),
    Status.STARTED: frozenset({Status.CANDIDATE, Status.ROLLING_OUT, Status.REJECTED, Status.FAILED}),
    Status.CANDIDATE: frozenset({Status.ROLLING_OUT, Status.REJECTED, Status.FAILED}),
    Status.ROLLING_OUT: frozenset({Status.PROMOTED, Status.ROLLED_BACK, Status.FAILED}),
    Status.PROMOTED: frozenset(),
    Status.REJECTED: frozenset(),
    Status.REFUSED: frozenset(),
    Status.FAILED: frozenset(),
    Status.ROLLED_BACK: frozenset(),
}
"""Which status may follow which. An approval can overtake the event that the pipeline has ended."""


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

    @property
    def moved_at(self) -> datetime:
        """Time of the last move."""
        return datetime.fromisoformat(self.history[-1][0]) if self.history else self.opened_at

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


def open_episode(request: Request, status: Status, rule: str, outcome: str = "") -> Episode:
    """The first record of an episode: requested, or refused with the reason."""
    closed = request.at if status.is_final else None
    return Episode(
        request.episode_id, request.model, request.trigger, request.reason, request.at, status, rule, outcome,
        closed_at=closed, history=((request.at.isoformat(), str(status)),),
    )  # fmt: skip
