"""Cells of lines that are one form with blanks filled in, read into columns."""

from __future__ import annotations

import ctypes
import secrets
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np

from driftloop.native.library import library

Values = np.ndarray[Any, Any]


class Kind(IntEnum):
    """What the cells of a column are."""

    TEXT = 0
    NUMBER = 1
    CATEGORY = 2


@dataclass(frozen=True)
class Form:
    """Lines that differ in their blanks only."""

    texts: tuple[bytes, ...]
    """What stands before, between and after the blanks; the last one ends with the line. A blank ends where the next text
    begins, at a quotation mark or a line end; its cells hold neither of them, nor control characters and commas."""
    blanks: tuple[tuple[Kind, ...], ...]
    """Kinds of the cells of each blank; a blank without any is not looked into."""

    @cached_property
    def ascii(self) -> bool:
        """Whether all bytes around the blanks are ASCII."""
        return all(map(bytes.isascii, self.texts))

    @cached_property
    def compiled(self) -> tuple[bytes, Values, Values, Values]:
        """Texts and where they end, kinds and where they end."""
        kinds = [kind for blank in self.blanks for kind in blank]
        return (
            b"".join(self.texts),
            np.cumsum([len(text) for text in self.texts], dtype=np.uint32),
            np.array(kinds, dtype=np.uint8),
            np.cumsum([len(blank) for blank in self.blanks], dtype=np.uint32),
        )


@dataclass(frozen=True)
class Cells:
    """Columns of each kind, in order."""

    texts: list[tuple[bytes, Values]]
    """Of each column of text all texts, one below the other, without a line end behind the last one, and where they end."""
    numbers: Values
    """Columns x rows of float64; NaN is missing."""
    codes: Values
    """Columns x rows: the place of a category among its column's names."""
    names: list[list[str]]
    """Distinct texts of each column of categories, in order of appearance."""
    visible: bool
    """Whether texts have no character but visible ASCII."""
    ascii: bool
    """Whether all bytes in blanks are surely ASCII."""


class _Task(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("texts", ctypes.c_char_p),
        ("text_ends", ctypes.c_void_p),
        ("blanks", ctypes.c_size_t),
        ("kinds", ctypes.c_void_p),
        ("kind_ends", ctypes.c_void_p),
        ("rows", ctypes.c_size_t),
        ("content", ctypes.c_void_p),
        ("content_size", ctypes.c_size_t),
        ("content_ends", ctypes.c_void_p),
        ("numbers", ctypes.c_void_p),
        ("codes", ctypes.c_void_p),
        ("names", ctypes.c_void_p),
        ("name_counts", ctypes.c_void_p),
        ("slots", ctypes.c_void_p),
        ("slots_size", ctypes.c_size_t),
        ("seed", ctypes.c_uint64),
        ("visible", ctypes.c_bool),
        ("ascii", ctypes.c_bool),
    )


_read = library.driftloop_read_cells
_read.argtypes = [ctypes.POINTER(_Task)]
_read.restype = ctypes.c_bool
_SEED = secrets.randbits(64)
"""Of the hashes of categories, so that nobody can send names that all fall into one place. No result depends on it."""


_LONGEST = 257
"""Bytes that the texts of a column have on average at most, with a line end each: ids have 256."""


def read_cells(form: Form, data: bytes | memoryview, rows: int) -> Cells | None:
    """All cells of some lines, each ended, ``rows`` in number and less than 4 GiB; None if they are not surely good.

    Raises UnicodeDecodeError for a category that is no UTF-8.
    """
    form_text, text_ends, kinds, kind_ends = form.compiled
    # Each line has at least the form and its commas: what follows takes no more memory than the data allow.
    if rows * (len(form_text) + sum(max(0, len(blank) - 1) for blank in form.blanks)) > len(data):
        return None
    texts, numbers, categories = (int(np.count_nonzero(kinds == kind)) for kind in Kind)
    content = np.empty((texts, min(rows * _LONGEST, len(data))), dtype=np.uint8)
    ends = np.empty((texts, rows), dtype=np.uint32)
    values = np.empty((numbers, rows))
    codes = np.empty((categories, rows), dtype=np.int32)
    names = np.empty((categories, rows, 2), dtype=np.uint32)
    counts = np.zeros(categories, dtype=np.uint32)
    slots = np.zeros((categories, 1 << (2 * rows).bit_length()), dtype=np.uint32)
    task = _Task(
        np.frombuffer(data, np.uint8).ctypes.data, len(data), form_text, text_ends.ctypes.data,
        len(form.blanks), kinds.ctypes.data, kind_ends.ctypes.data,
        rows, content.ctypes.data, content.shape[1], ends.ctypes.data, values.ctypes.data, codes.ctypes.data, names.ctypes.data,
        counts.ctypes.data, slots.ctypes.data, slots.shape[1], _SEED,
    )  # fmt: skip
    if not _read(task):
        return None
    return Cells(
        [(column[: end[-1]].tobytes(), end) for column, end in zip(content, ends, strict=True)],
        values,
        codes,
        [_names(data, spans[:count]) for spans, count in zip(names, counts.tolist(), strict=True)],
        task.visible,
        task.ascii,
    )


def _names(data: bytes | memoryview, spans: Values) -> list[str]:
    return [str(data[begin:end], "utf-8") for begin, end in spans.tolist()]
