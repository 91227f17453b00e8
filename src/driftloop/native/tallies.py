"""A histogram and moments of some numbers."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop.native.library import library

Values = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tally:
    """What some numbers are; missing ones (NaN) count in the last cell only."""

    counts: Values
    """Values up to the first edge, up to each next one, beyond the last, and missing ones."""
    known: int
    low: float
    """Infinite, as ``high``, without any that is known."""
    high: float
    steps: tuple[int, int] | None
    """Sums of whole steps from the origin and of their squares; None if they are too large to be exact."""


class _Task(ctypes.Structure):
    _fields_ = (
        ("values", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("edges", ctypes.c_void_p),
        ("edges_size", ctypes.c_size_t),
        ("origin", ctypes.c_double),
        ("step", ctypes.c_double),
        ("counts", ctypes.c_void_p),
        ("known", ctypes.c_int64),
        ("low", ctypes.c_double),
        ("high", ctypes.c_double),
        ("total", ctypes.c_double),
        ("squares", ctypes.c_double),
        ("exact", ctypes.c_bool),
    )


_tally = library.driftloop_tally
_tally.argtypes = [ctypes.POINTER(_Task)]
_tally.restype = None


def tally(values: Values, edges: Values, origin: float, step: float) -> Tally:
    """Tally of float64 values on ascending float64 edges.

    Args:
        origin, step: sums are of whole steps from the origin; the step is a power of two.
    """
    values, edges = np.ascontiguousarray(values, np.float64), np.ascontiguousarray(edges, np.float64)
    counts = np.empty(len(edges) + 2, np.int64)
    task = _Task(
        values.ctypes.data, len(values), edges.ctypes.data, len(edges), origin, step, counts.ctypes.data
    )  # fmt: skip
    _tally(task)
    steps = (int(task.total), int(task.squares)) if task.exact else None
    return Tally(counts, task.known, task.low, task.high, steps)
