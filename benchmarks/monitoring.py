"""How long from a capture file to a drift report, beside the peers?
``python -m benchmarks.monitoring --rows 10000,100000,1000000 --out FILE.json`` (``make peers`` installs the peers)."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.monitoring_peers.data import FEATURES, SHIFTED, make_reference, write_capture
from benchmarks.monitoring_peers.tools import TOOLS, Tool, ToolError
from infra.packaging import BUILD

SLOW = 60.0
"""Seconds after which a report is not repeated."""
_HEADINGS = ("tool", "seconds", "x ours", "x read", "CPU s", "peak MB", "x ours", "import", "MB", "found", "false")
_IMPORTS = 3
"""Cold imports whose median is reported."""


@dataclass
class Runs:
    """All reports of one tool on one file."""

    tool: Tool
    rows: int
    measured: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    """Why there is no report, if so."""

    @property
    def seconds(self) -> float | None:
        """Median; None if the tool did not finish."""
        return self._median("seconds")

    @property
    def wanted(self) -> bool:
        """Whether another repetition says anything new at a bearable price."""
        return not self.note and (self.seconds or 0.0) <= SLOW

    def measure(self, capture: Path, folder: Path, limit: float) -> None:
        """One more report in a fresh process."""
        try:
            self.measured.append(self.tool.report(capture, folder, limit))
        except TimeoutError as error:
            self.note = str(error)
        except ToolError as error:
            self.note = f"failed: {error}"

    def to_dict(self, cold_import: float | None, unpacked: float | None) -> dict[str, Any]:
        """One entry of the result file. ``found`` counts the flagged features that truly moved."""
        flagged = set(self.measured[-1]["flagged"]) if self.measured else None
        return {
            "name": self.tool.name,
            "rows": self.rows,
            "seconds": self.seconds,
            "cpu_seconds": self._median("cpu_seconds"),
            "peak_mb": self._median("peak_mb"),
            "cold_import_s": cold_import,
            "unpacked_mb": unpacked,
            "flagged": None if flagged is None else len(flagged),
            "found": None if flagged is None else len(flagged & SHIFTED),
            "repetitions": len(self.measured),
            "note": self.note,
        }

    def _median(self, name: str) -> float | None:
        return None if self.note or not self.measured else median(run[name] for run in self.measured)


def make_files(folder: Path, rows: Sequence[int], reference_rows: int, seed: int) -> tuple[Path, dict[int, Path]]:
    """The reference and one capture file per size; what is there already is used again."""
    folder.mkdir(parents=True, exist_ok=True)
    reference = folder / f"reference-{reference_rows}-{seed}.npz"
    if not reference.exists():
        partial = folder / "partial.npz"
        np.savez(partial, **make_reference(reference_rows, seed))  # type: ignore[arg-type]
        partial.replace(reference)
    captures = {count: folder / f"capture-{count}-{seed}.jsonl" for count in rows}
    for count, path in captures.items():
        if not path.exists():
            write_capture(path, count, seed)
    return reference, captures


def compare(
    tools: Sequence[Tool], reference: Path, captures: dict[int, Path], folder: Path, repeat: int, limit: float,
    console: Console,
) -> list[Runs]:  # fmt: skip
    """Reports of all tools on all files: every repetition goes through all of them in turn."""
    for tool in tools:
        console.print(f"preparing {tool.name}")
        tool.prepare(reference, folder / tool.name)
    runs = [Runs(tool, count) for count in sorted(captures) for tool in tools]
    for number in range(repeat):
        for run in runs:
            if run.wanted:
                _warm(captures[run.rows])
                run.measure(captures[run.rows], folder / run.tool.name, limit)
                last = f"{run.measured[-1]['seconds']:.3f} s" if not run.note else run.note
                console.print(f"{number + 1}/{repeat} {run.rows:>9,} rows  {run.tool.name:<14} {last}", highlight=False)
    return runs


def _warm(path: Path) -> None:
    """Bring the file into the page cache, so that no tool pays for the disk."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def sizes(tool: Tool) -> tuple[float | None, float | None]:
    """Cold import in seconds and unpacked size in MB; None for the floor."""
    return _sizes(replace(tool, name="", module="")) if tool.imports else (None, None)


