"""The floor: bringing the file's bytes from the page cache into memory, and doing nothing with them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.monitoring_peers.worker import run_tool


def prepare(_reference: Path, _folder: Path) -> None:
    """Nothing to prepare."""


def report(capture: Path, _folder: Path, _report: Path) -> list[str]:
    """Read the whole file at once."""
    capture.read_bytes()
    return []


if __name__ == "__main__":
    run_tool(prepare, report)
