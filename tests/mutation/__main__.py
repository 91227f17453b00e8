"""``make mutation``: mutate the modules that pyproject.toml names, in a copy of the code, and write the report."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.mutation.report import Mutant, complaints, page

COPY = ROOT / "build" / "mutation"
NEEDED = ("src", "pyproject.toml", "tests/__init__.py", "tests/conftest.py", "tests/fakes", "tests/unit/__init__.py",
          "tests/unit/retraining")  # fmt: skip
REPORT = ROOT / "docs" / "reference" / "mutation.md"
MUTMUT = Path(sys.executable).with_name("mutmut")


def main() -> None:
    """Exits with what is wrong, if anything is."""
    _copy()
    subprocess.run([MUTMUT, "run"], cwd=COPY, check=True)
    mutants = [_mutant(*line.strip().rsplit(": ", 1)) for line in _mutmut("results", "--all", "true").splitlines()]
    REPORT.write_text(page(mutants), encoding="utf-8")
    sys.exit("\n".join(complaints(mutants)) or None)


def _copy() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    for name in NEEDED:
        source, target = ROOT / name, COPY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def _mutant(name: str, status: str) -> Mutant:
    if status == "killed":
        return Mutant(name, status)
    lines = [line for line in _mutmut("show", name).splitlines() if line[:1] in "+-" and line[:3] not in ("---", "+++")]
    return Mutant(name, status, tuple(line for line in lines if line))


def _mutmut(*arguments: str) -> str:
    return subprocess.run([MUTMUT, *arguments], cwd=COPY, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
