"""Captured requests in the live bucket: the one that asked a row, and the one of an id."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from driftloop.cli.cloud import Cloud
from driftloop.data.decoded import SCORE
from driftloop.data.line_by_line import decode_lines
from driftloop.data.lines import MAX_LINE, split_lines
from driftloop.data.schema import Schema
from driftloop.data.windows import iso
from driftloop.loop.sources import Source
from driftloop.names import VARIANT, ModelNames
from driftloop.ports import Model, NotFoundError, Stored

_THREADS = 16
_AROUND = timedelta(days=1)
"""How long before or after its event a row may have been asked about."""
_METADATA = b'"eventMetadata"'
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Answer:
    """One prediction, as it was captured."""

    id: str
    time: str
    """Event time, ISO-8601 in UTC."""
    score: float
    object: str = ""
    """Identity of the capture object; empty where it is known anyway."""


@dataclass(frozen=True)
class Capture:
    """The record of one request."""

    uri: str
    version_id: str
    event_id: str
    inference_id: str
    """What the client or the function before the endpoint has named it; empty if nobody has."""
    inference_time: datetime
    line: bytes
    """The record itself."""

    def as_dict(self) -> dict[str, Any]:
        """Where it is. Documented in ``docs/guide/lineage.md``."""
        return {
            "uri": self.uri, "version_id": self.version_id, "event_id": self.event_id,
            "inference_time": iso(self.inference_time),
        }  # fmt: skip

    def answers(self, schema: Schema) -> tuple[list[Answer], list[str]]:
        """The rows that it asked with their answers, and why others cannot be read."""
        decoded = decode_lines(schema, self.line, len(self.line))
        names = (schema.id, schema.time, SCORE)
        rows = zip(*(decoded.columns[name] for name in names), strict=True)
        return [Answer(str(id_), f"{time}Z", float(score)) for id_, time, score in rows], [
            refused.reason for refused in decoded.quarantined
        ]


@dataclass
class Search:
    """What became of looking for a request."""

    capture: Capture | None = None
    objects: int = 0
    """Objects that were read for it."""
    unreadable: int = 0
    """Records and objects that may have been it, and cannot be read."""


def asked_row(cloud: Cloud, model: Model, answer: Answer) -> Capture | None:
    """The request that a row's answer was read from, by the identity of its object; None if it is gone."""
    bucket = cloud.bucket("live")
    event = datetime.fromisoformat(answer.time).date()
    pages = cloud.client("s3").get_paginator("list_object_versions")
    for day in _days(event):
        for page in pages.paginate(Bucket=bucket, Prefix=f"{_prefix(model.name)}{day:%Y/%m/%d}/"):
            for item in page.get("Versions", ()):
                source = Source(bucket, item["Key"], item["VersionId"], item["ETag"], item["Size"])
                if answer.object.partition(".")[0] == source.id:
                    stored = Stored(source.key, item["VersionId"], source.size)
                    return next(_asking(cloud, bucket, stored, answer.id.encode()), None)
    return None


def find_request(cloud: Cloud, model: Model, request_id: str, hours: Sequence[datetime]) -> Search:
    """The latest request of an id, looked for from the last hour to the first; each object is read at most once.

    However much was captured, a few objects are in hand at a time, each a block after the other.
    """
    bucket, search = cloud.bucket("live"), Search()
    with ThreadPoolExecutor(_THREADS) as pool:
        for hour in reversed(hours):
            objects = cloud.objects.latest(bucket, f"{_prefix(model.name)}{hour:%Y/%m/%d/%H}/")
            for start in range(0, len(objects), _THREADS):
                part = objects[start : start + _THREADS]
                for capture, unreadable in pool.map(lambda item: _of_id(cloud, bucket, item, request_id), part):
                    search.capture = _later(search.capture, capture)
                    search.unreadable += unreadable
            search.objects += len(objects)
            if search.capture:
                break
    return search


def captures(cloud: Cloud, model: Model) -> str:
    """Where a model's captures are kept."""
    return f"s3://{cloud.bucket('live')}/{_prefix(model.name)}"


def _prefix(model: str) -> str:
    return f"capture/{ModelNames(model).base}/{VARIANT}/"


def _days(event: date) -> list[date]:
    """The date of the event first, then those around it."""
    return [event, event - _AROUND, event + _AROUND]


def _asking(cloud: Cloud, bucket: str, item: Stored, row_id: bytes) -> Iterator[Capture]:
    """The records of an object that ask for a row."""
    for line in split_lines(cloud.objects.blocks(bucket, item.key, item.version)):
        try:
            if row_id in _payload(json.loads(line)["captureData"]["endpointInput"]):
                yield _capture(bucket, item, line)
        except _UNREADABLE:
            continue


def _of_id(cloud: Cloud, bucket: str, item: Stored, request_id: str) -> tuple[Capture | None, int]:
    """The latest record of an object that has the id, and how many may have it and cannot be read."""
    # Parsing every record would take many times as long as looking for the id in it.
    wanted, unreadable = json.dumps(request_id)[1:-1].encode(), 0
    found: Capture | None = None
    try:
        for line in split_lines(cloud.objects.blocks(bucket, item.key, item.version)):
            if len(line) > MAX_LINE or (_METADATA not in line and line.strip()):
                unreadable += 1
            elif wanted in line:
                try:
                    capture = _capture(bucket, item, line)
                except _UNREADABLE:
                    unreadable += 1
                else:
                    mine = request_id in (capture.event_id, capture.inference_id)
                    found = _later(found, capture) if mine else found
    except NotFoundError:
        unreadable += 1  # it has expired since it was listed
    return found, unreadable


def _capture(bucket: str, item: Stored, line: bytes) -> Capture:
    """Raises one of _UNREADABLE for what is no capture record."""
    event = json.loads(line)["eventMetadata"]
    moment = datetime.fromisoformat(event["inferenceTime"])
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    uri = f"s3://{bucket}/{item.key}"
    return Capture(uri, item.version, str(event["eventId"]), str(event.get("inferenceId", "")), moment, line)


def _later(one: Capture | None, other: Capture | None) -> Capture | None:
    both = [capture for capture in (one, other) if capture]
    return max(both, key=lambda capture: capture.inference_time) if both else None


def _payload(part: dict[str, Any]) -> bytes:
    text = str(part["data"])
    return base64.b64decode(text) if part.get("encoding") == "BASE64" else text.encode()
