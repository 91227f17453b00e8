"""What is known besides the episodes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from driftloop.retraining.decision import ALARMS, ASKED_AGAIN, BROKEN, LOOK_BACK
from driftloop.retraining.episode import Trigger
from driftloop.retraining.evidence import NOTHING, Evidence, Watch
from tests.fakes.examples import START

DAY = timedelta(days=1)


@pytest.mark.parametrize(("days", "rows"), [(-1, 111), (0, 111), (0.5, 110), (1, 110), (2, 100), (3, 0)])
def test_labelled_rows_count_by_the_start_of_their_window(days: float, rows: int) -> None:
    watch = Watch(START + 3 * DAY, 1, "stable", (), {START: 1, START + DAY: 10, START + 2 * DAY: 100})
    assert watch.labelled_since(START + days * DAY) == rows


def test_nothing_is_known_at_first() -> None:
    assert NOTHING == Evidence(None, None, None, None)  # noqa: SIM300
    assert Watch(START, 1, "stable").labelled_since(START - LOOK_BACK) == 0


def test_what_the_reconciler_asks_for_again() -> None:
    assert ALARMS == {Trigger.DRIFT, Trigger.QUALITY}  # noqa: SIM300
    assert ASKED_AGAIN == {*ALARMS, Trigger.DATA, Trigger.CODE}  # noqa: SIM300
    assert timedelta(days=90) == LOOK_BACK
    assert BROKEN == "broken upstream"
