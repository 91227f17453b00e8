"""A virtual clock that is put back after the test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from driftloop.twin.clock import VirtualClock

START = datetime(2013, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[VirtualClock]:
    """Set to START; the time of this process follows it until the test ends."""
    made = VirtualClock(tmp_path / "clock", START)
    yield made
    made._travel.stop()
