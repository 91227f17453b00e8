"""Capture records of the usual shape, many at once: payloads of CSV, nothing missing, nothing unknown, nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from driftloop.data.lines import MAX_LINE

_CSV = Literal["text/csv", "text/csv; charset=utf-8", "text/csv;charset=utf-8", "text/csv; charset=UTF-8"]
_NEWLINE, _QUOTE, _OPEN, _CLOSE = b'\n"{}'


def _struct(name: str, **fields: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct(name, list(fields.items()), gc=False, forbid_unknown_fields=True)


def _part(mode: Any) -> type[msgspec.Struct]:
    return _struct("Part", observedContentType=_CSV, mode=mode, data=str, encoding=Literal["CSV"])


def _decoder(**metadata: Any) -> msgspec.json.Decoder[Any]:
    parts = _struct("Parts", endpointInput=_part(Literal["INPUT"]), endpointOutput=_part(Literal["OUTPUT"]))
    event = _struct("Event", **metadata)
    return msgspec.json.Decoder(_struct("Record", captureData=parts, eventMetadata=event, eventVersion=Literal["0"]))


# With the number of quotation marks that one record has apart from those in its payloads.
_DECODERS = (
    (_decoder(eventId=str, inferenceTime=str), 52),
    (_decoder(eventId=str, inferenceTime=str, inferenceId=str), 56),
)


@dataclass(frozen=True)
class Payloads:
    """Requests and responses, one of each a line."""

    inputs: list[str]
    outputs: list[str]
    quotes: int
    """Quotation marks that must be in them. What was not read shows as more: a key that is there twice, of which one
    value was taken, or a second record on one line."""


def plain_payloads(data: bytes) -> Payloads | None:
    """Payloads of whole lines; None if there is a line that is no record of the usual shape."""
    content = np.frombuffer(data, np.uint8)
    lines = _one_object_a_line(content)
    for decoder, quotes in _DECODERS if lines else ():
        try:
            records = [record.captureData for record in decoder.decode_lines(data)]
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        extra = int(np.count_nonzero(content == _QUOTE)) - quotes * lines
        if extra and b"\\u0022" in data:
            return None
        inputs = [record.endpointInput.data for record in records]
        return Payloads(inputs, [record.endpointOutput.data for record in records], extra)
    return None


def _one_object_a_line(content: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    """Number of lines if each may be one JSON object and is not too long, else 0.

    JSON has no line end within a string, and within an object none stands between a closing and an opening brace.
    """
    ends = np.flatnonzero(content == _NEWLINE)
    if not len(ends) or ends[-1] != len(content) - 1:
        ends = np.append(ends, len(content))
    starts = np.append(0, ends[:-1] + 1)
    if (ends - starts).max() >= MAX_LINE or (content[starts] != _OPEN).any() or (content[ends - 1] != _CLOSE).any():
        return 0
    return len(ends)
