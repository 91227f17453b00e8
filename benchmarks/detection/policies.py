"""Policies that need nothing but this repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from benchmarks.detection.replay import Evidence, Judgement
from driftloop.data.decoded import SCORE
from driftloop.data.windows import Window, floor_time
from driftloop.monitoring.assessment import Labelled, assess, faults
from driftloop.monitoring.outcomes import NO_OUTCOMES, count_outcomes
from driftloop.monitoring.profile import Profile, profile_columns
from driftloop.monitoring.report import DriftReport
from driftloop.retraining.decision import Policy as Rules
from driftloop.retraining.episode import Trigger
from driftloop.twin.alarms import EXTRA_PERIODS, Missing, Rule, State, evaluate

PSI_LIMIT = 0.2
_PSI_BINS = 10
_PSI_FLOOR = 1e-4
"""Share that an empty cell counts as, as is usual."""


@dataclass
class Never:
    """The first version for ever."""

    name: str = "never"
    gated: bool = False
    fresh: bool = False

    def rules(self, rules: Rules) -> Rules:
        return rules

    def judge(self, seen: Evidence) -> Judgement:
        return Judgement(False)


@dataclass
class Periodic:
    """Retrains every so many days, whatever the data say."""

    days: int
    gated: bool = False
    fresh: bool = False
    _last: datetime | None = None

    @property
    def name(self) -> str:
        """``periodic_14d``."""
        return f"periodic_{self.days}d"

    def rules(self, rules: Rules) -> Rules:
        return replace(rules, on=frozenset(Trigger), cooldown=timedelta(0), per_month=31)

    def judge(self, seen: Evidence) -> Judgement:
        start = self._last or seen.since
        if seen.window.end - start < timedelta(days=self.days):
            return Judgement(False)
        self._last = seen.window.end
        return Judgement(False, Trigger.SCHEDULE, f"every {self.days} days")


@dataclass
class Psi:
    """Population stability index of each column of a window against the training rows, in ten parts of the training
    rows: an alarm if more than ``share`` of the columns are over 0.2 (0: any)."""

    name: str = "psi_0.2"
    share: float = 0.0
    gated: bool = False
    fresh: bool = False
    _reference: Any = None
    _cells: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def rules(self, rules: Rules) -> Rules:
        return replace(rules, on=frozenset(Trigger))

    def judge(self, seen: Evidence) -> Judgement:
        self._prepare(seen)
        rows = seen.stream.table(seen.stream.rows(seen.window))
        if not len(rows[seen.stream.schema.id]):
            return Judgement(False)
        over = [name for name, (cut, usual) in self._cells.items() if _psi(usual, cut(rows[name])) > PSI_LIMIT]
        alarm = len(over) > self.share * len(self._cells)
        return Judgement(alarm, Trigger.DRIFT if alarm else None, f"PSI over {PSI_LIMIT}: {', '.join(over)}")

    def _prepare(self, seen: Evidence) -> None:
        if self._reference is seen.version:
            return
        self._reference = seen.version
        rows = seen.stream.table(seen.stream.rows(seen.version.learned))
        for feature in seen.stream.schema.features:
            values = rows[feature.name]
            cut = _names(values) if feature.is_category else _intervals(values)
            self._cells[feature.name] = cut, cut(values)


Cut = Callable[[Any], Any]


def _names(values: Any) -> Cut:
    places = {name: place for place, name in enumerate(np.unique(values.astype(str)).tolist())}

    def cut(column: Any) -> Any:
        cells = [places.get(value, len(places)) for value in column.tolist()]
        return np.bincount(cells, minlength=len(places) + 1)

    return cut


def _intervals(values: Any) -> Cut:
    edges = np.unique(np.nanquantile(values, np.linspace(0, 1, _PSI_BINS + 1))[1:-1])

    def cut(column: Any) -> Any:
        cells = np.where(np.isnan(column), len(edges) + 1, np.searchsorted(edges, column, side="left"))
        return np.bincount(cells, minlength=len(edges) + 2)

    return cut


def _psi(expected: Any, observed: Any) -> float:
    p, q = (np.maximum(counts / counts.sum(), _PSI_FLOOR) for counts in (expected, observed))
    return float(((q - p) * np.log(q / p)).sum())


SIGNALS: Mapping[str, Callable[[DriftReport], float | None]] = {
    "drift": lambda report: report.input_drift,
    "quality": lambda report: report.quality_loss,
}
"""Signal of the model file's `retraining.on` -> the score that its alarm watches."""


