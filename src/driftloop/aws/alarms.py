"""CloudWatch as the Alarms port."""

from __future__ import annotations

from typing import Any

from driftloop.names import PREFIX
from driftloop.ports import RaisedAlarm


class CloudWatchAlarms:
    """The kit's alarms, found by their common prefix: one call for a hundred of them."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch

    def raised(self) -> list[RaisedAlarm]:
        """Those that stand now, by name."""
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=f"{PREFIX}-", AlarmTypes=["MetricAlarm"], StateValue="ALARM"
        )
        found = [
            # An evaluation that changes nothing but the reason moves StateUpdatedTimestamp alone.
            RaisedAlarm(
                alarm["AlarmName"],
                alarm.get("StateTransitionedTimestamp", alarm["StateUpdatedTimestamp"]),
                alarm.get("StateReason", ""),
            )
            for page in pages
            for alarm in page["MetricAlarms"]
        ]
        return sorted(found, key=lambda alarm: alarm.name)
