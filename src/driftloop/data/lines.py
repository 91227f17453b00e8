"""Bytes as they come from storage, cut at line ends. Where they are cut depends on what they are, not on how they came."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PIECE = 6 * 1024 * 1024
"""A piece ends at the first line end after each multiple of this."""
MAX_LINE = 8 * 1024 * 1024
"""Longest record in bytes. SageMaker's real-time payload limit is 6 MB and base64 adds a third."""
_SHOWN = 2000


@dataclass(frozen=True)
class Piece:
    """Whole lines of an object."""

    offset: int
    """Of its first byte in the object."""
    data: bytes
    size: int
    """Bytes of the object that it stands for; more than ``data`` has if it is one line longer than ``MAX_LINE``."""


def split_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of an object with their ends; of a line that is longer than ``MAX_LINE`` at least one byte more than that."""
    for piece in cut_lines(blocks):
        if piece.size > len(piece.data):
            yield piece.data + b" " * (MAX_LINE + 1 - len(piece.data))
        else:
            yield from io.BytesIO(piece.data)


def cut_lines(blocks: Iterable[bytes]) -> Iterator[Piece]:
    """Pieces of whole lines, together all of the object; memory is bounded even if a line never ends."""
    held: list[bytes | memoryview] = []
    offset = length = 0
    too_long = False
    for block in blocks:
        start = 0
        # Of a line that is too long only the end is looked for.
        while end := block.find(b"\n", start + (0 if too_long else max(0, _cut(offset) - 1 - offset - length))) + 1:
            if not too_long:
                held.append(memoryview(block)[start:end])
            length += end - start
            yield Piece(offset, b"".join(held), length)
            held, offset, length, start, too_long = [], offset + length, 0, end, False
        length += len(block) - start
        if too_long:
            continue
        held.append(memoryview(block)[start:])
        if offset + length - _cut(offset) > MAX_LINE:
            data = b"".join(held)
            begin = data.rfind(b"\n") + 1
            if begin:
                yield Piece(offset, data[:begin], begin)
            held, offset, length, too_long = [data[begin : begin + _SHOWN]], offset + begin, length - begin, True
    if length:
        yield Piece(offset, b"".join(held), length)


def _cut(offset: int) -> int:
    return (offset // PIECE + 1) * PIECE
