"""Windows are cut on event time, from midnight UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data.windows import Window, floor_time, iso, last_complete
from tests.fakes.examples import START, traffic

STEPS = st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]).map(lambda hours: timedelta(hours=hours))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moment=MOMENTS, step=STEPS)
def test_the_last_complete_window_has_just_passed(moment: datetime, step: timedelta) -> None:
    window = last_complete(moment, step)
    assert window.end <= moment < window.end + step
    assert window.end - window.start == step
    assert floor_time(window.start, step) == window.start


@given(moment=MOMENTS, step=STEPS)
def test_windows_are_a_partition_of_the_hours(moment: datetime, step: timedelta) -> None:
    window = last_complete(moment, step)
    hours = [(day, hour) for day in window.dates() for hour in window.hours(day)]
    assert len(hours) == step // timedelta(hours=1)


def test_offsets_do_not_matter() -> None:
    moment = datetime(2026, 3, 3, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert last_complete(moment, timedelta(days=1)) == Window(
        datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    )
    assert iso(moment) == "2026-03-02T23:30:00Z"


def test_a_window_that_ends_at_midnight_does_not_touch_the_next_date() -> None:
    assert Window(START, START + timedelta(days=2)).dates() == ["2026-03-02", "2026-03-03"]


@pytest.mark.parametrize(("start", "end", "rows"), [(0, 24, 24), (0, 1, 1), (6, 12, 6), (24, 48, 0)])
def test_rows_of_a_window_are_half_open(start: int, end: int, rows: int) -> None:
    columns = traffic(24, START)
    window = Window(START + timedelta(hours=start), START + timedelta(hours=end))
    chosen = window.rows(columns, "departure")
    assert len(chosen["trip"]) == rows
    np.testing.assert_array_equal(chosen["delay"], columns["delay"][start : start + rows])
