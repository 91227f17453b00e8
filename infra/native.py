"""Compile what is written in Zig: ``python -m infra.native``, for this machine and beside its source.

The compiler comes from PyPI and compiles for any machine on any other; what it makes depends on the source alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "driftloop" / "native" / "root.zig"
LIBRARY = "libdriftloop.so"
LAMBDA = ("-target", "aarch64-linux-gnu", "-mcpu", "neoverse_n1")
"""Its arm64 is Graviton2 or later."""


def build_library(platform: str, folder: Path) -> None:
    """Compile for ``lambda`` or ``host`` into a folder."""
    cache = ROOT / "build" / "zig"
    subprocess.run(
        [
            sys.executable, "-m", "ziglang", "build-lib", "-dynamic", "-O", "ReleaseSafe", "-fstrip",
            *(LAMBDA if platform == "lambda" else _host()), f"-femit-bin={folder / LIBRARY}",
            "--cache-dir", str(cache), "--global-cache-dir", str(cache), str(SOURCE),
        ],
        check=True,
    )  # fmt: skip


def _host() -> tuple[str, ...]:
    """This machine, with the wide registers that nearly all of its kind have."""
    described = Path("/proc/cpuinfo")
    wide = described.exists() and {"avx2", "bmi2", "fma"} <= set(described.read_text(encoding="utf-8").split())
    return ("-mcpu", "x86_64_v3" if wide else "baseline")


if __name__ == "__main__":
    build_library("host", SOURCE.parent)
