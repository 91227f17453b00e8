"""A labelled stream in memory, in order of event time."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from driftloop.data.rows import select
from driftloop.data.schema import Columns, Schema
from driftloop.data.tables import read_table
from driftloop.data.windows import Window, floor_time, to_numpy
from driftloop.spec import ModelSpec, read_model
from driftloop.spec.loading import SpecError


@dataclass(frozen=True)
class Stream:
    """Payload columns and label of all rows, and the compiled model file that describes them."""

    spec: Mapping[str, Any]
    schema: Schema
    columns: Columns
    digest: str
    """Says which rows these are."""

    def __len__(self) -> int:
        return len(self.times)

    @property
    def times(self) -> np.ndarray[Any, Any]:
        """Event times, ascending."""
        return self.columns[self.schema.time]

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        """0 or 1."""
        return self.columns[self.schema.label]

    @property
    def length(self) -> timedelta:
        """Length of a window."""
        return timedelta(seconds=self.spec["monitoring"]["window"])

    @property
    def start(self) -> datetime:
        """Start of the first window that has a row."""
        return floor_time(_moment(self.times[0]), self.length)

    def place(self, moment: datetime) -> int:
        """The first row that is not before a moment."""
        return int(np.searchsorted(self.times, to_numpy(moment), side="left"))

    def rows(self, window: Window) -> slice:
        """Rows of a window."""
        return slice(self.place(window.start), self.place(window.end))

    def table(self, rows: slice) -> Columns:
        """Some rows, without a copy."""
        return {name: values[rows] for name, values in self.columns.items()}

    def windows(self, first: datetime) -> Iterator[Window]:
        """Windows from a moment to the last row's."""
        last = _moment(self.times[-1])
        start = floor_time(first, self.length)
        while start <= last:
            yield Window(start, start + self.length)
            start += self.length


def read_stream(spec: ModelSpec, content: bytes) -> Stream:
    """Read a CSV of payload columns and label. Raises BadTableError with the lines that are wrong."""
    compiled = spec.for_steps()
    schema = Schema.from_spec(compiled)
    columns = read_table(schema, content)
    # The order in which the preparing step writes a data set; a training run depends on it.
    order = np.lexsort((columns[schema.id].astype(str), columns[schema.time]))
    return Stream(compiled, schema, select(columns, order), hashlib.sha256(content).hexdigest())


def shuffled(stream: Stream, seed: int) -> Stream:
    """The same rows at other times: whatever changed over time no longer does, so that every alarm is a false one."""
    order = np.random.default_rng(seed).permutation(len(stream))
    kept = (stream.schema.time,)
    columns = {name: values if name in kept else values[order] for name, values in stream.columns.items()}
    return replace(stream, columns=columns, digest=f"{stream.digest}-{seed}")


def read_spec(path: Path, settings: Mapping[str, Any]) -> ModelSpec:
    """A model file, wherever it lies, with some settings changed (``monitoring.smoothing`` -> value).

    Raises SpecError with the file and the line of every fault.
    """
    if not settings:
        return read_model(path)
    raw = _raw(path)
    for place, value in settings.items():
        _change(raw, place.split("."), value)
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary, path.name)
        copy.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
        for script in path.parent.glob("*.py"):
            shutil.copy(script, temporary)
        try:
            return read_model(copy)
        except SpecError as error:
            raise SpecError(str(error).replace(str(copy), str(path))) from None


def _raw(path: Path) -> Any:
    try:
        # All text: values that the model file means otherwise, such as `on`, are read by its own reader later.
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Plain)  # noqa: S506 - no more than SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path}:1: cannot be read: {error}") from None


class _Plain(yaml.SafeLoader):
    """``on`` is a word."""


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _change(raw: dict[str, Any], place: list[str], value: Any) -> None:
    for part in place[:-1]:
        raw = raw.setdefault(part, {})
    raw[place[-1]] = value


def _moment(time: np.datetime64) -> datetime:
    return datetime.fromisoformat(str(time.astype("datetime64[s]"))).replace(tzinfo=UTC)
