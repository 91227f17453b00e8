"""EventBridge and its Scheduler in ministack: events of AWS services, and schedules in virtual time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.services import eventbridge, scheduler

from driftloop.twin.activity import WHOLE


def install() -> None:
    """The timeline runs the schedules, so ministack's own threads must not."""
    eventbridge.start_scheduler = lambda: None
    scheduler.start_scheduler = lambda: None
    invoke = eventbridge._invoke_target

    def invoke_filled(target: dict[str, Any], event: dict[str, Any], *rest: Any) -> Any:
        if event["Source"] == "aws.scheduler" and "Input" in target:
            target = {**target, "Input": _filled(target["Input"], event)}
        return invoke(target, event, *rest)

    eventbridge._invoke_target = invoke_filled


def _filled(text: str, event: Mapping[str, Any]) -> str:
    """The input of a schedule's target, with what EventBridge Scheduler writes into it."""
    scheduled = datetime.fromtimestamp(event["Time"], UTC)
    attributes = {
        "schedule-arn": event["Resources"][0],
        "scheduled-time": scheduled.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": event["EventId"],
        "attempt-number": "1",
    }
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def put(source: str, detail_type: str, detail: Mapping[str, Any], resources: Iterable[str]) -> None:
    """An event of an AWS service on the default bus."""
    entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": list(resources)}
    with WHOLE:
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


class Schedules:
    """Scheduled rules and EventBridge Scheduler's schedules as a source of the timeline."""

    def next_due(self) -> float | None:
        """When the next schedule fires."""
        rules = [
            (r["ScheduleExpression"], eventbridge._rule_last_fired.get(key))
            for key, r in eventbridge._rules._data.items()
            if r.get("State") == "ENABLED" and r.get("ScheduleExpression")
        ]
        schedules = [
            due
            for key, schedule in scheduler._schedules._data.items()
            if schedule.get("State") == "ENABLED"
            and (due := _next_of_schedule(schedule, scheduler._schedule_last_fired.get(key))) is not None
        ]
        return min([*(_next(expression, last) for expression, last in rules), *schedules], default=None)

    def run_due(self) -> None:
        """Fire what is due."""
        with WHOLE:
            eventbridge._tick_scheduled_rules()
            scheduler._tick_schedules()


def _next_of_schedule(schedule: Mapping[str, Any], last: float | None) -> float | None:
    """When a schedule of EventBridge Scheduler fires next; None if it never does again."""
    moment = scheduler._at_time_epoch(schedule["ScheduleExpression"])
    if moment is not None:
        return float(moment) if last is None else None
    if schedule.get("ScheduleExpressionTimezone", "UTC") != "UTC":
        raise NotImplementedError(f"schedule {schedule['Name']}: the twin knows no time zone but UTC")
    begin, end = (scheduler._to_epoch(schedule.get(name)) for name in ("StartDate", "EndDate"))
    due = max(_next(schedule["ScheduleExpression"], last), begin or 0.0)
    return due if end is None or due <= end else None


def _next(expression: str, last: float | None) -> float:
    since = time.time() if last is None else last
    interval = eventbridge._parse_rate_seconds(expression)
    if interval is not None:
        return float(since + interval)
    fields = eventbridge._parse_cron_fields(expression)
    if fields is None:
        raise NotImplementedError(f"the twin does not run the schedule {expression!r}")
    following = eventbridge._cron_next_fire(fields, datetime.fromtimestamp(since, UTC))
    return float(following.timestamp()) if following else float("inf")
