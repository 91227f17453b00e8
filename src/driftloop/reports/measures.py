"""What the page says, computed from the record: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from driftloop.reports.record import AlarmChange, Episode, LoopRecord, QualityWindow, Report
from driftloop.retraining.episode import NEVER_RAN

SMOOTHING = timedelta(days=7)
_RESAMPLES = 2000
_FEW_WEEKS = 8


def version_of(package_arn: str) -> int | None:
    """Version number of a model package; None if the ARN names none."""
    last = package_arn.rsplit("/", maxsplit=1)[-1]
    return int(last) if last.isascii() and last.isdigit() else None


@dataclass(frozen=True)
class Comparison:
    """Served against the first version on the same rows; log-loss in nats per row, lower is better."""

    rows: int
    served: float
    static: float
    served_auc: float | None
    static_auc: float | None

    @property
    def gain(self) -> float:
        """Share of the static log-loss that retraining took away; negative if it made things worse."""
        return (self.static - self.served) / self.static


def compare(windows: Sequence[QualityWindow]) -> Comparison | None:
    """Row-weighted means over all windows; None without windows."""
    if not windows:
        return None
    return Comparison(
        rows=sum(window.rows for window in windows),
        served=_required(windows, lambda w: w.served.log_loss),
        static=_required(windows, lambda w: w.static.log_loss),
        served_auc=weighted(windows, lambda w: w.served.auc),
        static_auc=weighted(windows, lambda w: w.static.auc),
    )


def weighted(windows: Iterable[QualityWindow], read: Callable[[QualityWindow], float | None]) -> float | None:
    """Mean over the windows that have a value, weighted by rows; None if none has."""
    known = [(window.rows, value) for window in windows if (value := read(window)) is not None]
    return sum(rows * value for rows, value in known) / sum(rows for rows, _ in known) if known else None


def _required(windows: Sequence[QualityWindow], read: Callable[[QualityWindow], float]) -> float:
    return sum(w.rows * read(w) for w in windows) / sum(w.rows for w in windows)


def rolling(windows: Sequence[QualityWindow], read: Callable[[QualityWindow], float | None]) -> list[float | None]:
    """For each window the row-weighted mean of the seven days that end with it. Windows must be in time order."""
    means, first = [], 0
    for last, window in enumerate(windows):
        while windows[first].window_start <= window.window_start - SMOOTHING:
            first += 1
        means.append(weighted(windows[first : last + 1], read))
    return means


def gain_interval(windows: Sequence[QualityWindow]) -> tuple[float, float] | None:
    """95% interval of the gain when whole weeks are drawn again (block bootstrap); None with fewer than 8 weeks.

    Weeks and not days are drawn, because neighbouring days have weather and season in common.
    """
    weeks: dict[date, list[QualityWindow]] = {}
    for window in windows:
        weeks.setdefault(monday(window.window_start), []).append(window)
    if len(weeks) < _FEW_WEEKS:
        return None
    served = np.array([sum(w.rows * w.served.log_loss for w in week) for week in weeks.values()])
    static = np.array([sum(w.rows * w.static.log_loss for w in week) for week in weeks.values()])
    drawn = np.random.default_rng(0).integers(0, len(weeks), (_RESAMPLES, len(weeks)))
    gains = 1 - served[drawn].sum(axis=1) / static[drawn].sum(axis=1)
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)


def monday(moment: datetime) -> date:
    """First day of the week."""
    return moment.date() - timedelta(days=moment.weekday())


@dataclass(frozen=True)
class AlarmInterval:
    """Time that one alarm spent in ALARM; ``end`` is None if it never left."""

    alarm: str
    start: datetime
    end: datetime | None
    reason: str


def alarm_intervals(changes: Sequence[AlarmChange]) -> list[AlarmInterval]:
    """Intervals in ALARM, in order of their start."""
    opened: dict[str, AlarmChange] = {}
    intervals = []
    for change in sorted(changes, key=lambda c: c.at):
        begun = opened.get(change.alarm)
        if change.new == "ALARM":
            opened.setdefault(change.alarm, change)
        elif begun is not None:
            del opened[change.alarm]
            intervals.append(AlarmInterval(change.alarm, begun.at, change.at, begun.reason))
    intervals += [AlarmInterval(name, begun.at, None, begun.reason) for name, begun in opened.items()]
    return sorted(intervals, key=lambda interval: (interval.start, interval.alarm))


def alarm_signal(alarm: str, model: str) -> str:
    """What an alarm watches: ``driftloop-flight-delay-drift`` is ``drift``."""
    return alarm.removeprefix(f"driftloop-{model.replace('_', '-')}-")


@dataclass(frozen=True)
class Serving:
    """From when on a version served."""

    version: str
    since: datetime


def servings(record: LoopRecord) -> list[Serving]:
    """Promoted versions in time order."""
    promoted = [p for p in record.summary.promotions if p.decision == "promote"]
    return [
        Serving(version_label(p.model_package_arn), p.at)
        for p in sorted(promoted, key=lambda p: (p.at, p.model_package_arn))
    ]


def version_label(package_arn: str) -> str:
    """``v3``; a dash where no version was registered."""
    number = version_of(package_arn)
    return f"v{number}" if number is not None else "\N{EN DASH}"


def retrainings(record: LoopRecord) -> list[Episode]:
    """Episodes that a pipeline ran for, without the one that made the first version."""
    first = {p.model_package_arn for p in record.summary.promotions if p.champion is None}
    return [
        episode
        for episode in episodes(record)
        if episode.status not in NEVER_RAN and not (episode.model_package_arn and episode.model_package_arn in first)
    ]


def episodes(record: LoopRecord) -> list[Episode]:
    """All episodes in time order."""
    return sorted(record.summary.episodes, key=lambda episode: (episode.opened_at, episode.id))


def windows_of(record: LoopRecord) -> list[QualityWindow]:
    """Quality windows in time order."""
    return sorted(record.summary.quality, key=lambda window: window.window_start)


def reports_of(record: LoopRecord) -> list[Report]:
    """Drift reports in time order."""
    return sorted(record.reports, key=lambda report: report.window.start)
