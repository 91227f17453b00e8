"""Commands: the twin, and the demo on it."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TypeVar

import click

from driftloop.twin import lifecycle
from driftloop.twin.lifecycle import Twin, TwinError
from driftloop.twin.toolkit import ROOT, ToolkitError

T = TypeVar("T")
TWINS = ROOT / "build" / "twin"
_NAME = click.option(
    "--name", default="default", show_default=True, help="Twins with different names run side by side."
)


@click.group()
@click.version_option(package_name="driftloop")
def main() -> None:
    """Keeps deployed models good, on AWS or on this machine."""
    # A polite request to end takes the same way out as Ctrl-C, so nothing that was started stays behind.
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@main.command()
@_NAME
@click.option("--port", default=0, help="Port to listen on; a free one by default.")
@click.option("--start", type=click.DateTime(), help="Virtual time (UTC) at which it starts; now by default.")
def up(name: str, port: int, start: datetime | None) -> None:
    """Start a twin, leave it running, and print the environment for boto3, the aws CLI and cdk."""
    begin = start.replace(tzinfo=UTC) if start else None
    _print_environment(_told(lambda: lifecycle.start(TWINS / name, port, begin)))


@main.command()
@_NAME
def env(name: str) -> None:
    """Print the environment of a running twin."""
    _print_environment(_running(name))


@main.command()
@_NAME
@click.argument("moment", type=click.DateTime())
def clock(name: str, moment: datetime) -> None:
    """Let virtual time pass until MOMENT (UTC), through everything that is due before."""
    twin = _running(name)
    _told(lambda: twin.move_clock(moment.replace(tzinfo=UTC)))
    click.echo(twin.door("status")["now"])


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "build" / "demo", show_default=True)
def demo(out: Path) -> None:
    """Run the whole loop on a year of real flights and write a report."""
    from driftloop.demo.display import Display  # noqa: PLC0415 - pandas and plotly are not needed for the rest
    from driftloop.demo.run import LoopNotClosedError, run_demo  # noqa: PLC0415

    try:
        outcome = run_demo(out, Display())
    except (TwinError, ToolkitError, LoopNotClosedError) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("interrupted; everything that was started has been ended", err=True)
        sys.exit(130)
    click.echo(f"report   {outcome.report}\nsummary  {out / 'summary.json'}")
    if not outcome.closed:
        raise click.ClickException("the loop did not close: no alarm led to a version that served")


def _running(name: str) -> Twin:
    twin = Twin.find(TWINS / name)
    if twin is None:
        raise click.ClickException(f"no twin named {name!r} runs; start one with `driftloop up --name {name}`")
    return twin


def _told(work: Callable[[], T]) -> T:
    try:
        return work()
    except TwinError as error:
        raise click.ClickException(str(error)) from None


def _print_environment(twin: Twin) -> None:
    for key, value in twin.environment().items():
        click.echo(f"export {key}={shlex.quote(value)}")
