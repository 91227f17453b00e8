"""Moving the clock: what is due runs in order, and schedules see a world at rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from driftloop.twin import timeline as module
from driftloop.twin.clock import VirtualClock
from driftloop.twin.timeline import LAG_SECONDS, Timeline, TwinStuckError

from .conftest import START

T0 = START.timestamp()
HOUR = 3600.0


class Every:
    """A source that is due every so many seconds."""

    def __init__(self, clock: VirtualClock, name: str, period: float, log: list[tuple[str, float]]) -> None:
        self._clock, self._name, self._period, self._log = clock, name, period, log
        self._next = T0 + period

    def next_due(self) -> float | None:
        return self._next

    def run_due(self) -> None:
        if self._clock.now() >= self._next:
            self._log.append((self._name, self._next - T0))
            self._next += self._period


@pytest.fixture
def log() -> list[tuple[str, float]]:
    return []


def stamp(clock: VirtualClock, log: list[tuple[str, float]], name: str) -> Callable[[], None]:
    return lambda: log.append((name, float(round(clock.now() - T0))))


def test_sources_and_timers_run_in_the_order_of_their_times(clock: VirtualClock, log: list[tuple[str, float]]) -> None:
    timeline = Timeline(clock, lambda: True)
    timeline.add_sources(Every(clock, "hourly", HOUR, log), Every(clock, "slow", 2.5 * HOUR, log))
    timeline.after(1.5 * HOUR, stamp(clock, log, "timer"))
    timeline.after(90, stamp(clock, log, "early"))
    timeline.advance(T0 + 3 * HOUR)
    assert log == [
        ("early", 90), ("hourly", HOUR), ("timer", 1.5 * HOUR), ("hourly", 2 * HOUR), ("slow", 2.5 * HOUR),
        ("hourly", 3 * HOUR),
    ]  # fmt: skip


def test_each_due_is_seen_at_its_own_time_and_the_clock_ends_at_the_target(clock: VirtualClock) -> None:
    seen: list[float] = []

    class Source:
        def next_due(self) -> float | None:
            return T0 + 100 if not seen else None

        def run_due(self) -> None:
            if clock.now() >= T0 + 100:
                seen.append(clock.now() - T0)

    timeline = Timeline(clock, lambda: True)
    timeline.add_sources(Source())
    timeline.advance(T0 + HOUR)
    assert 100 <= seen[0] < 105
    assert HOUR <= clock.now() - T0 < HOUR + 5


def test_timers_at_one_moment_run_in_the_order_they_were_set(clock: VirtualClock, log: list[tuple[str, float]]) -> None:
    timeline = Timeline(clock, lambda: True)
    for name in ("a", "b", "c"):
        timeline.after(60, stamp(clock, log, name))
    timeline.advance(T0 + 120)
    assert [name for name, _ in log] == ["a", "b", "c"]


def test_a_timer_may_set_another_one(clock: VirtualClock, log: list[tuple[str, float]]) -> None:
    timeline = Timeline(clock, lambda: True)
    timeline.after(60, lambda: timeline.after(60, stamp(clock, log, "second")))
    timeline.advance(T0 + 90)
    assert log == []
    timeline.advance(T0 + 200)
    assert [name for name, _ in log] == ["second"]


def test_what_is_due_after_the_target_waits(clock: VirtualClock, log: list[tuple[str, float]]) -> None:
    timeline = Timeline(clock, lambda: True)
    timeline.add_sources(Every(clock, "hourly", HOUR, log))
    timeline.advance(T0 + HOUR - 10)
    assert log == []


class Work:
    """Work that is under way from when it is set off until somebody has waited for it twice."""

    def __init__(self) -> None:
        self.left = 0
        self.waits = 0

    def idle(self) -> bool:
        self.waits += 1
        self.left = max(0, self.left - 1)
        return self.left == 0


def test_sources_see_a_world_at_rest(clock: VirtualClock) -> None:
    work, seen = Work(), []

    class Source:
        due = T0 + 60

        def next_due(self) -> float | None:
            return self.due

        def run_due(self) -> None:
            if clock.now() >= self.due:
                seen.append(work.left)
                self.due += 60
                work.left = 3

    timeline = Timeline(clock, work.idle)
    timeline.add_sources(Source())
    work.left = 3
    timeline.advance(T0 + 181)
    assert seen == [0, 0, 0]


def test_a_timer_that_settles_waits_and_one_that_does_not_does_not(clock: VirtualClock) -> None:
    work, seen = Work(), []
    timeline = Timeline(clock, work.idle)
    work.left = 3
    timeline.after(60, lambda: seen.append(work.left), settles=False)
    timeline.advance(T0 + 61)
    timeline.after(60, lambda: seen.append(work.left))
    timeline.advance(T0 + 180)
    assert seen == [3, 0]


def test_consumers_may_lag_by_some_hours_and_no_more(clock: VirtualClock) -> None:
    work = Work()
    timeline = Timeline(clock, work.idle)
    timeline.advance(T0 + LAG_SECONDS - 60)
    assert work.waits == 0
    timeline.advance(T0 + LAG_SECONDS + 60)
    assert work.waits > 0
    before = work.waits
    timeline.advance(T0 + LAG_SECONDS + 120)
    assert work.waits == before, "the count starts anew after each rest"


def test_it_tells_how_far_the_clock_was_moved_and_who_waits(clock: VirtualClock) -> None:
    told: list[str] = []
    moved: list[float] = []
    timeline = Timeline(clock, lambda: True)
    timeline.hasten, timeline.relax = lambda: told.append("hasten"), lambda: told.append("relax")
    timeline.skipped = moved.append
    timeline.after(60, lambda: None)
    timeline.advance(T0 + 600)
    assert told == ["hasten", "hasten", "relax"]
    assert sum(moved) == pytest.approx(600, abs=5)
    timeline.advance(T0)
    assert min(moved) >= 0, "a move into the past moves nothing"


def test_work_that_never_ends_is_an_error(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    timeline = Timeline(clock, lambda: False)
    with pytest.raises(TwinStuckError, match="come to rest"):
        timeline.settle()


def test_a_failing_step_leaves_the_timeline_usable(clock: VirtualClock, log: list[tuple[str, float]]) -> None:
    timeline = Timeline(clock, lambda: True)

    def fail() -> None:
        raise KeyError

    timeline.after(60, fail)
    timeline.after(120, stamp(clock, log, "later"))
    with pytest.raises(KeyError):
        timeline.advance(T0 + 300)
    timeline.advance(T0 + 300)
    assert [name for name, _ in log] == ["later"]


def test_real_time_runs_what_is_due_but_never_while_the_clock_is_moved(clock: VirtualClock) -> None:
    seen: list[str] = []
    timeline = Timeline(clock, lambda: True)
    timeline.after(0, lambda: seen.append("tick"))
    timeline.tick()
    assert seen == ["tick"]
    thread = threading.Thread(target=timeline.tick)

    def during() -> None:
        thread.start()
        thread.join(5)
        seen.append("moved")

    timeline.after(60, during)
    timeline.after(60, lambda: seen.append("next"))
    timeline.advance(T0 + 120)
    assert not thread.is_alive()
    assert seen == ["tick", "moved", "next"]


def test_moves_from_two_sides_follow_each_other(clock: VirtualClock) -> None:
    running: list[int] = []
    timeline = Timeline(clock, lambda: True)
    count = iter(range(100))

    def step() -> None:
        running.append(next(count))
        time.sleep(0.01)

    for number in range(1, 5):
        timeline.after(60 * number, step)
    threads = [threading.Thread(target=timeline.advance, args=(T0 + 300,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert running == [0, 1, 2, 3]
