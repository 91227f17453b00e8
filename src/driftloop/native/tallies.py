"""A histogram and moments of some numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from driftloop.native.library import library

Values = np.ndarray[Any, Any]


class Tally(NamedTuple):
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
_tally.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_tally.restype = None


def tally(columns: Sequence[tuple[Values, Values, float, float]]) -> list[Tally]:
    """Tallies of several columns.

    Args:
        columns: of each its float64 values, ascending float64 edges of its cells, and the origin and the step of its
            sums, which are of whole steps from the origin; the step is a power of two.
    """
    arrays = [[np.ascontiguousarray(array, np.float64) for array in column[:2]] for column in columns]
    counts = [np.empty(len(edges) + 2, np.int64) for _, edges in arrays]
    tasks = (_Task * len(columns))(*(
        _Task(values.ctypes.data, len(values), edges.ctypes.data, len(edges), origin, step, counted.ctypes.data)
        for (values, edges), (_, _, origin, step), counted in zip(arrays, columns, counts, strict=True)
    ))  # fmt: skip
    _tally(tasks, len(tasks))
    steps = [(int(task.total), int(task.squares)) if task.exact else None for task in tasks]
    return [
        Tally(counted, task.known, task.low, task.high, sums)
        for task, counted, sums in zip(tasks, counts, steps, strict=True)
    ]
