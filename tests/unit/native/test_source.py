"""The source that is compiled: its own tests, its format, and that what is built is built from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from driftloop.native.library import LIBRARY
from infra.native import ROOT, SOURCE, build_library

CACHE = ROOT / "build" / "zig"


def _zig(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ziglang", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_its_own_tests() -> None:
    said = _zig("test", SOURCE, "--cache-dir", CACHE, "--global-cache-dir", CACHE)
    assert "All 4 tests passed." in said


def test_its_format() -> None:
    _zig("fmt", "--check", SOURCE.parent)


def test_what_is_loaded_is_what_the_source_gives(tmp_path: Path) -> None:
    build_library("host", tmp_path)
    assert (tmp_path / LIBRARY.name).read_bytes() == LIBRARY.read_bytes(), "run: make setup"


@pytest.mark.parametrize(("platform", "machine"), [("lambda", 183)])
def test_it_is_compiled_for_other_machines(tmp_path: Path, platform: str, machine: int) -> None:
    build_library(platform, tmp_path)
    header = (tmp_path / LIBRARY.name).read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    # e_machine of the ELF header: EM_AARCH64.
    assert int.from_bytes(header[18:20], "little") == machine
