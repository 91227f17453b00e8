"""Delayed labels meet the predictions they belong to, by the row's id."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from driftloop.data.decoded import Quarantined
from driftloop.data.labels import Labels, decode_labels
from driftloop.data.lines import split_lines
from driftloop.data.parsing import BadRowError
from driftloop.data.rows import concatenate, latest_by_id, read_rows, select
from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import Window
from driftloop.loop.sources import Source, quarantine, refuse_oversized, write_dated
from driftloop.loop.warm import WarmFiles
from driftloop.ports import Clock, Models, Objects, RetryableError

WAITS = 3
"""Deliveries during which a label waits for its prediction before it is quarantined."""

_MODELS = 16
_ROWS: WarmFiles[Columns] = WarmFiles(_MODELS)
_KNOWN: dict[tuple[str, str, Schema], tuple[Columns, dict[str, int]]] = {}
"""Recent predictions of a model, and the place of each id in them, as far as a warm function has looked."""
_NOTHING: tuple[Columns, dict[str, int]] = ({}, {})


@dataclass
class LabelBatch:
    """Reads label objects one by one and writes labelled rows per model and event date."""

    models: Models
    objects: Objects
    clock: Clock
    joined: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    _parts: dict[str, dict[str, Columns]] = field(default_factory=dict)
    _bucket: str = ""

    def add(self, source: Source, deliveries: int) -> None:
        """Join one label object.

        Raises RetryableError if some labels have no prediction yet and the object may still wait for them.
        """
        model = source.label_model()
        schema = self.models.get(model).schema
        refused = refuse_oversized(source)
        blocks = () if refused else self.objects.blocks(source.bucket, source.key, source.version)
        labels, unreadable = decode_labels(split_lines(blocks))
        columns, unknown = self._match(source.bucket, model, schema, labels)
        if unknown and deliveries < WAITS:
            raise RetryableError(f"{len(unknown)} labels of {source.key} have no prediction yet")
        refused += [*unreadable, *(Quarantined(0, 0, "no prediction has this id", row_id) for row_id in unknown)]
        quarantine(self.objects, source, "labels", model, refused)
        self.quarantined[model] += sum(item.rows for item in refused)
        self.joined[model] += len(columns[schema.label])
        self._parts.setdefault(model, {})[source.dated_id] = columns
        self._bucket = source.bucket

    def flush(self) -> None:
        """Write the labelled rows. A retry of the same batch writes the same objects again."""
        for model, parts in self._parts.items():
            schema = self.models.get(model).schema
            write_dated(self.objects, self._bucket, f"labelled/{model}", schema, parts, label=True)

    def _match(self, bucket: str, model: str, schema: Schema, labels: Labels) -> tuple[Columns, list[str]]:
        """Labelled rows, and ids that no prediction has."""
        group = (bucket, model, schema)
        rows, places = _KNOWN.get(group, _NOTHING)
        # Most predictions are half a day older than their labels: a warm function has seen them, and need not look.
        if any(row_id not in places for row_id in labels):
            rows = self._recent_rows(bucket, model, schema)
            places = {row_id: place for place, row_id in enumerate(rows[schema.id].tolist())}
            if len(_KNOWN) >= _MODELS:
                _KNOWN.clear()
            _KNOWN[group] = rows, places
        known = [row_id for row_id in labels if row_id in places]
        if not rows:
            rows = read_rows(schema, ())
        columns = select(rows, np.array([places[row_id] for row_id in known], dtype=np.int64))
        columns[schema.label] = np.array([labels[row_id] for row_id in known], dtype=np.int8)
        return columns, [row_id for row_id in labels if row_id not in places]

    def _recent_rows(self, bucket: str, model: str, schema: Schema) -> Columns:
        now = self.clock.now()
        # Labels come about one delay after the event; twice that, and a day, forgives late ones.
        span = Window(now - 2 * schema.label_delay - timedelta(days=1), now + timedelta(days=1))
        keys = [key for day in span.dates() for key in self.objects.keys(bucket, f"rows/{model}/{day}/")]
        parts = _ROWS.read((model, schema), keys, lambda key: self._rows(bucket, key, schema))
        return latest_by_id(concatenate([*parts, read_rows(schema, ())]), schema.id)

    def _rows(self, bucket: str, key: str, schema: Schema) -> Columns:
        try:
            return read_rows(schema, [self.objects.read(bucket, key)])
        except BadRowError:
            # From before the model file's columns were changed: of no use for training on the new ones.
            return read_rows(schema, ())
