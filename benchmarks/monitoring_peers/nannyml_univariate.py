"""NannyML's univariate drift by day, with its default measure (Jensen-Shannon) and its own thresholds."""

from __future__ import annotations

from pathlib import Path

from nannyml import UnivariateDriftCalculator  # type: ignore[import-not-found]
from nannyml.io.store import FilesystemStore  # type: ignore[import-not-found]

from benchmarks.monitoring_peers.data import FEATURES, TIME
from benchmarks.monitoring_peers.frames import read_frame, read_reference
from benchmarks.monitoring_peers.worker import run_tool

_COLUMNS = (TIME, *FEATURES)
_FILE = "calculator.pkl"


def prepare(reference: Path, folder: Path) -> None:
    """Fit on the reference, whose days give the thresholds."""
    calculator = UnivariateDriftCalculator(list(FEATURES), timestamp_column_name=TIME, chunk_period="D")
    calculator.fit(read_reference(reference, _COLUMNS).to_pandas())
    FilesystemStore(str(folder)).store(calculator, filename=_FILE)


def report(capture: Path, folder: Path, out: Path) -> list[str]:
    """One day of traffic as one chunk."""
    calculator = FilesystemStore(str(folder)).load(filename=_FILE)
    result = calculator.calculate(read_frame(capture, _COLUMNS)).filter(period="analysis")
    flat = result.to_df(multilevel=False)
    flat.to_json(out)
    return [
        name
        for name in FEATURES
        if any(flat[c].any() for c in flat if c.startswith(f"{name}_") and c.endswith("_alert"))
    ]


if __name__ == "__main__":
    run_tool(prepare, report)
