"""The real CDK CLI, as pinned in package-lock.json, pointed at a twin."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = ("-c", "driftloop:platform=host", "-c", "driftloop:retain=false", "-c", "driftloop:mlflow=false")
"""Functions packaged for this machine, everything removable and no MLflow app, whatever cdk.json says: the only
differences from a deployment to AWS."""


class ToolkitError(Exception):
    """The CDK CLI failed; the message holds what it said."""


def run_cdk(arguments: Sequence[str], environment: Mapping[str, str], log: Path, cwd: Path = ROOT) -> None:
    """Run ``cdk`` with its output in a file. Raises ToolkitError with the end of it."""
    cli = ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if not cli.exists():
        raise ToolkitError("the CDK CLI is not installed; run `make setup`")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "CDK_"))}
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["node", str(cli), *arguments], cwd=cwd, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            env={**clean, "PATH": path, "CI": "true", **environment}, start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if status:
        said = log.read_text(errors="replace").strip().splitlines()[-25:]
        raise ToolkitError(f"cdk {arguments[0]} failed:\n  " + "\n  ".join(said))


def stack_names(assembly: Path) -> list[str]:
    """Names of the stacks in a synthesised cloud assembly."""
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    return sorted(name for name, item in artifacts.items() if item["type"] == "aws:cloudformation:stack")
