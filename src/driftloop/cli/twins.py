"""Commands on twins: start, deploy into, move in time, end."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import click

from driftloop.twin import deployment, lifecycle, removal
from driftloop.twin.lifecycle import Twin
from driftloop.twin.toolkit import ROOT, stack_names

TWINS = ROOT / "build" / "twin"


def _plain(_context: click.Context, _option: click.Parameter, name: str) -> str:
    # The name is that of a folder, which is removed when the twin ends.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise click.ClickException(f"--name {name!r} is not up to 64 letters, digits, hyphens and underscores")
    return name


_name: Callable[[Any], Any] = click.option(
    "--name", default="default", show_default=True, callback=_plain, help="Twins with different names run side by side."
)


_FARTHEST = timedelta(days=732)
"""A move cannot be taken back once it has begun, and every day in it is lived through."""


@click.command()
@_name
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; a free one by default.")
@click.option("--start", type=click.DateTime(), help="Virtual time (UTC) at which it starts; now by default.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Keep its state on disk, so that it survives.")
def up(name: str, port: int, start: datetime | None, keep: bool) -> None:
    """Start a twin, leave it running, and print the environment for boto3, the aws CLI and cdk.

    One that was killed goes on where it was.
    """
    if Twin.find(TWINS / name):
        raise click.ClickException(
            f"a twin named {name!r} runs already; `driftloop down --name {name}` ends it, --name starts another one"
        )
    if port:
        _check_free(port)
    begin, was_killed = start.replace(tzinfo=UTC) if start else None, lifecycle.is_kept(TWINS / name)
    if was_killed and not keep:
        raise click.ClickException(
            f"the state of a twin named {name!r} is kept; `driftloop down --name {name}` removes it"
        )
    twin = lifecycle.start(TWINS / name, port, begin, keep=keep)
    if was_killed:
        click.echo(f"twin {name} had been killed; it goes on from {twin.door('status')['now']}", err=True)
    _print_environment(twin)


@click.command()
@_name
def env(name: str) -> None:
    """Print the environment of a running twin."""
    _print_environment(_running(name))


@click.command()
@_name
@click.argument("moment", type=click.DateTime())
def clock(name: str, moment: datetime) -> None:
    """Let virtual time pass until MOMENT (UTC), through everything that is due before."""
    twin = _running(name)
    target, now = moment.replace(tzinfo=UTC), datetime.fromisoformat(twin.door("status")["now"])
    if target < now:
        raise click.ClickException(f"it is {now:%Y-%m-%d %H:%M} there; the clock goes forward only")
    if target - now > _FARTHEST:
        raise click.ClickException(f"{target:%Y-%m-%d} is more than {_FARTHEST.days} days away; move in steps")
    twin.move_clock(target)
    click.echo(twin.door("status")["now"])


@click.command()
@_name
@click.option("-c", "--context", multiple=True, metavar="KEY=VALUE", help="CDK context, e.g. driftloop:models=FOLDER.")
def deploy(name: str, context: tuple[str, ...]) -> None:
    """Package the functions for this machine and deploy the stacks into a running twin with the real CDK CLI."""
    twin = _running(name)
    assembly, log = twin.folder / deployment.ASSEMBLY, twin.folder / deployment.LOG
    click.echo(f"package and synthesise ({log})")
    deployment.synthesise(assembly, log, context)
    click.echo(f"deploy {', '.join(stack_names(assembly))}")
    deployment.bootstrap(twin, log)
    deployment.deploy(twin, assembly, log)
    click.echo(f'deployed; eval "$(driftloop env --name {name})" lets boto3, the aws CLI and driftloop see it')


@click.command()
@_name
@click.option(
    "--destroy", is_flag=True, help="First empty the buckets, run `cdk destroy --all`, and check what is left."
)
def down(name: str, destroy: bool) -> None:
    """End a twin and everything that runs in it; of one that was killed, remove what is left."""
    if not destroy and not Twin.find(TWINS / name) and (TWINS / name).is_dir():
        lifecycle.remove(TWINS / name)
        click.echo(f"twin {name} had been killed; its folder is removed")
        return
    twin = _running(name)
    if destroy:
        _destroy(twin, name)
    twin.stop()
    click.echo(f"twin {name} has ended")


def _destroy(twin: Twin, name: str) -> None:
    left = removal.destroy(twin, click.echo)
    if left:
        raise click.ClickException(
            f"{len(left)} resources are left: {', '.join(left)}; the twin still runs, "
            f"`driftloop down --name {name}` ends it with all that is in it"
        )
    click.echo("destroyed: nothing of the kit is left")
    for line in removal.kept(partial(deployment.client, twin)):
        click.echo(f"kept      {line}")


def _running(name: str) -> Twin:
    twin = Twin.find(TWINS / name)
    if twin is None:
        raise click.ClickException(f"no twin named {name!r} runs; start one with `driftloop up --name {name}`")
    return twin


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        # As the twin does: a port whose last user has just ended counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise click.ClickException(
                f"port {port} cannot be used: {error.strerror}; leave --port out to get a free one"
            ) from None


def _print_environment(twin: Twin) -> None:
    for key, value in twin.environment().items():
        click.echo(f"export {key}={shlex.quote(value)}")
