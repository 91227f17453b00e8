"""The reconciler's own alarms: silence is noticed, one missed run is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from .kit import Kit

SCHEDULE = "driftloop-reconcile"


def state(kit: Kit, kind: str) -> str:
    name = f"driftloop-reconcile-{kind}"
    [alarm] = kit.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(alarm["StateValue"])


def switch(kit: Kit, how: str) -> None:
    found: dict[str, Any] = kit.client("scheduler").get_schedule(Name=SCHEDULE)
    kept = ("ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "Target")
    kit.client("scheduler").update_schedule(Name=SCHEDULE, State=how, **{key: found[key] for key in kept})


def later(kit: Kit, hours: int) -> None:
    kit.move(kit.now() + timedelta(hours=hours))
    kit.settle()


@pytest.fixture
def silent(kit: Kit) -> Iterator[None]:
    later(kit, 6)
    assert (state(kit, "silent"), state(kit, "failing")) == ("OK", "OK"), "it runs every hour"
    switch(kit, "DISABLED")
    yield
    switch(kit, "ENABLED")
    later(kit, 6)
    assert state(kit, "silent") == "OK"


def test_silence_rings_and_is_not_mistaken_for_a_failure(kit: Kit, silent: None) -> None:
    later(kit, 2)
    assert state(kit, "silent") == "OK", "one missed run is no silence"
    later(kit, 5)
    assert (state(kit, "silent"), state(kit, "failing")) == ("ALARM", "OK")
