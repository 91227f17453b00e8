"""popmon: its stability metrics and traffic lights against an external reference, by day, without the HTML report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import popmon  # type: ignore[import-not-found]
from histogrammar.defs import Factory  # type: ignore[import-not-found]
from histogrammar.dfinterface.make_histograms import make_histograms  # type: ignore[import-not-found]
from popmon.pipeline.metrics import df_stability_metrics  # type: ignore[import-not-found]

from benchmarks.monitoring_peers.data import FEATURES, TIME
from benchmarks.monitoring_peers.frames import read_frame, read_reference
from benchmarks.monitoring_peers.worker import run_tool

_COLUMNS = (TIME, *FEATURES)
_FILE = "reference.json"
_RED = 2
_SIZES = {"count_pull", "filled_pull", "nan_pull", "overflow_pull", "underflow_pull", "distinct_pull"}
"""Lights on how many rows the day has. They say nothing of a distribution, and the days here differ in size on purpose."""


def prepare(reference: Path, folder: Path) -> None:
    """The reference's histograms by day."""
    frame = read_reference(reference, _COLUMNS).to_pandas()
    settings = popmon.Settings(time_axis=TIME, reference_type="external")
    settings._set_bin_specs_by_time_width_and_offset("1d", 0)
    histograms = make_histograms(frame, time_axis=TIME, bin_specs=settings.bin_specs)
    (folder / _FILE).write_text(json.dumps({name: h.toJson() for name, h in histograms.items()}), encoding="utf-8")


def report(capture: Path, folder: Path, out: Path) -> list[str]:
    """Features of which any statistic but the day's size shows a red light."""
    kept = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    before = {name: Factory.fromJson(value) for name, value in kept.items()}
    settings = popmon.Settings(time_axis=TIME, reference_type="external")
    store = df_stability_metrics(read_frame(capture, _COLUMNS), settings, reference=before)
    lights: dict[str, Any] = store["traffic_lights"]
    last = {name: lights[name].iloc[-1].to_dict() for name in FEATURES}
    out.write_text(json.dumps(last), encoding="utf-8")
    return [name for name, row in last.items() if any(row[light] == _RED for light in row.keys() - _SIZES)]


if __name__ == "__main__":
    run_tool(prepare, report)
