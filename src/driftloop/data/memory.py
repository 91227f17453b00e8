"""How the C library keeps memory for what is read piece by piece."""

from __future__ import annotations

import ctypes
from functools import cache

_OPTIONS = (
    (-3, 32 * 1024 * 1024),  # M_MMAP_THRESHOLD, the most that glibc takes: larger blocks are not kept.
    (-1, 128 * 1024 * 1024),  # M_TRIM_THRESHOLD: more than all pieces that are in memory at a time.
    (-8, 1),  # M_ARENA_MAX: what one thread frees another may use.
)


@cache
def keep_freed_memory() -> None:
    """Have the C library take the memory for one piece from that of the one before; for the whole process, for good.

    Otherwise it gives every larger block back to the system and gets a new one page by page, which takes as long as
    filling it. Does nothing without glibc (mallopt(3)).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option in _OPTIONS:
            mallopt(*option)
