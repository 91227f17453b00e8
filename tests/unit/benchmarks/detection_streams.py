"""A small stream for the tests of the detection benchmark: a few weeks, few rows, quick fits."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from benchmarks.detection.generated import START, WORLDS, World, generate
from benchmarks.detection.sources import default_spec
from benchmarks.detection.stream import Stream, read_spec, read_stream
from benchmarks.detection.versions import Workshop
from driftloop.data.schema import Schema
from driftloop.data.tables import write_table

DAYS, ROWS = 45, 80
SETTINGS: dict[str, Any] = {
    "training.window": "20d",
    "training.holdout": "5d",
    "training.min_rows": 100,
    "training.hyperparameters": {"max_iter": 5},
    "monitoring.min_rows": 20,
    "gate.slices": ["plan"],
}
FIRST: datetime = START + timedelta(days=27)
_DAY = 33
CHANGE: datetime = START + timedelta(days=_DAY)


MOVED = World(lambda t: np.where(t >= _DAY, 3.0, 0.0), lambda t: np.where(t >= _DAY, 1.0, 0.0))
"""Usage moves by three deviations on the day of CHANGE, and means the opposite from then on."""


@cache
def small_stream(world: World = WORLDS["none"]) -> Stream:
    """The same object for all tests of a process."""
    spec = read_spec(_spec(), SETTINGS)
    return read_stream(spec, write_table(Schema.from_spec(spec.compiled()), generate(world, 1, DAYS, ROWS)))


@cache
def workshop(world: World = WORLDS["none"]) -> Workshop:
    """Trains on the small stream, each version once for all tests of a process."""
    return Workshop(small_stream(world))


def _spec() -> Any:
    path = default_spec("none")
    assert path is not None
    return path
