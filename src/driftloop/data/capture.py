"""SageMaker data capture: one JSON record a line, many rows a record, as columns.

What cannot be read is quarantined with its line, byte offset and reason; the rest of the object is still counted:
captured = counted + quarantined. Memory is bounded, however large the object and however much of it is bad.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from driftloop.data.decoded import SCORE, Decoded, Quarantined, join_decoded, shortened
from driftloop.data.line_by_line import decode_lines
from driftloop.data.lines import MAX_LINE, Piece, cut_lines, is_full
from driftloop.data.memory import keep_freed_memory
from driftloop.data.schema import Schema

try:
    from driftloop.data.plain_rows import plain_rows
    from driftloop.native.lines import line_ends
except ImportError:
    # What they need is not in SageMaker's containers.
    plain_rows = None  # type: ignore[assignment]

    def line_ends(data: bytes | memoryview) -> int:
        """How many lines end in some bytes."""
        return bytes(data).count(b"\n")


__all__ = ["MAX_LINE", "SCORE", "Decoded", "Quarantined", "decode_capture"]

_AHEAD = 3
"""Pieces that are read ahead of whoever takes the parts, so that reading goes on while a part is being counted."""
_FEW = 4096
"""Bytes below which cutting on costs more than reading line by line."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def decode_capture(schema: Schema, blocks: Iterable[bytes]) -> Iterator[Decoded]:
    """Read one capture object in order, part by part. How the blocks are cut makes no difference.

    An object without anything in it gives no part.
    """
    keep_freed_memory()
    pieces = cut_lines(blocks)
    first = list(islice(pieces, 1))
    # Threads are for objects of which more comes: most hold minutes of traffic.
    in_order = _side_by_side if first and is_full(first[0]) else map
    lines = offset = 0
    for part, read, count in in_order(partial(_decode, schema), chain(first, pieces)):
        part.quarantined[:] = [refused.moved(lines, offset) for refused in part.quarantined]
        lines, offset = lines + count, offset + read
        yield part


def _decode(schema: Schema, piece: Piece) -> tuple[Decoded, int, int]:
    """One piece, its bytes and lines; places are counted from its beginning."""
    lines = line_ends(piece.data)
    decoded = join_decoded(list(_parts(schema, piece.data, piece.size, lines)))
    # By piece, so that what is told does not depend on how it was read.
    decoded.quarantined[:] = shortened(decoded.quarantined)
    # Of a line that is too long there is only the start.
    return decoded, piece.size, lines if piece.size == len(piece.data) else 1


def _parts(schema: Schema, data: memoryview, size: int, lines: int) -> Iterator[Decoded]:
    """The fast way where it is sure; of what it leaves alone each half is tried again."""
    table = plain_rows(schema, data, lines) if plain_rows is not None and size == len(data) else None
    if table is not None:
        yield Decoded(table)
        return
    content = bytes(data)
    middle = content.find(b"\n", len(data) // 2) + 1
    if plain_rows is None or len(data) < _FEW or not 0 < middle < len(data):
        yield decode_lines(schema, content, size)
    else:
        above = line_ends(data[:middle])
        yield from _parts(schema, data[:middle], middle, above)
        for part in _parts(schema, data[middle:], len(data) - middle, lines - above):
            part.quarantined[:] = [refused.moved(above, middle) for refused in part.quarantined]
            yield part


def _side_by_side(work: Callable[[Item], Result], items: Iterator[Item]) -> Iterator[Result]:
    """Results in order; two items are worked on at a time."""
    pool = ThreadPoolExecutor(1)
    try:
        jobs: deque[tuple[Future[Result], Item]] = deque()
        for item in items:
            jobs.append((pool.submit(work, item), item))
            if len(jobs) > _AHEAD:
                yield _first_result(work, jobs)
        while jobs:
            yield _first_result(work, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _first_result(work: Callable[[Item], Result], jobs: deque[tuple[Future[Result], Item]]) -> Result:
    """Of the first job. While it is being done, others that are not begun are done here."""
    first, _ = jobs.popleft()
    place = 0
    while place < len(jobs) and not first.done():
        job, item = jobs[place]
        if job.cancel():
            done: Future[Result] = Future()
            try:
                done.set_result(work(item))
            except Exception as error:
                done.set_exception(error)
            jobs[place] = done, item
        place += 1
    return first.result()
