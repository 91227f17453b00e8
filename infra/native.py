"""Compile what is written in Zig: ``python -m infra.native``, for this machine and beside its source.

The compiler comes from PyPI and compiles for any machine on any other; what it makes depends on the source and the compiler alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from driftloop.native import DIGEST, LIBRARY, SOURCE, digest

ROOT = Path(__file__).resolve().parents[1]
LAMBDA = ("-target", "aarch64-linux-gnu", "-mcpu", "neoverse_n1")
"""Its arm64 is Graviton2 or later."""


def build_library(platform: str, folder: Path) -> None:
    """Compile for ``lambda`` or ``host`` into a folder, with the digest that is looked at before it is loaded."""
    cache, library = ROOT / "build" / "zig", folder / LIBRARY.name
    subprocess.run(
        [
            sys.executable, "-m", "ziglang", "build-lib", "-dynamic", "-O", "ReleaseSafe", "-fstrip",
            *(LAMBDA if platform == "lambda" else _host()), f"-femit-bin={library}",
            "--cache-dir", str(cache), "--global-cache-dir", str(cache), str(SOURCE / "root.zig"),
        ],
        check=True,
    )  # fmt: skip
    library.with_name(DIGEST).write_text(digest(library), encoding="ascii")


def _host() -> tuple[str, ...]:
    """This machine, with the wide registers that nearly all of its kind have."""
    described = Path("/proc/cpuinfo")
    wide = described.exists() and {"avx2", "bmi2", "fma"} <= set(described.read_text(encoding="utf-8").split())
    return ("-mcpu", "x86_64_v3" if wide else "baseline")


if __name__ == "__main__":
    build_library("host", SOURCE)
