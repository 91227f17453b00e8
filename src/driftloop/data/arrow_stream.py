"""CSV text to buffers, by Arrow's reader: https://arrow.apache.org/docs/format/CDataInterface.html

The reader's own Python interface keeps the interpreter's lock while it reads. The C interface, which is stable and
documented, is called through ctypes, which gives the lock away: two pieces are read at the same time.
"""

from __future__ import annotations

import ctypes
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
from arro3.core import Schema
from arro3.io import read_csv

Values = np.ndarray[Any, Any]


class ArrowArray(ctypes.Structure):
    """``struct ArrowArray``."""


class ArrowStream(ctypes.Structure):
    """``struct ArrowArrayStream``."""


_Release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_GetNext = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
ArrowArray._fields_ = [
    *((name, ctypes.c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowArray))),
    ("dictionary", ctypes.POINTER(ArrowArray)),
    ("release", _Release),
    ("private_data", ctypes.c_void_p),
]
ArrowStream._fields_ = [
    ("get_schema", ctypes.c_void_p),
    ("get_next", _GetNext),
    ("get_last_error", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype = ctypes.c_void_p
_pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]


@contextmanager
def csv_batch(text: bytes, schema: Schema, rows: int, quote: str = '"') -> Iterator[ArrowArray | None]:
    """All rows of a text as one batch; None if Arrow finds a fault in it or other than ``rows`` rows."""
    # Arrow quotes what it refuses, and its C interface ends the process if that has a zero byte. It drops a byte order mark
    # before the first cell, which is part of the cell to everybody else.
    if b"\0" in text or text.startswith(BOM_UTF8):
        yield None
        return
    # The stream lives as long as its capsule, and reads from the text.
    capsule = read_csv(text, schema, has_header=False, batch_size=rows, quote=quote).__arrow_c_stream__()
    stream = ArrowStream.from_address(_pointer_of(capsule, b"arrow_array_stream"))
    batch = ArrowArray()
    failed = stream.get_next(ctypes.addressof(stream), ctypes.addressof(batch))
    try:
        yield batch if not failed and batch.release and batch.length == rows else None
    finally:
        if batch.release:
            batch.release(ctypes.addressof(batch))


def children(batch: ArrowArray) -> list[ArrowArray]:
    """Its columns."""
    return [batch.children[place].contents for place in range(batch.n_children)]


def numbers(array: ArrowArray) -> tuple[Values, int]:
    """A float64 column, null as NaN, and the number of nulls. A copy."""
    values = _buffer(array, 1, array.length, np.float64)
    nulls = _nulls(array)
    return (values, 0) if nulls is None else (np.where(nulls, np.nan, values), int(nulls.sum()))


def codes(array: ArrowArray) -> tuple[Values, list[str]]:
    """A dictionary column: the distinct texts, '' for null at the end, and the place of each value among them. Copies."""
    names = texts(array.dictionary.contents)
    places = _buffer(array, 1, array.length, np.int32)
    nulls = _nulls(array)
    return places if nulls is None else np.where(nulls, len(names), places), [*names, ""]


def texts(array: ArrowArray) -> list[str]:
    """A column of text; null is ''. A copy."""
    data, ends = content(array), spans(array)
    text = data.decode() if data.isascii() else None
    places = pairwise(ends.tolist())
    return [data[a:b].decode() for a, b in places] if text is None else [text[a:b] for a, b in places]


def content(array: ArrowArray) -> bytes:
    """All texts of a column, one after the other. A copy."""
    size = int(spans(array)[-1])
    return ctypes.string_at(array.buffers[2], size) if size else b""


def fixed_width(array: ArrowArray, width: int) -> Values | None:
    """A column of text of one width in bytes as a matrix of bytes, one row a value; None if a width differs. A copy."""
    if (np.diff(spans(array)) != width).any():
        return None
    return _buffer(array, 2, array.length * width, np.uint8).reshape(-1, width)


def is_always(array: ArrowArray, text: bytes) -> bool:
    """Whether all values of a column of text are the same given one."""
    same_width = bool((np.diff(spans(array)) == len(text)).all())
    return same_width and content(array) == text * array.length


def spans(array: ArrowArray) -> Values:
    """Where the values of a column of text begin in its buffer, and the last ends. A copy."""
    return _buffer(array, 1, array.length + 1, np.int32)


def _nulls(array: ArrowArray) -> Values | None:
    if not array.null_count:
        return None
    known = np.unpackbits(_buffer(array, 0, -(-array.length // 8), np.uint8), count=array.length, bitorder="little")
    return np.equal(known, 0)


def _buffer(array: ArrowArray, place: int, count: int, kind: type[np.generic]) -> Values:
    size = count * np.dtype(kind).itemsize
    return np.frombuffer(ctypes.string_at(array.buffers[place], size), kind)
