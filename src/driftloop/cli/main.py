"""The group of all commands."""

from __future__ import annotations

import signal
from types import FrameType

import click

from driftloop.cli import (
    backfill,
    buckets,
    datasets,
    dead_letters,
    demonstration,
    episodes,
    explain,
    gate,
    history,
    reports,
    retraining,
    rollback,
    shadow,
    trace,
    tracking,
    twins,
)
from driftloop.cli.errors import PlainErrors


@click.group(cls=PlainErrors)
@click.version_option(package_name="driftloop")
def main() -> None:
    """Keeps deployed models good, on AWS or on this machine.

    All but up, env, clock, deploy, down, demo and gate work on the AWS that the environment names; `driftloop env` prints the
    environment of a twin.
    """
    # A polite request to end takes the same way out as Ctrl-C, so nothing that was started stays behind.
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


for command in (
    twins.up, twins.env, twins.clock, twins.deploy, twins.down, demonstration.demo, history.history,
    reports.report, retraining.retrain, retraining.pause, retraining.resume, episodes.episodes, explain.explain,
    dead_letters.dead_letters, backfill.backfill, buckets.empty_buckets, gate.gate,
    rollback.rollback, shadow.shadow, trace.trace, datasets.data, tracking.mlflow,
):  # fmt: skip
    main.add_command(command)
