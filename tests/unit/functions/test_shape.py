"""What keeps functions small and quick to start."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


HANDLERS = sorted((ROOT / "functions").glob("*/handler.py"))
FORBIDDEN = {
    "aws_cdk",
    "ministack",
    "moto",
    "pandas",
    "plotly",
    "scipy",
    "sklearn",
    "yaml",
    "driftloop.spec",
    "driftloop.twin",
    "driftloop.cli",
}
CODE = ("src", "functions", "infra", "pipelines")


def test_every_function_has_a_handler() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/__init__.py")}
    assert {path.parent.name for path in HANDLERS} == folders
    assert len(folders) >= 8


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_fits_on_a_screen(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


def _modules(statement: str) -> set[str]:
    """Modules that a statement loads in a fresh interpreter without site customisation."""
    code = f"import sys, json; sys.path[:0] = {[str(ROOT / 'src'), str(ROOT)]!r}\n{statement}\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_the_handlers_loads_nothing_heavy() -> None:
    modules = _modules("\n".join(f"import functions.{path.parent.name}.handler" for path in HANDLERS))
    heavy = {name for name in modules if name in FORBIDDEN or name.split(".")[0] in FORBIDDEN}
    assert heavy == set()
    assert "driftloop.loop.detect_drift" in modules


def test_the_check_of_imports_can_fail() -> None:
    assert "yaml" in _modules("import yaml")


def _lengths() -> list[tuple[int, str]]:
    found = []
    for path in (path for part in CODE for path in sorted((ROOT / part).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                found.append((length, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"))
    return sorted(found, reverse=True)


def test_functions_are_short() -> None:
    lengths = [length for length, _ in _lengths()]
    longest = [f"{length} {where}" for length, where in _lengths()[:10]]
    assert np.percentile(lengths, 95) <= 35, longest
    assert np.median(lengths) < 20, longest
