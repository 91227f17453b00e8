"""The retraining part of a compiled model file, of this and of older versions of the kit."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from driftloop.retraining.decision import Policy
from driftloop.retraining.episode import Trigger
from tests.fakes.examples import spec

DAY = timedelta(days=1)
FULL: dict[str, Any] = {
    "training": {"window": "50d", "holdout": "4d"},
    "monitoring": {"window": "6h", "of": 4, "datapoints": 2, "smoothing": 2},
    "retraining": {
        "on": ["drift", "schedule", "data", "code"],
        "every": "7d",
        "new_rows": 500,
        "cooldown": "36h",
        "give_up_after": 7,
        "approval": "manual",
        "budget": {"per_day": 1, "per_month": 9, "cost": 2.5, "cost_per_month": 20.0},
    },
}


def test_everything_that_is_written_is_read() -> None:
    assert Policy.from_spec(spec(**FULL)) == Policy(
        on=frozenset({Trigger.DRIFT, Trigger.SCHEDULE, Trigger.DATA, Trigger.CODE, Trigger.MANUAL}),
        cooldown=1.5 * DAY, per_month=9, approval="manual", window=50 * DAY, holdout=4 * DAY, label_delay=DAY / 2,
        step=DAY / 4, span=5 * DAY / 4 + DAY / 24, per_day=1, cost=2.5, cost_per_month=20.0, new_rows=500, give_up_after=7,
    )  # fmt: skip


def test_what_is_not_written_has_a_default() -> None:
    policy = Policy.from_spec(spec())
    assert (policy.per_day, policy.cost, policy.cost_per_month) == (2, 0.0, None)
    assert (policy.new_rows, policy.give_up_after) == (0, 5)


def test_people_may_always_ask() -> None:
    assert Policy.from_spec(spec(retraining={"on": []})).on == {Trigger.MANUAL}


def test_a_model_that_an_older_version_of_the_kit_deployed() -> None:
    old = deepcopy(spec(**FULL))
    for key in ("new_rows", "give_up_after"):
        del old["retraining"][key]
    for key in ("per_day", "cost", "cost_per_month"):
        del old["retraining"]["budget"][key]
    policy = Policy.from_spec(old)
    assert (policy.per_month, policy.per_day, policy.cost, policy.cost_per_month) == (9, 2, 0.0, None)
    assert (policy.new_rows, policy.give_up_after) == (0, 5)


@pytest.mark.parametrize("key", ["on", "cooldown", "approval", "budget"])
def test_what_every_version_wrote_must_be_there(key: str) -> None:
    damaged = deepcopy(spec())
    del damaged["retraining"][key]
    with pytest.raises(KeyError, match=key):
        Policy.from_spec(damaged)
