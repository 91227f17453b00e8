"""How batch transform cuts a file into requests and puts the answers together. Pure; one request is in memory at a time."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from driftloop.twin.errors import unsupported

MB = 1 << 20
_COLUMNS = re.compile(r"\$\[\s*-?\d+(?:\s*,\s*-?\d+)*\s*\]")


class BadFileError(ValueError):
    """A file that has no result; the message is the reason."""


@dataclass(frozen=True)
class Cut:
    """How a file is cut."""

    limit: int
    """Bytes that fit into a request."""
    by_line: bool = True
    """False for a file that is one request."""
    single: bool = False
    """True for one record per request."""


def requests(chunks: Iterable[bytes], cut: Cut) -> Iterator[list[bytes]]:
    """The records of each request, with their line ends. Raises BadFileError for a record that does not fit."""
    records: list[bytes] = []
    size = 0
    for record in _lines(chunks, cut.limit) if cut.by_line else _whole(chunks, cut.limit):
        if records and (cut.single or size + len(record) > cut.limit):
            yield records
            records, size = [], 0
        records.append(record)
        size += len(record)
    if records:
        yield records


def _lines(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            _check_size(len(line) + 1, limit)
            yield line + b"\n"
        _check_size(len(rest), limit)
    if rest:
        yield rest


def _whole(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        _check_size(len(content), limit)
    if content:
        yield bytes(content)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise BadFileError(f"a record is larger than MaxPayloadInMB, which is {limit // MB}")


def columns_of(path: str) -> tuple[int, ...] | None:
    """Places that a JSONPath like ``$[0,-1]`` selects; None for all. Raises ApiError for other paths."""
    if path == "$":
        return None
    if not _COLUMNS.fullmatch(path):
        raise unsupported(f"the filter {path!r}; it knows '$' and lists of columns such as '$[0,-1]'")
    return tuple(int(place) for place in path[2:-1].split(","))


def answers_of(body: bytes, records: Sequence[bytes]) -> list[bytes]:
    """Lines of an answer, without their ends. Raises BadFileError unless there is one for each record."""
    lines = body.removesuffix(b"\n").split(b"\n") if body else []
    if len(lines) != len(records):
        raise BadFileError(f"the model answered {len(records)} records with {len(lines)} lines")
    return [line.removesuffix(b"\r") for line in lines]


def joined(records: Sequence[bytes], answers: Sequence[bytes], columns: tuple[int, ...] | None) -> bytes:
    """CSV rows of records followed by their answers, or these columns of them. Raises BadFileError."""
    result = io.StringIO()
    writer = csv.writer(result, lineterminator="\n")
    for record, answer in zip(_rows(records), _rows(answers), strict=True):
        row = [*record, *answer]
        try:
            writer.writerow(row if columns is None else [row[place] for place in columns])
        except IndexError:
            raise BadFileError(f"a row of {len(row)} columns lacks some of those that OutputFilter selects") from None
    return result.getvalue().encode()


def _rows(lines: Sequence[bytes]) -> list[list[str]]:
    try:
        rows = [row for line in lines for row in csv.reader([line.decode()], strict=True)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadFileError(f"a line is not CSV: {error}") from error
    return rows
