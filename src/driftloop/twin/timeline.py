"""What happens when: timers, schedules and alarms in virtual time, run in order while the clock is moved."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from driftloop.twin.clock import VirtualClock

PATIENCE_SECONDS = 900
"""Real time after which work that does not come to rest is an error."""
BUSY_SECONDS = 30
"""Real time for which moving the clock waits for somebody else who moves it."""
_POLL_SECONDS = 0.002
LAG_SECONDS = 12 * 3600
"""Virtual time by which consumers may fall behind before the clock waits for them."""


class Source(Protocol):
    """Something that is due at certain times."""

    def next_due(self) -> float | None:
        """When it next wants to run, if ever."""
        ...

    def run_due(self) -> None:
        """Run everything that is due now."""
        ...


class TwinStuckError(Exception):
    """Work that should have come to rest has not."""


class ClockBusyError(Exception):
    """The clock is being moved already."""


@dataclass(order=True)
class _Timer:
    due: float
    number: int
    settles: bool = field(compare=False)
    action: Callable[[], None] = field(compare=False)


class Timeline:
    """Moves the clock from one due time to the next.

    Schedules, alarms and timers that settle see a world at rest: everything that was set off before them has ended.
    Other timers and plain passing of time do not wait: consumers may lag behind, as they do in AWS, by LAG_SECONDS.
    """

    def __init__(self, clock: VirtualClock, idle: Callable[[], bool]) -> None:
        self._clock = clock
        self._idle = idle
        self._sources: Sequence[Source] = ()
        self._timers: list[_Timer] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._moving = threading.Lock()
        self._settled = clock.now()
        self.hasten: Callable[[], None] = lambda: None
        """Told that somebody waits for the consumers."""
        self.relax: Callable[[], None] = lambda: None
        """Told that nobody does."""
        self.skipped: Callable[[float], None] = lambda _seconds: None
        """Told by how much the clock was moved."""

    def add_sources(self, *sources: Source) -> None:
        """Register sources; they are asked in this order."""
        self._sources = (*self._sources, *sources)

    def after(self, seconds: float, action: Callable[[], None], settles: bool = True) -> None:
        """Run something once, later."""
        with self._lock:
            heapq.heappush(self._timers, _Timer(self._clock.now() + seconds, next(self._numbers), settles, action))

    def tick(self) -> None:
        """Run what is due by now. Called every second while nobody moves the clock."""
        if self._moving.acquire(blocking=False):
            try:
                self._run_due()
            finally:
                self._moving.release()

    def advance(self, target: float) -> None:
        """Move the clock to ``target`` (seconds since the epoch) through everything that is due before it."""
        if not self._moving.acquire(timeout=BUSY_SECONDS):
            raise ClockBusyError("the clock is being moved already; wait, or end the twin with `driftloop down`")
        try:
            self._run_due()
            while True:
                due, settles = self._next()
                if due is None or due > target:
                    break
                if settles:
                    self.settle()
                self._move(due)
                self._run_due()
                if settles:
                    self.settle()
            self._move(target)
            self.relax()
        finally:
            self._moving.release()

    def settle(self) -> None:
        """Wait until everything that was set off has ended. Raises TwinStuckError."""
        self.hasten()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._idle():
            if time.monotonic() > deadline:
                raise TwinStuckError(f"work did not come to rest within {PATIENCE_SECONDS} s")
            time.sleep(_POLL_SECONDS)
        self._settled = self._clock.now()

    def _move(self, moment: float) -> None:
        if moment - self._settled > LAG_SECONDS:
            self.settle()
        before = self._clock.now()
        self._clock.move_to(moment)
        self.skipped(max(0.0, moment - before))

    def _next(self) -> tuple[float | None, bool]:
        with self._lock:
            timer = self._timers[0] if self._timers else None
        dues = [due for source in self._sources if (due := source.next_due()) is not None]
        if timer and (not dues or timer.due < min(dues)):
            return timer.due, timer.settles
        return (min(dues), True) if dues else (None, False)

    def _run_due(self) -> None:
        while True:
            with self._lock:
                if not self._timers or self._timers[0].due > self._clock.now():
                    break
                timer = heapq.heappop(self._timers)
            timer.action()
        for source in self._sources:
            source.run_due()
