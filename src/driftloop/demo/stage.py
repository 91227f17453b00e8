"""The stage of the demo: a twin with the kit deployed into it by the real CDK CLI."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from driftloop.aws.ledger import DynamoLedger
from driftloop.names import LEDGER_TABLE, PLATFORM_STACK, ModelNames, bucket
from driftloop.twin import lifecycle, toolkit
from driftloop.twin.lifecycle import Twin

T = TypeVar("T")
_CONFIG = Config(retries={"max_attempts": 0}, request_checksum_calculation="when_required", max_pool_connections=4)


@dataclass(frozen=True)
class Stage:
    """A running, deployed kit, seen from outside with an administrator's credentials."""

    twin: Twin
    model: str

    def client(self, service: str) -> Any:
        """A boto3 client."""
        environment = self.twin.environment()
        session = boto3.Session(
            environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], region_name=self.twin.region
        )
        return session.client(service, endpoint_url=self.twin.url, config=_CONFIG)  # type: ignore[call-overload]

    def bucket(self, kind: str) -> str:
        """Name of the ``live``, ``curated`` or ``artifacts`` bucket."""
        return bucket(kind, self.twin.account, self.twin.region)

    @cached_property
    def ledger(self) -> DynamoLedger:
        """The ledger."""
        return DynamoLedger(self.client("dynamodb"), LEDGER_TABLE)

    def stacks(self) -> list[dict[str, Any]]:
        """Name, number of resources and status of the kit's stacks."""
        formation = self.client("cloudformation")
        return [self._stack(formation, name) for name in (PLATFORM_STACK, ModelNames(self.model).base)]

    @staticmethod
    def _stack(formation: Any, name: str) -> dict[str, Any]:
        pages = formation.get_paginator("list_stack_resources").paginate(StackName=name)
        resources = sum(len(page["StackResourceSummaries"]) for page in pages)
        status = formation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return {"name": name, "resources": resources, "status": status}


class Timer:
    """Seconds of real time by name."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def measure(self, name: str, work: Callable[[], T]) -> T:
        """Run something and note how long it took."""
        begun = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds[name] = round(time.perf_counter() - begun, 2)

    def total(self) -> float:
        """Seconds since the start."""
        return round(time.perf_counter() - self._begun, 2)


def set_stage(folder: Path, model: str, begin: datetime, timer: Timer) -> Stage:
    """Boot a twin, synthesise, bootstrap and deploy. Raises TwinError or ToolkitError.

    The twin ends when this process ends, however that happens.
    """
    log, assembly = folder / "cdk.log", folder / "cdk.out"
    with ThreadPoolExecutor(1) as pool:
        # Nothing in the templates depends on where they go, so both can be made at once.
        synthesis: Future[None] = pool.submit(timer.measure, "synth", lambda: _synthesise(assembly, log))
        twin = timer.measure("boot", lambda: lifecycle.start(folder / "twin", begin=begin, attached=True))
        synthesis.result()
    environment = twin.environment()

    def deploy() -> None:
        app = ("--app", str(assembly))
        toolkit.run_cdk(["bootstrap", f"aws://{twin.account}/{twin.region}", *app], environment, log)
        toolkit.run_cdk(
            ["deploy", "--all", *app, "--require-approval", "never", "--progress", "events"], environment, log
        )

    timer.measure("deploy", deploy)
    return Stage(twin, model)


def _synthesise(assembly: Path, log: Path) -> None:
    subprocess.run([sys.executable, "-m", "infra.packaging", "--platform", "host"], cwd=toolkit.ROOT, check=True)
    toolkit.run_cdk(["synth", "--quiet", "--output", str(assembly), "--build", "true", *toolkit.TARGET], {}, log)
