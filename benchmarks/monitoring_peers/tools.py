"""The tools side by side: where each is installed, how it is run, how large it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.packaging import ROOT, package_functions

ENVIRONMENTS = ROOT / ".venv-peers"
# No tool reports its use from a benchmark.
_QUIET = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True"}
_INSTALLERS = ("pip", "setuptools", "_virtualenv", "_distutils_hack", "distutils-precedence")


class ToolError(Exception):
    """A tool's process that failed; the message is the end of what it said."""


@dataclass(frozen=True)
class Tool:
    """One column of the comparison."""

    name: str
    module: str
    imports: str = ""
    """What a program must import to use the tool; empty for the floor."""
    environment: str = ""
    """Folder below ``.venv-peers``; empty for the project's own environment."""
    borrows_reader: bool = False
    """Reads capture files with a pyarrow that is not the tool's own, so that its size stays what the tool needs."""

    @property
    def python(self) -> Path:
        """The interpreter of the tool's environment."""
        return ENVIRONMENTS / self.environment / "bin" / "python" if self.environment else Path(sys.executable)

    @property
    def installed(self) -> bool:
        """Whether ``make peers`` has been run for it."""
        needed = [self.python, *([ENVIRONMENTS / "reader"] if self.borrows_reader else [])]
        return all(path.exists() for path in needed)

    def prepare(self, reference: Path, folder: Path) -> None:
        """Make what the tool can make of the reference beforehand. Raises ToolError."""
        folder.mkdir(parents=True, exist_ok=True)
        self._run(["-m", self.module, "prepare", str(reference), str(folder)])

    def report(self, capture: Path, folder: Path, limit: float) -> dict[str, Any]:
        """Seconds, peak memory and flagged columns of one report in a fresh process.

        Raises ToolError if it fails, TimeoutError if it takes longer than ``limit`` seconds.
        """
        result = folder / "result.json"
        result.unlink(missing_ok=True)
        self._run(["-m", self.module, "report", str(capture), str(folder)], limit)
        value: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return value

    def cold_import(self) -> float:
        """Seconds of the imports in a fresh process."""
        clock = f"import time; start = time.perf_counter(); {self.imports}; print(time.perf_counter() - start)"
        return float(self._run(["-c", clock], borrow=False).split()[-1])

    def unpacked_mb(self) -> float:
        """MB (10^6 bytes) of files that a program must ship to use the tool; for ours, the package of the functions."""
        if not self.environment:
            return _size(package_functions("lambda"))
        return sum(_size(path) for path in self.python.parents[1].glob("lib/python*/site-packages"))

    def _run(self, arguments: list[str], limit: float | None = None, *, borrow: bool = True) -> str:
        command = [str(self.python), *arguments]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=self._environment(borrow), timeout=limit, capture_output=True, text=True,
                errors="replace", check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"> {limit:g} s") from None
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise ToolError(f"exit code {done.returncode}: {said[-1][:200] if said else 'nothing on stderr'}")
        return done.stdout

    def _environment(self, borrow: bool) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        folders = ENVIRONMENTS.glob("reader/lib/python*/site-packages") if self.borrows_reader and borrow else ()
        return {**kept, **_QUIET, "PYTHONPATH": os.pathsep.join(map(str, folders))}


def _size(folder: Path) -> float:
    """MB of a folder's files without the installers and without what Python compiles itself."""
    own = (path for path in folder.iterdir() if not path.name.startswith(_INSTALLERS))
    files = (file for path in own for file in ([path] if path.is_file() else path.rglob("*")))
    return sum(f.stat().st_size for f in files if f.is_file() and "__pycache__" not in f.parts) / 1e6


def _peer(name: str, module: str, environment: str, imports: str, *, borrows_reader: bool = False) -> Tool:
    return Tool(name, f"benchmarks.monitoring_peers.{module}", imports, environment, borrows_reader)


_EVIDENTLY = "import evidently; import evidently.presets"
TOOLS = (
    Tool(
        "driftloop",
        "benchmarks.monitoring_peers.driftloop_profiles",
        "import driftloop.data.capture; import driftloop.monitoring.assessment",
    ),
    Tool("read_floor", "benchmarks.monitoring_peers.read_floor"),
    _peer("evidently", "evidently_preset", "evidently", _EVIDENTLY),
    _peer("evidently_aws", "evidently_sample", "evidently", _EVIDENTLY),
    _peer("nannyml", "nannyml_univariate", "nannyml", "import nannyml"),
    _peer(
        "whylogs", "whylogs_profile", "whylogs", "import whylogs; import whylogs.viz.drift.column_drift_algorithms",
        borrows_reader=True,
    ),
    _peer("popmon", "popmon_metrics", "popmon", "import popmon.pipeline.metrics", borrows_reader=True),
    _peer("scipy_ks", "scipy_tests", "scipy", "import scipy.stats", borrows_reader=True),
)  # fmt: skip
