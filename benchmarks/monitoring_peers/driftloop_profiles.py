"""driftloop as it is deployed: capture object, columns, profile, drift report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.monitoring_peers.data import DAYS, FEATURES, ID, LABEL, NUMBERS, SCORE, START, TIME
from benchmarks.monitoring_peers.worker import run_tool
from driftloop.data.capture import decode_capture
from driftloop.data.schema import Columns, Feature, Schema
from driftloop.data.windows import Window
from driftloop.monitoring.assessment import assess
from driftloop.monitoring.baseline import Baseline, Windowing, build_baseline
from driftloop.monitoring.profile import merge, profile_columns

SCHEMA = Schema(
    id=ID,
    time=TIME,
    label=LABEL,
    label_delay=timedelta(hours=12),
    features=tuple(Feature(name, "number" if name in NUMBERS else "category") for name in FEATURES),
)
_WINDOWING = Windowing(seconds=86_400, min_rows=100, smoothing=1, sensitivity=0.01, seed=0)
_FILE = "baseline.json"
_BLOCK = 1024 * 1024


def prepare(reference: Path, folder: Path) -> None:
    """The version's baseline, made once when it is trained."""
    with np.load(reference) as file:
        table: Columns = {name: file[name] for name in file.files}
    columns = {name: values.astype(object) if values.dtype.kind == "U" else values for name, values in table.items()}
    training = {name: columns[name] for name in SCHEMA.payload}
    predictions = {name: columns[name] for name in (TIME, SCORE, LABEL)}
    baseline = build_baseline(SCHEMA, training, predictions, dict.fromkeys(FEATURES, 1.0), _WINDOWING)
    (folder / _FILE).write_bytes(baseline.to_json())


def report(capture: Path, folder: Path, out: Path) -> list[str]:
    """Features at or above their limit."""
    baseline = Baseline.from_json((folder / _FILE).read_bytes())
    parts = decode_capture(SCHEMA, _blocks(capture))
    # Added up as they come: none is kept.
    profile = merge(baseline.bins, (profile_columns(baseline.bins, part.table, SCHEMA) for part in parts))
    start = (START + DAYS * 86_400).astype(datetime).replace(tzinfo=UTC)
    drift = assess(
        baseline,
        [profile],
        None,
        model="benchmark",
        version=1,
        window=Window(start, start + timedelta(seconds=_WINDOWING.seconds)),
        min_rows=_WINDOWING.min_rows,
        smoothing=_WINDOWING.smoothing,
    )
    out.write_text(json.dumps(drift.to_dict(), sort_keys=True), encoding="utf-8")
    return [feature.name for feature in drift.features if feature.score >= 1]


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            yield block


if __name__ == "__main__":
    run_tool(prepare, report)
