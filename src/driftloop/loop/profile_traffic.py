"""Captured traffic becomes profile shards and decoded rows, once per capture object."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from driftloop.data.capture import decode_capture
from driftloop.data.columns import values_of
from driftloop.data.decoded import SCORE, Decoded
from driftloop.data.rows import select
from driftloop.data.schema import Columns, Schema
from driftloop.loop.sources import Source, bundle_name, quarantine, write_dated
from driftloop.monitoring.baseline import Baseline
from driftloop.monitoring.bins import CategoryBins
from driftloop.monitoring.profile import Profile, profile_columns
from driftloop.ports import Models, Objects, TerminalError

Days = dict[str, dict[str, Profile]]
"""Event date -> hour -> profile of one capture object's rows."""

HELD_CELLS = 2_000_000
"""Cells of decoded rows that are held before they are written: bounds memory, whatever the size of a batch."""


@dataclass
class TrafficBatch:
    """Reads capture objects one by one, then writes one bundle per model and event date.

    A bundle names the object of each shard, so readers count an object once however often it was delivered. Rows of
    large objects are written part by part, each under a name of its own for the same reason.
    """

    models: Models
    objects: Objects
    baseline_of: Callable[[str], Baseline]
    """Baseline of a model that its traffic is counted against. Raises RetryableError for a model without a version."""
    counted: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    _days: dict[str, dict[str, Days]] = field(default_factory=dict)
    _rows: dict[str, dict[str, Columns]] = field(default_factory=dict)
    _held: int = 0
    _baselines: dict[str, Baseline] = field(default_factory=dict)
    _bucket: str = ""

    def add(self, source: Source) -> None:
        """Read one capture object.

        Raises TerminalError for a key that is not a capture of a deployed model and for a baseline of other columns,
        RetryableError for a model without any version: here and not in ``flush``, so that a model's fault costs the
        other models of a batch nothing.
        """
        model = source.capture_model()
        if source.is_shadows:
            return
        schema = self.models.get(model).schema
        if model not in self._baselines:
            self._baselines[model] = self.baseline_of(model)
        # Not row by row: rows of other columns would all be put aside, and nobody would hear of it.
        _check_columns(self._baselines[model], schema)
        if source.id in self._days.get(model, {}):
            return  # delivered twice in one batch
        self._bucket = source.bucket
        days: Days = {}
        rows = refused = 0
        blocks = self.objects.blocks(source.bucket, source.key, source.version)
        for number, part in enumerate(decode_capture(schema, blocks)):
            for day, hour, profile in _hours(self._baselines[model], part, schema):
                shard = days.setdefault(day, {})
                shard[hour] = shard[hour] + profile if hour in shard else profile
            # Not by the part's number: of an object that comes again, and is cut in other places by then, no row is lost.
            self._hold(model, f"{source.id}.{rows}" if rows else source.id, part.columns)
            quarantine(self.objects, source, "capture", model, part.quarantined, number)
            rows, refused = rows + part.rows, refused + part.refused
        # Only what was read to its end counts: an object that breaks off comes again.
        self._days.setdefault(model, {})[source.id] = days
        self.counted[model] += rows
        self.quarantined[model] += refused

    def flush(self) -> None:
        """Write shards and rows. Everything is written again, unchanged, if the batch is retried."""
        self._write_rows()
        for model, sources in self._days.items():
            for day in sorted({day for days in sources.values() for day in days}):
                self._write_shards(model, day, {source: days[day] for source, days in sources.items() if day in days})

    def _hold(self, model: str, part: str, columns: Columns) -> None:
        self._rows.setdefault(model, {})[part] = columns
        self._held += sum(map(len, columns.values()))
        if self._held > HELD_CELLS:
            self._write_rows()

    def _write_rows(self) -> None:
        for model, parts in self._rows.items():
            write_dated(self.objects, self._bucket, f"rows/{model}", self.models.get(model).schema, parts)
        self._rows, self._held = {}, 0

    def _write_shards(self, model: str, day: str, shards: dict[str, dict[str, Profile]]) -> None:
        bundle = [
            {"object": source, "hours": {hour: profile.to_dict() for hour, profile in hours.items()}}
            for source, hours in sorted(shards.items())
        ]
        content = json.dumps(bundle, sort_keys=True, separators=(",", ":")).encode()
        key = f"shards/{model}/{self._baselines[model].id}/{day}/{bundle_name(shards)}.json"
        self.objects.write(self._bucket, key, content)


def _hours(baseline: Baseline, part: Decoded, schema: Schema) -> Iterator[tuple[str, str, Profile]]:
    """Event date, hour and profile of each hour that rows fall into."""
    hours = values_of(part.table[schema.time]).astype("datetime64[h]")
    found = np.unique(hours)
    for hour in found:
        # Most objects hold minutes of traffic.
        rows = part.table if len(found) == 1 else select(part.columns, hours == hour)
        day, _, number = str(hour).partition("T")
        yield day, number, profile_columns(baseline.bins, rows, schema)


def _check_columns(baseline: Baseline, schema: Schema) -> None:
    """Raises TerminalError if a column came, went, was renamed or became another kind since the baseline was made."""
    declared = {feature.name: feature.is_category for feature in schema.features}
    counted = {name: isinstance(bins, CategoryBins) for name, bins in baseline.bins.items() if name != SCORE}
    other = sorted(name for name in declared | counted if declared.get(name) != counted.get(name))
    if other:
        raise TerminalError(
            f"baseline {baseline.id} counts other columns than the model file declares: {', '.join(other)}; once a version "
            "with the new columns serves, or the old ones are declared again, send the message again"
        )
