"""Streams whose changes are known: what moves, when, and whether retraining can win anything back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from driftloop.data.schema import Columns

Days = np.ndarray[Any, np.dtype[np.float64]]
START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS, ROWS = 150, 1000
"""Length of a stream, and rows of a day."""
_REGIONS, _PLANS = ["north", "south", "east", "west"], ["basic", "plus", "pro"]


@dataclass(frozen=True)
class World:
    """How a stream moves. Both functions take days since the start.

    ``usage`` moves by ``shift`` standard deviations; ``turn`` (0 to 1) says how far what leads to label 1 has turned
    into something else, which only retraining can learn.
    """

    shift: Callable[[Days], Days]
    turn: Callable[[Days], Days]
    changes: tuple[int, ...] = ()
    """Days at whose start something changes at once or begins to."""


def _step(*days: int) -> Callable[[Days], Days]:
    """0 before the first day, 1 until the second, then 0 again, and so on."""
    return lambda t: np.asarray(sum(np.where(t >= day, 1.0, 0.0) for day in days) % 2)


def _ramp(first: int, last: int) -> Callable[[Days], Days]:
    return lambda t: np.clip((t - first) / (last - first), 0.0, 1.0)


def _scaled(size: float, form: Callable[[Days], Days]) -> Callable[[Days], Days]:
    return lambda t: size * form(t)


def _still(t: Days) -> Days:
    return np.zeros_like(t)


def _season(t: Days) -> Days:
    return np.asarray(0.3 * np.sin(2 * np.pi * t / 28))


WORLDS = {
    "none": World(_still, _still),
    "abrupt": World(_scaled(0.5, _step(70, 110)), _step(70, 110), (70, 110)),
    "gradual": World(_scaled(1.0, _ramp(70, 110)), _ramp(70, 110), (70,)),
    "recurring": World(_scaled(0.5, _step(60, 80, 100, 120)), _step(60, 80, 100, 120), (60, 80, 100, 120)),
    "seasonal": World(_season, _still),
}
"""``seasonal`` moves within what training has seen, and turns nothing: nothing can be won by retraining."""


def change_points(name: str) -> tuple[datetime, ...]:
    """When the stream of a name changes."""
    return tuple(START + timedelta(days=day) for day in WORLDS[name].changes)


def generate(world: World, seed: int, days: int = DAYS, rows: int = ROWS) -> Columns:
    """Payload columns and label of a stream; the same seed gives the same rows."""
    rng = np.random.default_rng(seed)
    size = days * rows
    seconds = np.sort(rng.integers(0, days * 86400, size))
    t = seconds / 86400
    usage = rng.normal(size=size) + world.shift(t)
    price = np.clip(rng.gamma(4.0, 12.0, size), 1, 499)
    tenure = np.minimum(np.floor(rng.exponential(24, size)), 599)
    age = np.clip(np.round(rng.normal(44, 15, size)), 18, 99)
    region = rng.choice(_REGIONS, size, p=[0.4, 0.3, 0.2, 0.1])
    plan = rng.choice(_PLANS, size, p=[0.6, 0.3, 0.1])
    turn = world.turn(t)
    logit = -0.8 + (1.2 - 1.8 * turn) * usage + 0.015 * (price - 48) - 0.02 * (tenure - 24) + 0.5 * (plan == "basic")
    logit += 0.4 * (region == "west") + 0.6 * turn
    late = rng.random(size) < 1 / (1 + np.exp(-logit))
    return {
        "row_id": np.array([f"row-{number:07d}" for number in range(size)], dtype=object),
        "happened_at": np.datetime64(START.replace(tzinfo=None), "s") + seconds.astype("timedelta64[s]"),
        "usage": np.round(usage, 4),
        "price": np.round(price, 2),
        "tenure": tenure,
        "age": age,
        "region": region.astype(object),
        "plan": plan.astype(object),
        "leaves": late.astype(np.int8),
    }
