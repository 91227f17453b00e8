"""Evidently's ``DataDriftPreset`` as it comes: the tests that it chooses, the whole reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq  # type: ignore[import-not-found]
from evidently import DataDefinition, Dataset, Report  # type: ignore[import-not-found]
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]

from benchmarks.monitoring_peers.data import CATEGORIES, NUMBERS
from benchmarks.monitoring_peers.frames import read_frame, read_reference
from benchmarks.monitoring_peers.worker import run_tool

_FILE = "reference.parquet"


def prepare(reference: Path, folder: Path) -> None:
    """Evidently keeps no profile: it reads the reference rows again for every report."""
    pq.write_table(read_reference(reference), folder / _FILE)


def report(capture: Path, folder: Path, out: Path) -> list[str]:
    """Drift of every column with the preset's own choice of tests and thresholds."""
    return drift_report(DataDriftPreset(), capture, folder / _FILE, out)


def drift_report(preset: Any, capture: Path, reference: Path, out: Path) -> list[str]:
    """Write the JSON of one preset; return the columns whose value is beyond their threshold."""
    definition = DataDefinition(numerical_columns=list(NUMBERS), categorical_columns=list(CATEGORIES))
    current = Dataset.from_pandas(read_frame(capture), data_definition=definition)
    before = Dataset.from_pandas(pd.read_parquet(reference), data_definition=definition)
    snapshot = Report([preset]).run(current, before)
    out.write_text(snapshot.json(), encoding="utf-8")
    return [m["config"]["column"] for m in snapshot.dict()["metrics"] if "column" in m["config"] and _drifted(m)]


def _drifted(metric: dict[str, Any]) -> bool:
    config, value = metric["config"], float(metric["value"])
    # The two tests that give p-values here; the others are distances.
    if config["method"] in {"ks", "chisquare"}:
        return value < float(config["threshold"])
    return value >= float(config["threshold"])


if __name__ == "__main__":
    run_tool(prepare, report)
