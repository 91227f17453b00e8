"""Where labelled rows come from: live traffic that met its labels, and history that people imported."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from driftloop.data.parsing import BadRowError
from driftloop.data.rows import OBJECT, read_outcomes, read_rows
from driftloop.data.schema import Columns, Schema
from driftloop.data.tables import read_table
from pipelines.steps.step import StepError

LIVE, HISTORY = "live", "history"
THREADS = 16


@dataclass(frozen=True)
class Source:
    """One object in S3."""

    origin: str
    bucket: str
    key: str
    size: int
    modified: datetime

    @property
    def uri(self) -> str:
        """For people."""
        return f"s3://{self.bucket}/{self.key}"


def list_sources(s3: Any, live_bucket: str, curated_bucket: str, model: str, days: Iterable[str]) -> list[Source]:
    """History first, then live, each from the oldest object to the newest."""
    places = [
        place
        for day in days
        for place in (
            (HISTORY, curated_bucket, f"history/{model}/{day}.csv"),
            (LIVE, live_bucket, f"labelled/{model}/{day}/"),
        )
    ]
    return sorted(_listed(s3, places), key=lambda s: (s.origin != HISTORY, s.modified, s.key))


def list_predictions(s3: Any, live_bucket: str, model: str, days: Iterable[str]) -> list[Source]:
    """Files of what was asked and answered, with labels or without."""
    return sorted(_listed(s3, [(LIVE, live_bucket, f"rows/{model}/{day}/") for day in days]), key=lambda s: s.key)


def _listed(s3: Any, places: list[tuple[str, str, str]]) -> list[Source]:
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda place: _objects(s3, *place), places)
        return [source for sources in found for source in sources]


def _objects(s3: Any, origin: str, bucket: str, prefix: str) -> list[Source]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [
        Source(origin, bucket, found["Key"], found["Size"], found["LastModified"])
        for page in pages
        for found in page.get("Contents", ())
        if not found["Key"].endswith("/")
    ]


def contents(s3: Any, sources: list[Source]) -> Iterator[tuple[Source, bytes]]:
    """Read the objects, several at a time, in order."""

    def read(source: Source) -> bytes:
        content: bytes = s3.get_object(Bucket=source.bucket, Key=source.key)["Body"].read()
        return content

    with ThreadPoolExecutor(THREADS) as pool:
        yield from zip(sources, pool.map(read, sources), strict=True)


def parse(schema: Schema, source: Source, content: bytes) -> Columns:
    """Payload columns, label and ``object`` of one object in S3. Raises StepError that names it."""
    readers: dict[str, Callable[[], Columns]] = {
        LIVE: lambda: read_rows(schema, [content], label=True),
        HISTORY: lambda: read_table(schema, content),
    }
    with _named(source):
        columns = readers[source.origin]()
    # History has no upload of its own to be known by: whatever live traffic says of the same row is newer.
    uploads = columns.get(OBJECT, np.full(len(columns[schema.id]), "", dtype=object))
    return {name: columns[name] for name in (*schema.payload, schema.label)} | {OBJECT: uploads}


def parse_predictions(schema: Schema, source: Source, content: bytes) -> Columns:
    """Ids and times, among others, of one object of ``list_predictions``. Raises StepError that names it."""
    with _named(source):
        return read_outcomes(schema, content, label=False)


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Raises StepError that names what cannot be read."""
    try:
        yield
    except (ValueError, IndexError, csv.Error) as error:
        # BadRowError says what is wrong in words; the others come from cells that are no numbers, or missing.
        reason = str(error) if isinstance(error, BadRowError) else f"{type(error).__name__}: {error}"
        raise StepError(f"{source.uri} cannot be read: {reason}") from error
