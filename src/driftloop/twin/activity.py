"""Counts work under way, so that the clock can wait until everything that was set off has come to rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WHOLE = threading.RLock()
"""Held while several things change of which a picture of the twin must show all or none. Nobody who holds it may call the
twin's own API."""


class Activity:
    """A counter of running work. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._begun = 0

    @property
    def begun(self) -> int:
        """Pieces of work that were ever begun: if it has not changed, nothing began in between."""
        return self._begun

    @property
    def running(self) -> int:
        """Pieces of work under way."""
        return self._running

    @contextmanager
    def work(self) -> Iterator[None]:
        """Counts as running inside the block."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """Something starts."""
        with self._lock:
            self._running += 1
            self._begun += 1

    def end(self) -> None:
        """It has ended."""
        with self._lock:
            self._running -= 1

    def spawn(self, name: str, target: Callable[[], None]) -> None:
        """Run something in a thread; it counts from now on, not from when the thread gets going."""
        self.begin()

        def run() -> None:
            try:
                target()
            finally:
                self.end()

        threading.Thread(target=run, name=name, daemon=True).start()
