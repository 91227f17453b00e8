from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from driftloop.reports.measures import (
    alarm_intervals,
    alarm_signal,
    compare,
    gain_interval,
    retrainings,
    rolling,
    servings,
    version_of,
    windows_of,
)  # fmt: skip
from driftloop.reports.record import AlarmChange, LoopRecord, Quality, QualityWindow
from driftloop.retraining.episode import Status

START = datetime(2013, 6, 3, tzinfo=UTC)


def _window(day: int, rows: int, served: float, static: float, auc: float | None = 0.7) -> QualityWindow:
    return QualityWindow(
        window_start=START + timedelta(days=day),
        rows=rows,
        served=Quality(log_loss=served, auc=auc),
        static=Quality(log_loss=static, auc=auc),
    )


def _change(alarm: str, hour: int, new: str) -> AlarmChange:
    return AlarmChange(alarm=alarm, at=START + timedelta(hours=hour), old="", new=new, reason=f"at {hour}")


def test_losses_are_weighted_by_rows() -> None:
    comparison = compare([_window(0, 100, 0.4, 0.5), _window(1, 300, 0.6, 0.7, auc=None)])
    assert comparison is not None
    assert comparison.rows == 400
    assert comparison.served == pytest.approx(0.55)
    assert comparison.gain == pytest.approx((0.65 - 0.55) / 0.65)
    assert comparison.served_auc == 0.7  # a day without an AUC does not count


def test_nothing_compares_to_nothing() -> None:
    assert compare([]) is None


def test_rolling_mean_spans_seven_days_of_time_not_seven_windows() -> None:
    windows = [_window(day, day + 1, float(day), 0.5) for day in (0, 1, 2, 6, 7, 20)]
    brute = []
    for last in windows:
        near = [w for w in windows if timedelta(0) <= last.window_start - w.window_start < timedelta(days=7)]
        brute.append(sum(w.rows * w.served.log_loss for w in near) / sum(w.rows for w in near))
    assert rolling(windows, lambda w: w.served.log_loss) == pytest.approx(brute)


def test_rolling_mean_of_the_whole_record_agrees_with_the_slow_way(record: LoopRecord) -> None:
    windows = windows_of(record)
    for position in (0, 3, 6, 7, 100, len(windows) - 1):
        near = windows[max(0, position - 6) : position + 1]
        slow = sum(w.rows * w.static.log_loss for w in near) / sum(w.rows for w in near)
        assert rolling(windows, lambda w: w.static.log_loss)[position] == pytest.approx(slow)


def test_interval_of_the_gain_holds_the_gain_and_needs_weeks(record: LoopRecord) -> None:
    windows = windows_of(record)
    comparison, interval = compare(windows), gain_interval(windows)
    assert comparison is not None
    assert interval is not None
    assert interval[0] < comparison.gain < interval[1]
    assert gain_interval(windows[:30]) is None


def test_interval_of_a_constant_gain_is_a_point() -> None:
    assert gain_interval([_window(day, 50, 0.45, 0.5) for day in range(70)]) == pytest.approx((0.1, 0.1))


def test_alarm_intervals_per_alarm_with_an_open_end() -> None:
    changes = [
        _change("b", 5, "ALARM"),
        _change("a", 1, "ALARM"),
        _change("a", 3, "OK"),
        _change("a", 8, "INSUFFICIENT_DATA"),
    ]
    first, second = alarm_intervals(changes)
    assert (first.alarm, first.start.hour, first.end and first.end.hour, first.reason) == ("a", 1, 3, "at 1")
    assert (second.alarm, second.start.hour, second.end) == ("b", 5, None)


def test_an_alarm_that_is_reported_twice_begins_once() -> None:
    (only,) = alarm_intervals([_change("a", 1, "ALARM"), _change("a", 2, "ALARM"), _change("a", 4, "OK")])
    assert (only.start.hour, only.end and only.end.hour) == (1, 4)


@pytest.mark.parametrize(
    ("arn", "number"),
    [("arn:aws:sagemaker:x:1:model-package/driftloop-a/12", 12), ("", None), ("arn:x/group", None), ("x/\u00b2", None)],
)
def test_version_of(arn: str, number: int | None) -> None:
    assert version_of(arn) == number


def test_alarm_signal() -> None:
    assert alarm_signal("driftloop-flight-delay-drift", "flight_delay") == "drift"
    assert alarm_signal("somebody-elses", "flight_delay") == "somebody-elses"


def test_the_first_version_is_no_retraining(record: LoopRecord) -> None:
    run = retrainings(record)
    asked = [episode for episode in record.summary.episodes if episode.status is not Status.REFUSED]
    assert len(run) == len(asked) - 1
    assert run[0].model_package_arn != record.summary.promotions[0].model_package_arn


def test_servings_are_the_promoted_versions(record: LoopRecord) -> None:
    assert [serving.version for serving in servings(record)] == [
        f"v{n + 1}" for n in range(len(record.summary.promotions))
    ]
