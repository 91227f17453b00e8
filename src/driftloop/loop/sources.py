"""Objects that arrive in the live bucket, and where what is made of them is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from driftloop.data.decoded import Quarantined
from driftloop.data.rows import by_date, write_rows
from driftloop.data.schema import Columns, Schema
from driftloop.names import SHADOW, model_of_endpoint
from driftloop.ports import Objects, TerminalError

MAX_BYTES = 64 * 1024 * 1024
"""Largest object of labels that is read: they are held in memory until their predictions are found."""


@dataclass(frozen=True)
class Source:
    """One version of one object."""

    bucket: str
    key: str
    version: str | None
    etag: str
    size: int
    uploaded: str = ""
    """Time of the upload, ISO-8601 in UTC, as S3's notification says."""

    @property
    def id(self) -> str:
        """Identity of the content: the same delivery twice has the same id."""
        return hashlib.sha256(f"{self.key}@{self.version or self.etag}".encode()).hexdigest()[:24]

    @property
    def dated_id(self) -> str:
        """Identity that sorts by the time of the upload: of two labels for one row the later upload counts."""
        return f"{self.uploaded}/{self.id}"

    def capture_model(self) -> str:
        """Model of a key ``capture/<endpoint>/<variant>/yyyy/mm/dd/hh/<file>``. Raises TerminalError."""
        parts = self.key.split("/")
        try:
            if parts[0] != "capture" or len(parts) < 4:
                raise ValueError(f"{self.key!r} is not a capture key")
            return model_of_endpoint(parts[1])
        except ValueError as error:
            raise TerminalError(str(error)) from None

    @property
    def is_shadows(self) -> bool:
        """True for a capture of a version whose answers nobody heard: it is compared, and is no traffic."""
        return self.key.split("/")[2:3] == [SHADOW]

    def label_model(self) -> str:
        """Model of a key ``labels/<model>/<file>``. Raises TerminalError."""
        parts = self.key.split("/")
        if parts[0] != "labels" or len(parts) < 3:
            raise TerminalError(f"{self.key!r} is not a label key; upload to labels/<model>/")
        return parts[1]


def bundle_name(ids: Iterable[str]) -> str:
    """Name for what one batch wrote: a retry of the same batch writes the same object again."""
    return hashlib.sha256("|".join(sorted(ids)).encode()).hexdigest()[:24]


def write_dated(
    objects: Objects, bucket: str, folder: str, schema: Schema, parts: Mapping[str, Columns], label: bool = False
) -> None:
    """Write rows of several sources as ``<folder>/<event date>/<bundle>.csv``, one file a date."""
    dates: dict[str, dict[str, Columns]] = {}
    for source, columns in parts.items():
        for day, rows in by_date(columns, schema.time).items():
            dates.setdefault(day, {})[source] = rows
    for day, sources in dates.items():
        objects.write(bucket, f"{folder}/{day}/{bundle_name(sources)}.csv", write_rows(schema, sources, label))


def quarantine(
    objects: Objects, source: Source, kind: str, model: str, refused: Sequence[Quarantined], part: int = 0
) -> None:
    """Keep what could not be read of a part of an object, with the reasons.

    A redelivery overwrites it, as long as objects are cut in the same places.
    """
    if refused:
        lines = (json.dumps({"source": source.key, **asdict(item)}) for item in refused)
        key = f"quarantine/{kind}/{model}/{source.id}{f'-{part}' if part else ''}.jsonl"
        objects.write(source.bucket, key, "\n".join(lines).encode() + b"\n")


def refuse_oversized(source: Source) -> list[Quarantined]:
    """The refusal of an object that is too large to be what it claims; empty for others."""
    if source.size <= MAX_BYTES:
        return []
    return [Quarantined(0, 0, f"object of {source.size} bytes is larger than {MAX_BYTES}", "")]
