"""whylogs: a profile of the traffic against the reference's, with its default drift tests on the sketches."""

from __future__ import annotations

import json
from pathlib import Path

import whylogs  # type: ignore[import-not-found]
from whylogs.core.view.dataset_profile_view import DatasetProfileView  # type: ignore[import-not-found]
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores  # type: ignore[import-not-found]

from benchmarks.monitoring_peers.frames import read_frame, read_reference
from benchmarks.monitoring_peers.worker import run_tool

_FILE = "reference.bin"


def prepare(reference: Path, folder: Path) -> None:
    """The reference's profile."""
    view = whylogs.log(pandas=read_reference(reference).to_pandas()).view()
    (folder / _FILE).write_bytes(view.serialize())


def report(capture: Path, folder: Path, out: Path) -> list[str]:
    """Drift score and category of every column."""
    before = DatasetProfileView.deserialize((folder / _FILE).read_bytes())
    view = whylogs.log(pandas=read_frame(capture)).view()
    scores = calculate_drift_scores(target_view=view, reference_view=before, with_thresholds=True)
    out.write_text(json.dumps(scores, default=float), encoding="utf-8")
    return [name for name, score in scores.items() if score and score["drift_category"] == "DRIFT"]


if __name__ == "__main__":
    run_tool(prepare, report)
