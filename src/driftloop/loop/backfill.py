"""Past traffic is counted again for a baseline: hour by hour, object by object, as if it had just arrived.

The unit of work is one hour of capture keys. Its objects are cut into the same parts in every run, and what is written
is named after the objects, so an hour that is rebuilt twice, or in another way, leaves the same objects behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from driftloop.loop.baselines import load_baseline
from driftloop.loop.profile_traffic import TrafficBatch
from driftloop.loop.sources import Source
from driftloop.names import VARIANT
from driftloop.ports import Models, NotFoundError, Objects

HOUR = timedelta(hours=1)
PART_BYTES = 64 * 1024 * 1024
"""Capture objects that are decoded together: as much as the largest single one."""
PART_OBJECTS = 500


class Captures(Protocol):
    """Capture objects that are there."""

    def find(self, bucket: str, prefix: str) -> list[Source]:
        """Current objects below a prefix, sorted by key."""
        ...


@dataclass(frozen=True)
class Task:
    """One hour to rebuild."""

    run: str
    """Name of the backfill that it belongs to."""
    model: str
    baseline_uri: str
    hour: datetime
    """Hour of the capture keys (arrival), not of the rows' events."""


@dataclass(frozen=True)
class Rebuilt:
    """What became of some capture objects."""

    objects: int = 0
    rows: int = 0
    quarantined: int = 0

    def __add__(self, other: Rebuilt) -> Rebuilt:
        return Rebuilt(self.objects + other.objects, self.rows + other.rows, self.quarantined + other.quarantined)


@dataclass(frozen=True)
class Rebuilder:
    """Writes shards, decoded rows and quarantine of past captures again."""

    models: Models
    objects: Objects
    captures: Captures
    live_bucket: str

    def rebuild(self, task: Task) -> Rebuilt:
        """Rebuild one hour and leave a receipt, which is the backfill's progress. Can be repeated.

        Raises NotFoundError for a model that is not deployed or a baseline that does not exist.
        """
        endpoint = self.models.get(task.model).resources.endpoint
        found = self.captures.find(self.live_bucket, hour_prefix(endpoint, task.hour))
        done = sum(
            (rebuild_part(self.models, self.objects, task.model, task.baseline_uri, part) for part in parts(found)),
            Rebuilt(),
        )
        content = json.dumps(vars(done), sort_keys=True).encode()
        self.objects.write(self.live_bucket, f"{receipts(task.model, task.run)}{task.hour:%Y-%m-%dT%H}.json", content)
        return done


def rebuild_part(models: Models, objects: Objects, model: str, baseline_uri: str, part: Sequence[Source]) -> Rebuilt:
    """Rebuild some objects of one hour together. An object that has expired meanwhile is left out."""
    baseline = load_baseline(objects, baseline_uri)
    batch = TrafficBatch(models, objects, lambda _: baseline)
    present = 0
    for source in part:
        try:
            batch.add(source)
        except NotFoundError:
            continue
        present += 1
    batch.flush()
    return Rebuilt(present, batch.counted[model], batch.quarantined[model])


def hour_prefix(endpoint: str, hour: datetime) -> str:
    """Capture keys of one hour, as SageMaker writes them."""
    return f"{day_prefix(endpoint, hour)}{hour.astimezone(UTC):%H}/"


def day_prefix(endpoint: str, day: datetime) -> str:
    """Capture keys of one day."""
    return f"capture/{endpoint}/{VARIANT}/{day.astimezone(UTC):%Y/%m/%d}/"


def hour_of(key: str) -> datetime:
    """The other way round: hour of a capture key. Raises ValueError for any other key."""
    return datetime.strptime("/".join(key.split("/")[3:7]), "%Y/%m/%d/%H").replace(tzinfo=UTC)


def receipts(model: str, run: str) -> str:
    """Where the hours of one backfill say that they are done; in the live bucket."""
    return f"backfills/{model}/{run}/"


def sum_receipts(texts: Iterable[bytes]) -> Rebuilt:
    """What the hours of a backfill add up to."""
    return sum((Rebuilt(**json.loads(text)) for text in texts), Rebuilt())


def parts(found: Iterable[Source]) -> Iterator[list[Source]]:
    """Cut the objects of one hour, sorted by key, into parts that fit into memory; the same cuts for the same objects."""
    part: list[Source] = []
    size = 0
    for source in found:
        if part and (size + source.size > PART_BYTES or len(part) == PART_OBJECTS):
            yield part
            part, size = [], 0
        part.append(source)
        size += source.size
    if part:
        yield part


def by_hour(found: Iterable[Source], start: datetime, end: datetime) -> Mapping[datetime, list[Source]]:
    """Objects per hour of their keys, of the hours from start to end; keys that are no captures are left out."""
    hours: dict[datetime, list[Source]] = {}
    for source in found:
        try:
            hour = hour_of(source.key)
        except ValueError:
            continue
        if start <= hour < end:
            hours.setdefault(hour, []).append(source)
    return dict(sorted(hours.items()))


def days(start: datetime, end: datetime) -> list[datetime]:
    """Midnights of the dates that a range touches."""
    first = start.replace(hour=0)
    return [first + timedelta(days=number) for number in range(-((first - end) // timedelta(days=1)))]


@dataclass(frozen=True)
class Plan:
    """What a backfill has to do, and who does it."""

    hours: Mapping[datetime, list[Source]]
    spark_above: int | None
    """Bytes; None if the model file names no size."""

    @property
    def objects(self) -> int:
        """Capture objects in all hours."""
        return sum(len(found) for found in self.hours.values())

    @property
    def size(self) -> int:
        """Bytes in all hours."""
        return sum(source.size for found in self.hours.values() for source in found)

    @property
    def on_spark(self) -> bool:
        """True if that is more than the model file wants the functions to read."""
        return self.spark_above is not None and self.size > self.spark_above

    def tasks(self, run: str, model: str, baseline_uri: str) -> list[Task]:
        """One per hour that has objects."""
        return [Task(run, model, baseline_uri, hour) for hour in self.hours]


def plan(
    captures: Captures, bucket: str, endpoint: str, span: tuple[datetime, datetime], spec: Mapping[str, Any]
) -> Plan:
    """Look what there is between two hours (UTC, the second one excluded)."""
    start, end = span
    found = [source for day in days(start, end) for source in captures.find(bucket, day_prefix(endpoint, day))]
    return Plan(by_hour(found, start, end), spec["monitoring"].get("spark_above"))
