"""Evidently with the settings of AWS's sample ``aws-samples/sample-mlops-bestpractices`` (config.yaml, May 2026):
Kolmogorov-Smirnov for numbers, chi-square for categories, p below 0.05, a reference of 5,000 sampled rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-not-found]
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]

from benchmarks.monitoring_peers.evidently_preset import drift_report
from benchmarks.monitoring_peers.frames import read_reference
from benchmarks.monitoring_peers.worker import run_tool

_FILE = "sample.parquet"
_ROWS = 5_000
_P_VALUE = 0.05


def prepare(reference: Path, folder: Path) -> None:
    """Keep a random sample of the reference."""
    table = read_reference(reference)
    rows = np.random.default_rng(0).choice(table.num_rows, min(_ROWS, table.num_rows), replace=False)
    pq.write_table(table.take(np.sort(rows)), folder / _FILE)


def report(capture: Path, folder: Path, out: Path) -> list[str]:
    """Drift of every column with the sample's tests."""
    preset = DataDriftPreset(num_method="ks", cat_method="chisquare", num_threshold=_P_VALUE, cat_threshold=_P_VALUE)
    return drift_report(preset, capture, folder / _FILE, out)


if __name__ == "__main__":
    run_tool(prepare, report)