@cache
def _sizes(tool: Tool) -> tuple[float, float]:
    # The first import may compile: it does not count.
    tool.cold_import()
    return median(tool.cold_import() for _ in range(_IMPORTS)), tool.unpacked_mb()


def print_tables(runs: Sequence[dict[str, Any]], console: Console) -> None:
    """One table of ratios per size."""
    for rows in sorted({run["rows"] for run in runs}):
        group = [run for run in runs if run["rows"] == rows]
        usual = {run["name"]: run for run in group}
        title = f"{rows:,} rows, {len(FEATURES)} features, {len(SHIFTED)} of them shifted"
        table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for heading in _HEADINGS:
            table.add_column(heading, justify="left" if heading == "tool" else "right", no_wrap=True)
        for run in group:
            table.add_row(*_cells(run, usual.get("driftloop", {}), usual.get("read_floor", {})))
        console.print(table)


def _cells(run: dict[str, Any], ours: dict[str, Any], floor: dict[str, Any]) -> list[str]:
    judged = run["flagged"] is not None and run["name"] != "read_floor"
    return [
        run["name"],
        run["note"].partition(":")[0] or _number(run["seconds"], 3),
        _ratio(run, ours, "seconds"),
        _ratio(run, floor, "seconds"),
        _number(run["cpu_seconds"], 3),
        _number(run["peak_mb"], 0),
        _ratio(run, ours, "peak_mb"),
        _number(run["cold_import_s"], 2),
        _number(run["unpacked_mb"], 0),
        f"{run['found']}" if judged else "-",
        f"{run['flagged'] - run['found']}" if judged else "-",
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _ratio(run: dict[str, Any], base: dict[str, Any], name: str) -> str:
    value, unit = run[name], base.get(name)
    return f"{value / unit:,.{1 if value < 100 * unit else 0}f}" if value is not None and unit else "-"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring", description=__doc__)
    parser.add_argument("--rows", type=_counts, default=[10_000, 100_000], help="sizes of capture files, with commas")
    parser.add_argument("--reference-rows", type=int, default=100_000)
    parser.add_argument("--tools", type=_names, default=[t.name for t in TOOLS], help="names with commas; default all")
    parser.add_argument("--repeat", type=int, default=3, help=f"repetitions of what takes at most {SLOW:g} s")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds after which a report is stopped")
    parser.add_argument("--no-sizes", action="store_true", help="measure neither cold imports nor package sizes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=BUILD / "benchmarks" / "monitoring", help="generated files")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 100)
    chosen = [tool for tool in TOOLS if tool.name in options.tools]
    for tool in chosen:
        if not tool.installed:
            console.print(f"{tool.name} is left out: it is not installed; `make peers` does that")
    tools = [tool for tool in chosen if tool.installed]
    reference, captures = make_files(options.folder, options.rows, options.reference_rows, options.seed)
    runs = compare(tools, reference, captures, options.folder, options.repeat, options.limit, console)
    result = [run.to_dict(*(None, None) if options.no_sizes else sizes(run.tool)) for run in runs]
    print_tables(result, console)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
        text = json.dumps({"runs": result, "shifted": len(SHIFTED), **machine}, indent=2) + "\n"
        options.out.write_text(text, encoding="utf-8")
    return 0


def _counts(text: str) -> list[int]:
    counts = [int(part) for part in text.split(",")]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError("rows must be positive")
    return counts


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = set(names) - {tool.name for tool in TOOLS}
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown tools {sorted(unknown)}; there are {[t.name for t in TOOLS]}")
    return names


if __name__ == "__main__":
    sys.exit(main())
