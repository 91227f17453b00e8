"""CloudWatch in ministack: exact dimensions, M of N, missing data, alarm events, and metrics out of log lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services import cloudwatch

from driftloop.twin.activity import WHOLE
from driftloop.twin.alarms import COMPARISONS, EXTRA_PERIODS, Missing, Rule, State, evaluate, without_data
from driftloop.twin.emf import metrics_of
from driftloop.twin.emulators import events

_STATISTICS = {"Average", "Sum", "Minimum", "Maximum", "SampleCount"}
Transition = dict[str, str]

TRANSITIONS: list[Transition] = []
"""Every change of an alarm's state, in order: alarm, at, old, new, reason."""

_watchers: list[Callable[[str, str], None]] = []


def install() -> None:
    """Replace ministack's alarm evaluation."""
    dispatch = cloudwatch._dispatch_alarm_actions

    def announce(alarm: dict[str, Any], old: str, new: str, reason: str) -> None:
        dispatch(alarm, old, new, reason)
        _announce(alarm, old, new, reason)

    cloudwatch._alarms.__class__ = _Alarms
    cloudwatch._store_datum = _in_order(cloudwatch._store_datum)
    cloudwatch._evaluate_alarm = _evaluate
    cloudwatch._evaluate_all_alarms = evaluate_all
    cloudwatch._dispatch_alarm_actions = announce


class _Alarms(AccountRegionScopedDict):
    """Takes no alarm that the twin cannot evaluate: it would fail long after its creation, and all others with it."""

    __slots__ = ()

    def __setitem__(self, name: str, alarm: dict[str, Any]) -> None:
        if not alarm.get("MetricName"):
            raise NotImplementedError(f"alarm {name} uses metric math, which the twin does not evaluate")
        # ministack would take a percentile for an average.
        statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
        if statistic not in _STATISTICS or alarm["ComparisonOperator"] not in COMPARISONS:
            raise NotImplementedError(f"alarm {name}: the twin does not do {statistic} {alarm['ComparisonOperator']}")
        super().__setitem__(name, alarm)


def _in_order(store: Callable[..., None]) -> Callable[..., None]:
    """Data points by time: evaluation looks at the newest first and stops at the first old one."""

    def stored(namespace: str, name: str, dimensions: dict[str, str], timestamp: float, *rest: Any) -> None:
        points = cloudwatch._metric_bucket((namespace, name, cloudwatch._dims_key(dimensions)))
        newest = points[-1]["Timestamp"] if points else timestamp
        store(namespace, name, dimensions, timestamp, *rest)
        if timestamp < newest:
            points.sort(key=lambda point: point["Timestamp"])

    return stored


def on_transition(watcher: Callable[[str, str], None]) -> None:
    """Call back with an alarm's name and new state."""
    _watchers.append(watcher)


def alarm_state(name: str) -> str | None:
    """State of an alarm; None if there is no such alarm."""
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    return alarm["StateValue"] if alarm else None


def put_metric(namespace: str, name: str, dimensions: dict[str, str], value: float, unit: str = "Count") -> None:
    """A metric that an AWS service would publish."""
    cloudwatch._store_datum(namespace, name, dimensions, time.time(), unit, value, None, None, None)


def take_log(lines: list[str]) -> None:
    """Turn the embedded metrics of a function's log into metrics."""
    found = list(metrics_of(lines))
    for datum in found:
        cloudwatch._store_datum(
            datum.namespace, datum.name, dict(datum.dimensions), datum.timestamp, datum.unit, None,
            list(datum.values), None, None,
        )  # fmt: skip
    if found:
        evaluate_all()


class Alarms:
    """Alarms as a source of the timeline: a period without data may change one that is raised or that minds silence."""

    def next_due(self) -> float | None:
        """Beginning of the next period of an alarm that would notice it."""
        now = time.time()
        periods = [int(alarm["Period"]) for alarm in cloudwatch._alarms.values() if _minds_silence(alarm)]
        return min(((int(now) // period + 1) * period for period in periods), default=None)

    def run_due(self) -> None:
        """Evaluate all alarms."""
        evaluate_all()


def _minds_silence(alarm: dict[str, Any]) -> bool:
    state, treatment = State(alarm["StateValue"]), Missing(alarm.get("TreatMissingData") or "missing")
    return state is State.ALARM or without_data(treatment, state) is not state


def evaluate_all() -> None:
    """Evaluate every alarm."""
    for alarm in list(cloudwatch._alarms.values()):
        _evaluate(alarm)


def _evaluate(alarm: dict[str, Any]) -> None:
    rule = Rule(
        alarm["ComparisonOperator"],
        float(alarm["Threshold"]),
        int(alarm.get("EvaluationPeriods", 1)),
        int(alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods", 1)),
        Missing(alarm.get("TreatMissingData") or "missing"),
    )
    values = _datapoints(alarm, rule.periods + EXTRA_PERIODS)
    old = State(alarm["StateValue"])
    new = evaluate(rule, values, old)
    if new is not old:
        recent = [value for value in values if value is not None][-rule.periods :]
        shown = ", ".join(f"{value:.3g}" for value in recent) or "no data"
        with WHOLE:
            _move(
                alarm, old, new, f"Threshold Crossed: datapoints [{shown}] against {rule.comparison} {rule.threshold:g}"
            )


def _datapoints(alarm: dict[str, Any], count: int) -> list[float | None]:
    statistic = alarm["Statistic"]
    dimensions = cloudwatch._dims_key({d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []})
    points = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions)) or []
    period, now = int(alarm["Period"]), time.time()
    last = int(now) // period
    first = last - count + 1
    cells: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for point in reversed(points):
        cell = int(point["Timestamp"]) // period - first
        if cell < 0:
            break
        if cell < count:
            cells[cell].append(point)
    return [cloudwatch._stat_value(cloudwatch._calc_stats(cell), statistic, cell) if cell else None for cell in cells]


def _move(alarm: dict[str, Any], old: State, new: State, reason: str) -> None:
    alarm["StateValue"], alarm["StateReason"] = str(new), reason
    alarm["StateUpdatedTimestamp"] = alarm["StateTransitionedTimestamp"] = int(time.time())
    cloudwatch._record_history(alarm["AlarmName"], str(old), str(new), reason)
    cloudwatch._dispatch_alarm_actions(alarm, str(old), str(new), reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _announce(alarm: dict[str, Any], old: str, new: str, reason: str) -> None:
    name = alarm["AlarmName"]
    arn = f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"
    at = datetime.now(UTC)
    TRANSITIONS.append(
        {"alarm": name, "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "old": old, "new": new, "reason": reason}
    )
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    detail = {
        "alarmName": name,
        "state": {"value": new, "reason": reason, "timestamp": stamp},
        "previousState": {"value": old, "timestamp": stamp},
        "configuration": {"description": alarm.get("AlarmDescription") or "", **_watched(alarm)},
    }
    events.put("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [arn])
    for watcher in _watchers:
        watcher(name, new)


def _watched(alarm: dict[str, Any]) -> dict[str, Any]:
    if "AlarmRule" in alarm:
        return {"alarmRule": alarm["AlarmRule"]}
    dimensions = {d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []}
    metric = {"namespace": alarm["Namespace"], "name": alarm["MetricName"], "dimensions": dimensions}
    stat = {"metric": metric, "period": alarm["Period"], "stat": alarm.get("Statistic")}
    return {"metrics": [{"id": "m1", "metricStat": stat, "returnData": True}]}
