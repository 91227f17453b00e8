"""Virtual time: events in order, and workers that give way whenever they call out, so that they meet as they would."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from greenlet import getcurrent, greenlet


class Engine:
    """A queue of moments. Nothing here waits: the next moment is now."""

    def __init__(self, start: datetime) -> None:
        self.now = self._end = start
        self._moments: list[tuple[datetime, int, Callable[[], object]]] = []
        self._count = 0
        self._hub = self._turn = getcurrent()

    def at(self, moment: datetime, act: Callable[[], object]) -> None:
        """Do something at a moment; moments in the past are now. Of two at once the first that was asked comes first."""
        self._count += 1
        heapq.heappush(self._moments, (max(moment, self.now), self._count, act))

    def after(self, period: timedelta, act: Callable[[], object]) -> None:
        """Do something in a while."""
        self.at(self.now + period, act)

    def every(self, period: timedelta, act: Callable[[], object]) -> None:
        """Do something again and again, for the first time in one period."""

        def once() -> None:
            act()
            self.after(period, once)

        self.after(period, once)

    def run(self, period: timedelta) -> None:
        """Let time pass."""
        end = self._end = self.now + period
        self._hub = getcurrent()
        while self._moments and self._moments[0][0] <= end:
            self.now, _, act = heapq.heappop(self._moments)
            act()
        self.now = end

    def work(self, job: Callable[[], None]) -> greenlet:
        """Begin a job that may ``pause``. It must not raise."""
        worker = greenlet(job, parent=self._hub)
        worker.switch()
        return worker

    def pause(self, period: timedelta) -> None:
        """Give way for a while; what is not a job goes on at once."""
        me = getcurrent()
        if me is self._hub:
            return
        then = self.now + period
        if me is self._turn and then <= self._end and (not self._moments or then < self._moments[0][0]):
            # Nothing happens meanwhile, so nobody else's turn comes. In its first stretch a job lets the one that began
            # it go on.
            self.now = then
            return

        def resume() -> None:
            if not me.dead:
                self._turn = me
                me.switch()

        self.at(then, resume)
        self._hub.switch()
