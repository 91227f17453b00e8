"""Captured traffic becomes profile shards and decoded rows, once per capture object."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from driftloop.data.capture import Decoded, decode_capture
from driftloop.data.rows import by_date, select, write_rows
from driftloop.data.schema import Columns, Schema
from driftloop.loop.baselines import baseline_in_force
from driftloop.loop.sources import Source, bundle_name, quarantine, refuse_oversized
from driftloop.monitoring.baseline import Baseline
from driftloop.monitoring.profile import profile_columns
from driftloop.ports import Ledger, Models, Objects

Shard = dict[str, Any]
"""``{"object": id, "hours": {"07": profile}}``: one capture object's rows of one event date."""


@dataclass
class TrafficBatch:
    """Reads capture objects one by one, then writes one bundle per model and event date.

    A bundle names the object of each shard, so readers count an object once however often it was delivered.
    """

    models: Models
    ledger: Ledger
    objects: Objects
    counted: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    _decoded: dict[str, dict[str, Decoded]] = field(default_factory=dict)
    _baselines: dict[str, Baseline] = field(default_factory=dict)
    _bucket: str = ""

    def add(self, source: Source) -> None:
        """Read one capture object.

        Raises TerminalError for a key that is not a capture of a deployed model, RetryableError for a model without
        any version: here and not in ``flush``, so that a model's fault costs the other models of a batch nothing.
        """
        model = source.capture_model()
        schema = self.models.get(model).schema
        if model not in self._baselines:
            self._baselines[model] = baseline_in_force(self.ledger, self.objects, model)
        refused = refuse_oversized(source)
        lines = () if refused else self.objects.lines(source.bucket, source.key, source.version)
        decoded = decode_capture(schema, lines)
        decoded.quarantined.extend(refused)
        quarantine(self.objects, source, "capture", model, decoded.quarantined)
        self._decoded.setdefault(model, {})[source.id] = decoded
        self._bucket = source.bucket

    def flush(self) -> None:
        """Write shards and rows. Everything is written again, unchanged, if the batch is retried."""
        for model, decoded in self._decoded.items():
            self._write(model, {source: item.columns for source, item in decoded.items() if item.rows})
            self.counted[model] += sum(item.rows for item in decoded.values())
            self.quarantined[model] += sum(len(item.quarantined) for item in decoded.values())

    def _write(self, model: str, parts: dict[str, Columns]) -> None:
        schema = self.models.get(model).schema
        baseline = self._baselines[model]
        dates: dict[str, dict[str, Columns]] = {}
        for source, columns in parts.items():
            for day, rows in by_date(columns, schema.time).items():
                dates.setdefault(day, {})[source] = rows
        for day, sources in dates.items():
            name = bundle_name(sources)
            shards = [{"object": s, "hours": _hours(baseline, c, schema)} for s, c in sorted(sources.items())]
            content = json.dumps(shards, sort_keys=True, separators=(",", ":")).encode()
            self.objects.write(self._bucket, f"shards/{model}/{baseline.id}/{day}/{name}.json", content)
            self.objects.write(self._bucket, f"rows/{model}/{day}/{name}.csv", write_rows(schema, sources))


def _hours(baseline: Baseline, columns: Columns, schema: Schema) -> dict[str, Any]:
    times = columns[schema.time]
    hour = (times.astype("datetime64[h]") - times.astype("datetime64[D]")).astype(np.int64)
    return {
        f"{number:02d}": profile_columns(baseline.bins, select(columns, hour == number), schema).to_dict()
        for number in np.unique(hour).tolist()
    }
