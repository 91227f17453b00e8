"""SageMaker data capture: one JSON record a line, many rows a record, as columns.

What cannot be read is quarantined with its line, byte offset and reason; the rest of the object is still counted:
captured = counted + quarantined. Memory is bounded, however large the object and however much of it is bad.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from itertools import chain, islice
from typing import TypeVar

import numpy as np

from driftloop.data.decoded import SCORE, Decoded, Quarantined, join_decoded, shortened
from driftloop.data.line_by_line import decode_lines
from driftloop.data.lines import MAX_LINE, Piece, cut_lines
from driftloop.data.schema import Schema

try:
    from driftloop.data.plain_rows import plain_rows
except ImportError:
    # Its libraries are not in SageMaker's containers.
    plain_rows = None  # type: ignore[assignment]

__all__ = ["MAX_LINE", "SCORE", "Decoded", "Quarantined", "decode_capture"]

PART = 16 * 1024 * 1024
"""Bytes of input after which a part is handed on."""
_WORKERS = 2
_AHEAD = 4
"""Pieces that are read ahead of whoever takes the parts, so that reading goes on while a part is being counted."""
_NEWLINE = 10
_FEW = 4096
"""Bytes below which cutting on costs more than reading line by line."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def decode_capture(schema: Schema, blocks: Iterable[bytes]) -> Iterator[Decoded]:
    """Read one capture object in order, part by part. How the blocks are cut makes no difference.

    An object without anything in it gives no part.
    """
    _keep_freed_memory()
    held: list[Decoded] = []
    size = lines = offset = 0
    for decoded, read, count in _side_by_side(partial(_decode, schema), cut_lines(blocks)):
        for part in decoded:
            part.quarantined[:] = [refused.moved(lines, offset) for refused in part.quarantined]
        held, size, lines, offset = [*held, *decoded], size + read, lines + count, offset + read
        if size >= PART:
            yield join_decoded(held)
            held, size = [], 0
    if held:
        yield join_decoded(held)


def _decode(schema: Schema, piece: Piece) -> tuple[list[Decoded], int, int]:
    """One piece, its bytes and lines; places are counted from its beginning."""
    decoded = list(_parts(schema, piece.data, piece.size))
    # By piece, so that what is told does not depend on how it was read.
    refused = shortened([item for part in decoded for item in part.quarantined])
    for part in decoded:
        part.quarantined[:], refused = refused, []
    # Three times as fast as counting in bytes, and other threads go on meanwhile.
    return decoded, piece.size, int(np.count_nonzero(np.frombuffer(piece.data, np.uint8) == _NEWLINE))


def _parts(schema: Schema, data: bytes, size: int) -> Iterator[Decoded]:
    """The fast way where it is sure; of what it leaves alone each half is tried again."""
    columns = plain_rows(schema, data) if plain_rows is not None and size == len(data) else None
    middle = data.find(b"\n", len(data) // 2) + 1
    if columns is not None:
        yield Decoded(columns)
    elif plain_rows is None or len(data) < _FEW or not 0 < middle < len(data):
        yield decode_lines(schema, data, size)
    else:
        yield from _parts(schema, data[:middle], middle)
        lines = data.count(b"\n", 0, middle)
        for part in _parts(schema, data[middle:], len(data) - middle):
            part.quarantined[:] = [refused.moved(lines, middle) for refused in part.quarantined]
            yield part


@cache
def _keep_freed_memory() -> None:
    """Have the C library reuse the memory of one piece for the next, which halves the time.

    Otherwise it gives every larger block back to the system and gets a new one, page by page. It learns the size of
    blocks that come and go from those that it frees (mallopt(3), M_MMAP_THRESHOLD); this one is never touched.
    """
    bytes(31 * 1024 * 1024)


def _side_by_side(work: Callable[[Item], Result], items: Iterator[Item]) -> Iterator[Result]:
    """Results in order; a few items are worked on at a time, unless there is one only."""
    first = list(islice(items, 2))
    if len(first) < 2:
        yield from map(work, first)
        return
    with ThreadPoolExecutor(_WORKERS) as pool:
        pending: deque[Future[Result]] = deque()
        for item in chain(first, items):
            pending.append(pool.submit(work, item))
            if len(pending) > _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
