"""The kit in a twin: packaged, synthesised, bootstrapped and deployed by the real CDK CLI, as it would be into AWS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from driftloop.twin.lifecycle import Twin
from driftloop.twin.toolkit import ROOT, TARGET, ToolkitError, run_cdk

ASSEMBLY, LOG = "cdk.out", "cdk.log"
_CONFIG = Config(retries={"max_attempts": 0}, request_checksum_calculation="when_required", max_pool_connections=4)


def client(twin: Twin, service: str) -> Any:
    """A boto3 client with an administrator's credentials that reaches the twin and nothing else."""
    session = boto3.Session(twin.access_key, twin.secret_key, region_name=twin.region)
    return session.client(service, endpoint_url=twin.url, config=_CONFIG)  # type: ignore[call-overload]


def synthesise(assembly: Path, log: Path, context: Sequence[str] = ()) -> None:
    """Write the cloud assembly, with functions packaged for this machine. Raises ToolkitError.

    Args:
        context: further ``key=value`` of CDK's context.
    """
    package(log)
    extra = [part for value in context for part in ("-c", value)]
    run_cdk(["synth", "--quiet", "--output", str(assembly), "--build", "true", *TARGET, *extra], {}, log)


def package(log: Path) -> None:
    """Build functions and steps for this machine, unless they are up to date. Raises ToolkitError."""
    with log.open("ab") as output:
        command = [sys.executable, "-m", "infra.packaging", "--platform", "host"]
        status = subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, check=False).returncode
    if status:
        raise ToolkitError(f"the functions could not be packaged; see {log}")


def bootstrap(twin: Twin, log: Path) -> None:
    """Prepare the twin's account for the CDK. Raises ToolkitError."""
    # Away from cdk.json, or the CLI synthesises the app for it.
    run_cdk(["bootstrap", f"aws://{twin.account}/{twin.region}"], twin.environment(), log, cwd=twin.folder)


def deploy(twin: Twin, assembly: Path, log: Path) -> None:
    """Deploy all stacks of an assembly, without change sets, which nobody would look at. Raises ToolkitError."""
    how = ("--require-approval", "never", "--progress", "events", "--method", "direct")
    run_cdk(["deploy", "--all", "--app", str(assembly), *how], twin.environment(), log)
