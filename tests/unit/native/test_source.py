"""The source that is compiled: its own tests, its format, and that what is built is built from it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from driftloop.native import DIGEST, LIBRARY, SOURCE
from infra.native import ROOT, build_library

CACHE = ROOT / "build" / "zig"


def _zig(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ziglang", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_its_own_tests() -> None:
    said = _zig("test", SOURCE / "root.zig", "--cache-dir", CACHE, "--global-cache-dir", CACHE)
    assert "All 4 tests passed." in said


def test_its_format() -> None:
    _zig("fmt", "--check", SOURCE)


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


@pytest.mark.parametrize("fault", ["missing", "cut off", "of another source", "of another machine"])
def test_what_is_not_whole_and_of_this_source_is_not_loaded(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "driftloop"
    shutil.copytree(SOURCE.parent, folder, ignore=shutil.ignore_patterns("twin", "reports", "__pycache__"))
    library = folder / "native" / LIBRARY.name
    if fault == "missing":
        library.unlink()
    elif fault == "cut off":
        library.write_bytes(library.read_bytes()[:20_000])
    elif fault == "of another source":
        (folder / "native" / "lines.zig").write_text("// other\n")
    else:
        build_library("lambda", library.parent)
    program = "import driftloop.native as n; print(n.__file__); from driftloop.data.capture import plain_rows; print(plain_rows)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [str(library.with_name("__init__.py")), "None"]
    assert (library.with_name(DIGEST)).exists()
    assert ("reading captures is slow" in done.stderr) == (fault != "missing")
