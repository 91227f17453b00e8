"""What is known about a model when somebody asks for its retraining."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Pause:
    """A person has stopped retraining for a while."""

    by: str
    at: datetime
    reason: str


@dataclass(frozen=True)
class Watch:
    """What monitoring saw last."""

    window_end: datetime
    version: int
    """The version whose baseline the window was judged by."""
    verdict: str
    """As in the drift report."""
    reasons: tuple[str, ...] = ()
    labelled: Mapping[datetime, int] = field(default_factory=dict)
    """Start of a window -> labelled rows that are known of it; windows back to the last 90 days."""

    def labelled_since(self, moment: datetime) -> int:
        """Labelled rows of the windows that start at or after a moment."""
        return sum(rows for start, rows in self.labelled.items() if start >= moment)


@dataclass(frozen=True)
class Evidence:
    """All of it. Nothing known is an answer, too: the rules that would need it do not object."""

    champion_since: datetime | None = None
    champion_version: int | None = None
    """0 if no version serves yet; None if that is not known."""
    pause: Pause | None = None
    watch: Watch | None = None


NOTHING = Evidence()
