"""Bytes as they come from storage, cut at line ends. Where they are cut depends on what they are, not on how they came, but
for lines that are too long."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

PIECE = 15 * 256 * 1024
"""A piece ends at the first line end after each multiple of this. Somewhat less than numpy asks for huge pages for, which
come late where the system has to get them from its host."""
MAX_LINE = 8 * 1024 * 1024
"""Longest record in bytes. SageMaker's real-time payload limit is 6 MB and base64 adds a third."""
_SHOWN = 2000
USUAL_LINE = 64 * 1024
"""What lines are hardly ever longer than."""


@dataclass(frozen=True)
class Piece:
    """Whole lines of an object."""

    offset: int
    """Of its first byte in the object."""
    data: memoryview
    size: int
    """Bytes of the object that it stands for; more than ``data`` has if it is one line longer than ``MAX_LINE``."""


def split_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of an object with their ends; of a line that is longer than ``MAX_LINE`` at least one byte more than that."""
    for piece in cut_lines(blocks):
        if piece.size > len(piece.data):
            yield bytes(piece.data) + b" " * (MAX_LINE + 1 - len(piece.data))
        else:
            yield from io.BytesIO(piece.data)


def cut_lines(blocks: Iterable[bytes]) -> Iterator[Piece]:
    """Pieces of whole lines, together all of the object; memory is bounded even if a line never ends."""
    held = _Held()
    offset = length = 0
    too_long = False
    for block in blocks:
        start = 0
        # Of a line that is too long only the end is looked for.
        while end := block.find(b"\n", start + (0 if too_long else max(0, _cut(offset) - 1 - offset - length))) + 1:
            if not too_long:
                held.add(memoryview(block)[start:end])
            length += end - start
            yield Piece(offset, held.content, length)
            held, offset, length, start, too_long = _Held(), offset + length, 0, end, False
        length += len(block) - start
        if too_long:
            continue
        held.add(memoryview(block)[start:])
        if offset + length - _cut(offset) > MAX_LINE:
            data = bytes(held.content)
            begin = data.rfind(b"\n") + 1
            if begin:
                yield Piece(offset, held.content[:begin], begin)
            held, offset, length, too_long = _Held(), offset + begin, length - begin, True
            held.add(memoryview(data)[begin : begin + _SHOWN])
    if length:
        yield Piece(offset, held.content, length)


class _Held:
    """Bytes that are put together as they come: they are still in the processor's cache then."""

    def __init__(self) -> None:
        self._room = memoryview(bytearray())
        self._size = 0

    @property
    def content(self) -> memoryview:
        return self._room[: self._size]

    def add(self, some: memoryview) -> None:
        size = self._size + len(some)
        if size > len(self._room):
            room = np.empty(max(PIECE + USUAL_LINE, 2 * size), np.uint8).data
            room[: self._size] = self.content
            self._room = room
        self._room[self._size : size] = some
        self._size = size


def is_full(piece: Piece) -> bool:
    """Whether a piece is as large as pieces are, so that more may well follow."""
    return piece.size >= PIECE


def _cut(offset: int) -> int:
    return (offset // PIECE + 1) * PIECE
