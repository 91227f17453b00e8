"""``training.json``: what a version was made from."""

from __future__ import annotations

import importlib
import json
import platform
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from driftloop.data.schema import Columns
from driftloop.data.windows import Window, iso
from pipelines.steps.fitting import library_of
from pipelines.steps.step import StepError

TRAINING = "training.json"


def build_record(spec: Mapping[str, Any], columns: Columns, window: Window, **more: Any) -> dict[str, Any]:
    """The record of a version that was fitted on some rows of a window; ``more`` is what only its step knows."""
    labels = columns[spec["data"]["label"]]
    library = library_of(spec["training"]["image"])
    return {
        "windows": {"training": {"start": iso(window.start), "end": iso(window.end)}},
        "rows": len(labels),
        "positive_rate": float(labels.mean()),
        "seed": spec["training"]["seed"],
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "sklearn": sklearn.__version__,
            library: importlib.import_module(library).__version__,
        },
        **more,
    }


def read_record(folder: Path, who: str) -> dict[str, Any]:
    """The record in an extracted archive. Raises StepError."""
    try:
        record: dict[str, Any] = json.loads((folder / TRAINING).read_bytes())
    except (OSError, ValueError) as error:
        raise StepError(f"the {who}'s archive has no {TRAINING} that can be read: {error}") from error
    return record


def window_of(record: Mapping[str, Any]) -> Window:
    """The window whose rows a version was fitted on."""
    window = record["windows"]["training"]
    return Window(datetime.fromisoformat(window["start"]), datetime.fromisoformat(window["end"]))
