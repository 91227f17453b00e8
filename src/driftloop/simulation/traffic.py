"""Captured traffic small enough to be decoded thousands of times, and a baseline to count it against."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from driftloop.data.decoded import SCORE
from driftloop.data.schema import Schema
from driftloop.monitoring.baseline import Windowing, build_baseline
from driftloop.spec.model import ModelSpec

START_OF_TRAINING = datetime(2025, 12, 1)  # noqa: DTZ001 - numpy's times have no zone


def model_spec(name: str, **parts: Any) -> dict[str, Any]:
    """A compiled model file whose windows are hours, so that days are enough to see it through."""
    raw: dict[str, Any] = {
        "name": name,
        "owner": "ops@example.com",
        "task": "binary_classification",
        "data": {
            "id": "trip", "time": "departure", "label": "late", "label_delay": "1h",
            "features": {"line": "category", "delay": {"type": "number", "range": [0, 100]}},
        },
        "training": {"window": "10d", "holdout": "3d"},
        "monitoring": {"window": "1h", "min_rows": 20, "smoothing": 2},
        **parts,
    }  # fmt: skip
    return ModelSpec.model_validate(raw).compiled()


@cache
def baseline() -> bytes:
    """One for all versions: the simulation is about counting, not about drift."""
    spec = model_spec("any_model")
    rows, rng = 4000, np.random.default_rng(0)
    times = np.datetime64(START_OF_TRAINING, "s") + (np.arange(rows) * 10 * 86400 // rows).astype("timedelta64[s]")
    score = rng.beta(2, 5, rows).clip(0.01, 0.99)
    columns = {
        "trip": np.array([f"t{number}" for number in range(rows)], dtype=object),
        "departure": times,
        "line": rng.choice(["north", "south"], rows).astype(object),
        "delay": rng.gamma(2.0, 5.0, rows).round(2),
        SCORE: score,
        "late": (rng.random(rows) < score).astype(np.int8),
    }
    importance = {"line": 1.0, "delay": 2.0}
    return build_baseline(
        Schema.from_spec(spec), columns, columns, importance, Windowing(3600, 10, 2, 0.01, 7)
    ).to_json()


def capture_file(name: str, at: datetime, good: int, bad: int) -> bytes:
    """Records of one row each, the bad ones with a cell too few."""
    lines = []
    for number in range(good + bad):
        moment = f"{at - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
        cells = [f"{name}-{number}", moment, "north", "7.5"] if number < good else [f"{name}-{number}", moment]
        lines.append(_record(",".join(cells), "0.25"))
    return b"".join(lines)


def _record(inputs: str, output: str) -> bytes:
    def part(mode: str, text: str) -> dict[str, str]:
        return {"observedContentType": "text/csv", "mode": mode, "data": text, "encoding": "CSV"}

    capture = {"endpointInput": part("INPUT", inputs), "endpointOutput": part("OUTPUT", output)}
    meta = {"eventId": inputs.partition(",")[0], "inferenceTime": "2026-03-02T10:00:00Z"}
    return json.dumps({"captureData": capture, "eventMetadata": meta, "eventVersion": "0"}).encode() + b"\n"


def label_file(row_ids: Sequence[str]) -> bytes:
    """Ground truth of some rows: all of them late."""
    lines = (
        {"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": row_id}, "eventVersion": "0"}
        for row_id in row_ids
    )
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
