"""One clock for the twin and all its processes. It ticks like a real one and can be moved forward."""

from __future__ import annotations

import struct
import time
from datetime import UTC, datetime
from pathlib import Path

import time_machine

_FORMAT = struct.Struct("dd")
"""Virtual time and the machine's monotonic time at which it was set: enough for any process to tell the time."""


class VirtualClock:
    """The time that the twin lives in. Moving it changes ``time.time()`` of this process."""

    def __init__(self, path: Path, start: datetime) -> None:
        self.path = path
        self._real_monotonic = time.monotonic
        self._travel = time_machine.travel(start, tick=True)
        self._machine = self._travel.start()
        self._publish()

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def move_to(self, moment: float) -> None:
        """Set the clock forward. Time that has passed already stays passed."""
        if moment > time.time():
            self._machine.move_to(datetime.fromtimestamp(moment, UTC), tick=True)
            self._publish()

    def _publish(self) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(_FORMAT.pack(time.time(), self._real_monotonic()))
        fresh.replace(self.path)
