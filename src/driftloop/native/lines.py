"""Lines of text: how many there are, and their hashes."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from driftloop.native.library import library

_line_ends = library.driftloop_line_ends
_line_ends.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_line_ends.restype = ctypes.c_size_t
_line_hashes = library.driftloop_line_hashes
_line_hashes.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t]
_line_hashes.restype = ctypes.c_bool


def line_ends(data: bytes | memoryview) -> int:
    """How many lines end in some bytes."""
    return int(_line_ends(np.frombuffer(data, np.uint8).ctypes.data, len(data))) if len(data) else 0


def line_hashes(text: bytes, count: int) -> np.ndarray[Any, Any] | None:
    """CRC-32 of each line of a text without a line end at its end; None if there are other than ``count`` lines."""
    hashes = np.empty(count, np.uint32)
    return hashes if _line_hashes(text, len(text), hashes.ctypes.data, count) else None
