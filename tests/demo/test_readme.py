"""Every command that the README gives for a fresh clone is run as it stands there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "make demo": "test_demo.py runs it",
    "make test": "this is what runs now, and .ci/run calls it",
}


def commands() -> list[str]:
    """Lines of the README's ``sh`` fences, in order; ``console`` fences need an AWS account."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    fences = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line for fence in fences for line in fence.splitlines() if line.strip()]


def test_the_readme_names_the_two_commands_and_ci_runs_the_second() -> None:
    assert commands()[:2] == ["make demo", "make test"]
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_other_commands_work_in_order() -> None:
    rest = [command for command in commands() if command not in ELSEWHERE]
    assert rest
    try:
        for command in rest:
            done = subprocess.run(
                ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    finally:
        subprocess.run([".venv/bin/driftloop", "down"], cwd=ROOT, capture_output=True, check=False)


@pytest.mark.parametrize("command", commands())
def test_no_command_needs_what_only_one_machine_has(command: str) -> None:
    assert "/home/" not in command
    assert "/work" not in command
