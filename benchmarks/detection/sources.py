"""The streams that come with the benchmark, by name, and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.detection.generated import WORLDS, change_points, generate
from benchmarks.detection.stream import Stream, read_spec, read_stream
from driftloop.data.schema import Schema
from driftloop.data.tables import write_table
from driftloop.demo.flights import load_flights

ROOT = Path(__file__).resolve().parents[2]
FLIGHTS = "flights"
NAMES = (FLIGHTS, *sorted(WORLDS))
FLIGHTS_FIRST = datetime(2013, 3, 1, tzinfo=UTC)
"""As in the demo: the first version learns from January and February."""


class UsageError(Exception):
    """What was asked for cannot be done; the message says what can."""


@dataclass(frozen=True)
class Source:
    """A stream, where its replay begins, and when it changes."""

    name: str
    stream: Stream
    first: datetime | None = None
    changes: tuple[datetime, ...] = ()


def default_spec(name: str) -> Path | None:
    """The model file of a stream that comes with the benchmark."""
    streams = ROOT / "benchmarks" / "streams"
    return streams / "flights.yaml" if name == FLIGHTS else streams / "model.yaml" if name in WORLDS else None


def table(name: str, spec_path: Path, settings: Mapping[str, Any], seed: int) -> bytes:
    """CSV of a stream that comes with the benchmark. Raises SpecError, or FileNotFoundError without the flights."""
    spec = read_spec(spec_path, settings)
    if name == FLIGHTS:
        return str(load_flights(spec).to_csv(index=False, lineterminator="\n")).encode()
    return write_table(Schema.from_spec(spec.compiled()), generate(WORLDS[name], seed))


def read_source(data: str, spec: Path | None, settings: Mapping[str, Any], seed: int) -> Source:
    """A stream by name or from a CSV file.

    Raises SpecError, BadTableError, OSError, or UsageError if a file has no rows or comes without a model file.
    """
    path = spec or default_spec(data)
    if path is None:
        raise UsageError(
            f"--data {data} needs --spec, the model file of its columns; known streams: {', '.join(NAMES)}"
        )
    content = table(data, path, settings, seed) if data in NAMES else Path(data).read_bytes()
    stream = read_stream(read_spec(path, settings), content)
    if not len(stream):
        raise UsageError(f"{data} has no rows")
    changes: Sequence[datetime] = change_points(data) if data in WORLDS else ()
    return Source(Path(data).stem, stream, FLIGHTS_FIRST if data == FLIGHTS else None, tuple(changes))
