"""A small model for the steps: trains that are late in winter, 20 days of 300 rows."""

from __future__ import annotations

import json
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.data.schema import Columns, Schema
from driftloop.spec.model import ModelSpec

NAME, BASE = "late_train", "driftloop-late-train"
LIVE, CURATED, ARTIFACTS = "live-bucket", "curated-bucket", "artifact-bucket"
START = datetime(2026, 3, 2, tzinfo=UTC)
TRAINING_DAYS, HOLDOUT_DAYS, PER_DAY = 16, 4, 300
WINDOW_START, WINDOW_END, HOLDOUT_END = "2026-03-02T00:00:00Z", "2026-03-18T00:00:00Z", "2026-03-22T00:00:00Z"
WINDOWS = ["--window-start", WINDOW_START, "--window-end", WINDOW_END]
LINES = np.array(["north", "south", "west", ""], dtype=object)


RAW: dict[str, Any] = {
    "name": NAME,
    "owner": "ops@example.com",
    "task": "binary_classification",
    "data": {
        "id": "trip",
        "time": "departure",
        "label": "late",
        "label_delay": "12h",
        # Not in order of name, which is not the order of the payload either.
        "features": {
            "line": "category",
            "delay": {"type": "number", "range": [0, 100]},
            "cars": {"type": "integer", "range": [1, 20]},
        },
    },
    "training": {"window": "16d", "holdout": "4d", "hyperparameters": {"max_iter": 30}},
    "gate": {"slices": ["line"]},
    "monitoring": {"window": "1d", "min_rows": 50, "smoothing": 3},
}
"""The model file."""


def compiled(**training: Any) -> dict[str, Any]:
    """The compiled model file."""
    raw = RAW | {"training": {**RAW["training"], **training}}
    spec: dict[str, Any] = json.loads(json.dumps(ModelSpec.model_validate(raw).compiled()))
    return spec


SPEC = compiled()
SCHEMA = Schema.from_spec(SPEC)


def rows(first_day: int = 0, days: int = TRAINING_DAYS + HOLDOUT_DAYS, seed: int = 1) -> Columns:
    """Payload columns and label, in order of time."""
    rng = np.random.default_rng(seed)
    count = days * PER_DAY
    seconds = np.sort(rng.integers(0, 86400, (days, PER_DAY)), axis=1) + 86400 * (first_day + np.arange(days))[:, None]
    line = rng.choice(4, count, p=[0.4, 0.3, 0.25, 0.05])
    delay = np.where(rng.random(count) < 0.1, np.nan, rng.gamma(2.0, 5.0, count).clip(0, 100))
    logit = np.array([-2.0, -0.5, 0.5, -1.0])[line] + 0.1 * np.nan_to_num(delay)
    return {
        "trip": np.array([f"T{first_day}-{number}" for number in range(count)], dtype=object),
        "departure": np.datetime64(START.replace(tzinfo=None), "s") + seconds.ravel().astype("timedelta64[s]"),
        "line": LINES[line],
        "delay": delay,
        "cars": rng.integers(2, 12, count).astype(float),
        "late": (rng.random(count) < 1 / (1 + np.exp(-logit))).astype(np.int8),
    }


def day(number: int) -> str:
    """Event date of a day of the example."""
    return (START + timedelta(days=number)).strftime("%Y-%m-%d")


def pack(model: Path, target: Path) -> Path:
    """A model archive as SageMaker makes it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:gz") as archive:
        for path in sorted(model.iterdir()):
            archive.add(path, path.name)
    return target
