"""What each tool's module does when it is run: prepare its reference, or report on a capture file and be measured."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

Prepare = Callable[[Path, Path], None]
"""``(reference.npz, folder)``: put into the folder what is made of the reference once."""
Report = Callable[[Path, Path, Path], Collection[str]]
"""``(capture, folder, report)``: write a JSON report; return the features that it flags."""


def run_tool(prepare: Prepare, report: Report) -> None:
    """Command line of a tool's module. A report's time does not include imports; its memory includes everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("prepare", "report"))
    parser.add_argument("input", type=Path, help="reference.npz or capture file")
    parser.add_argument("folder", type=Path, help="the tool's own folder")
    options = parser.parse_args()
    if options.action == "prepare":
        prepare(options.input, options.folder)
        return
    started, worked = time.perf_counter(), time.process_time()
    flagged = report(options.input, options.folder, options.folder / "report.json")
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - worked
    result = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peak_mb(), "flagged": sorted(flagged)}
    (options.folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def peak_mb() -> float:
    """Largest resident memory of this process, in MB (10^6 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss also remembers the parent that this process was forked from; the high-water mark does not.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