@dataclass
class Driftloop:
    """The kit's own judgement, alarms and rules."""

    name: str = "driftloop"
    labels: bool = True
    """False: as if no label ever came."""
    gated: bool = True
    fresh: bool = False
    again: bool = True
    """Ask in every window in which an alarm stands, as the reconciler does, and not only when it is raised."""
    reports: list[DriftReport] = field(default_factory=list)
    _profiles: dict[tuple[str, Window], Profile] = field(default_factory=dict)
    _values: dict[str, list[float | None]] = field(default_factory=dict)
    _states: dict[str, State] = field(default_factory=dict)
    _due: datetime | None = None
    """When the schedule asks next."""

    def rules(self, rules: Rules) -> Rules:
        return rules

    def judge(self, seen: Evidence) -> Judgement:
        report = self.report(seen)
        self.reports.append(report)
        asking = [signal for signal in SIGNALS if signal in seen.stream.spec["retraining"]["on"]]
        asking = [signal for signal in asking if self._rings(seen, signal, SIGNALS[signal](report))]
        if self._scheduled(seen):
            asking.append("schedule")
        alarm = State.ALARM in self._states.values()
        return Judgement(alarm, Trigger(asking[0]) if asking else None, "; ".join(report.reasons))

    def _scheduled(self, seen: Evidence) -> bool:
        """True at fixed times from the first version on, as the model's schedule asks."""
        every = seen.stream.spec["retraining"]["every"]
        if every is None:
            return False
        period = timedelta(seconds=every)
        due = self._due or seen.since + period
        asks = due <= seen.window.end
        while due <= seen.window.end:
            due += period
        self._due = due
        return asks

    def _rings(self, seen: Evidence, signal: str, value: float | None) -> bool:
        """Move one alarm on; True if it asks for a retraining."""
        before = self._states.get(signal, State.OK)
        now = self._states[signal] = self._next(seen, signal, value)
        return now is State.ALARM and (self.again or before is not State.ALARM)

    def report(self, seen: Evidence) -> DriftReport:
        """As the detecting function makes it."""
        spec, length = seen.stream.spec["monitoring"], seen.stream.length
        count = max(1, min(spec["smoothing"], (seen.window.end - seen.since) // length))
        windows = [Window(seen.window.start - length * i, seen.window.end - length * i) for i in reversed(range(count))]
        return assess(
            seen.version.baseline,
            [self._profile(seen, window) for window in windows],
            self._labelled(seen) if self.labels else None,
            model=seen.stream.spec["name"],
            version=1,
            window=seen.window,
            min_rows=spec["min_rows"],
            smoothing=spec["smoothing"],
        )

    def _profile(self, seen: Evidence, window: Window) -> Profile:
        key = seen.version.baseline.id, window
        if key not in self._profiles:
            rows = seen.served(window)
            columns = seen.stream.table(rows) | {SCORE: seen.scores[rows]}
            self._profiles[key] = profile_columns(seen.version.baseline.bins, columns, seen.stream.schema)
        return self._profiles[key]

    def _labelled(self, seen: Evidence) -> Labelled | None:
        """Labelled predictions of the champion in the last sound windows whose labels are known."""
        spec, length, stream = seen.stream.spec["monitoring"], seen.stream.length, seen.stream
        end = floor_time(seen.now - stream.schema.label_delay, length)
        windows = [Window(end - length * (i + 1), end - length * i) for i in reversed(range(spec["smoothing"]))]
        if seen.since > windows[0].start:
            return None
        baseline = seen.version.baseline
        sound = [stream.rows(window) for window in windows if not faults(baseline, self._profile(seen, window))]
        outcomes = sum((count_outcomes(stream.labels[r], seen.scores[r]) for r in sound), start=NO_OUTCOMES)
        return Labelled(outcomes, 1.0) if outcomes.total >= spec["min_rows"] else None

    def _next(self, seen: Evidence, signal: str, value: float | None) -> State:
        """The alarm after one more data point, as CloudWatch decides it."""
        spec = seen.stream.spec["monitoring"]
        rule = Rule("GreaterThanOrEqualToThreshold", 1.0, spec["of"], spec["datapoints"], Missing.NOT_BREACHING)
        values = self._values.setdefault(signal, [None] * (spec["of"] + EXTRA_PERIODS))
        values.append(value)
        return evaluate(rule, values[-spec["of"] - EXTRA_PERIODS :], self._states.get(signal, State.OK))
