"""The virtual clock: ticks, only goes forward, and can be read by other processes."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from datetime import UTC, datetime

from driftloop.twin.clock import VirtualClock

from .conftest import START


def published(clock: VirtualClock) -> float:
    """The time that another process takes from the file, with the formula of the functions' runtime."""
    script = (
        "import struct, sys, time; v, m = struct.unpack('dd', open(sys.argv[1], 'rb').read()); "
        "print(v + time.monotonic() - m)"
    )
    told = subprocess.run([sys.executable, "-c", script, str(clock.path)], capture_output=True, check=True, text=True)
    return float(told.stdout)


def test_it_starts_where_told_and_ticks(clock: VirtualClock) -> None:
    first = clock.now()
    assert 0 <= first - START.timestamp() < 5
    time.sleep(0.02)
    assert 0.02 <= clock.now() - first < 5
    assert datetime.now(UTC).year == 2013, "the time of the whole process follows"


def test_it_moves_forward_and_never_back(clock: VirtualClock) -> None:
    clock.move_to(START.timestamp() + 86_400)
    assert 86_400 <= clock.now() - START.timestamp() < 86_405
    before = clock.path.read_bytes()
    clock.move_to(START.timestamp())
    assert clock.now() - START.timestamp() >= 86_400
    assert clock.path.read_bytes() == before


def test_another_process_tells_the_same_time(clock: VirtualClock) -> None:
    assert abs(published(clock) - clock.now()) < 1
    clock.move_to(START.timestamp() + 40 * 86_400)
    assert abs(published(clock) - clock.now()) < 1


def test_durations_stay_real(clock: VirtualClock) -> None:
    begun = time.monotonic()
    clock.move_to(START.timestamp() + 365 * 86_400)
    assert time.monotonic() - begun < 5
    assert struct.calcsize("dd") == len(clock.path.read_bytes())
