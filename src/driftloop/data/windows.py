"""Windows: event-time intervals of traffic, aligned to midnight UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from driftloop.data.rows import select
from driftloop.data.schema import Columns

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """Half-open interval ``[start, end)`` in UTC."""

    start: datetime
    end: datetime

    def dates(self) -> list[str]:
        """Event dates that the window touches, as ``yyyy-mm-dd``."""
        return [str(day) for day in _days(self.start.date(), (self.end - timedelta(microseconds=1)).date())]

    def hours(self, day: str) -> set[int]:
        """Hours of one date that lie in the window (whole hours)."""
        midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
        return {hour for hour in range(24) if self.start <= midnight + timedelta(hours=hour) < self.end}

    def rows(self, columns: Columns, time: str) -> Columns:
        """The rows whose event time lies in the window."""
        times = columns[time]
        return select(columns, (times >= to_numpy(self.start)) & (times < to_numpy(self.end)))


def last_complete(now: datetime, length: timedelta) -> Window:
    """The most recent window that has wholly passed."""
    start = floor_time(now, length) - length
    return Window(start, start + length)


def floor_time(moment: datetime, step: timedelta) -> datetime:
    """The last multiple of ``step`` since midnight UTC that is not after ``moment``."""
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + ((moment - midnight) // step) * step


def iso(moment: datetime) -> str:
    """``2013-03-01T00:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_numpy(moment: datetime) -> np.datetime64:
    """UTC seconds, as in the time column."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "s")


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += DAY
