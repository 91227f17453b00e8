"""False alarms: shuffled copies of a stream, in which nothing changes over time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import islice

from benchmarks.detection.replay import Policy, replay
from benchmarks.detection.stream import Stream, shuffled
from benchmarks.detection.versions import Workshop


def null_rate(
    stream: Stream,
    policies: dict[str, Callable[[], Policy]],
    first: datetime,
    copies: int,
    windows: int,
    seed: int,
    tick: Callable[[], object],
) -> dict[str, float]:
    """Share of windows with an alarm, for each policy, over some copies; the first version serves all the time.

    Args:
        windows: of each copy, the first so many are looked at.
    """
    alarms, seen = dict.fromkeys(policies, 0), dict.fromkeys(policies, 0)
    for copy in range(copies):
        workshop = Workshop(shuffled(stream, seed + copy))
        few = list(islice(workshop.stream.windows(first), windows))
        for name, make in policies.items():
            history = replay(workshop, make(), first, retrain=False, windows=few, tick=tick)
            alarms[name] += sum(history.alarms)
            seen[name] += len(history.windows)
    return {name: alarms[name] / seen[name] for name in policies if seen[name]}
