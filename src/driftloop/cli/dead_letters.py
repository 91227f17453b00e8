"""What could not be done, and doing it again."""

from __future__ import annotations

import time
from collections.abc import Iterable

import click
from rich.console import Console
from rich.table import Table

from driftloop.cli.cloud import Cloud
from driftloop.cli.redrive import SUFFIX, DeadLetterQueue, dead_letter_queues
from driftloop.names import PREFIX

_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 1.0


@click.command()
@click.argument("queue", required=False)
@click.option("--redrive", is_flag=True, help="Send the messages back to the queues of their work.")
def dead_letters(queue: str | None, redrive: bool) -> None:
    """Show the queues of what could not be done, or only QUEUE (retraining, or driftloop-retraining-dlq).

    Messages that are sent back may come twice, which does no harm; none is deleted before it was sent.
    """
    cloud = Cloud.of_environment()
    found = dead_letter_queues(cloud.client("sqs"))
    if not found:
        raise click.ClickException(f"there are no queues of the kit in {cloud.place}; deploy the stacks first")
    chosen = [_choose(found, queue)] if queue else found
    if redrive:
        _redrive(chosen, named=queue is not None)
    else:
        Console(width=None if Console().is_terminal else 100).print(_table(chosen))


def _choose(found: list[DeadLetterQueue], name: str) -> DeadLetterQueue:
    work = name.removeprefix(f"{PREFIX}-").removesuffix(SUFFIX)
    for queue in found:
        if queue.work == work:
            return queue
    raise click.ClickException(f"there is no queue {name!r}; there are {', '.join(queue.work for queue in found)}")


def _table(found: Iterable[DeadLetterQueue]) -> Table:
    table = Table("queue", "waiting", "being read", "goes back to")
    for column in table.columns[1:3]:
        column.justify = "right"
    for queue in found:
        waiting, read = queue.count()
        table.add_row(queue.name, str(waiting), str(read), queue.target_name or "nowhere: the next run does it")
    return table


def _redrive(chosen: list[DeadLetterQueue], *, named: bool) -> None:
    for queue in chosen:
        waiting, _ = queue.count()
        if queue.target_name is None:
            reason = "its work is done by a schedule, whose next run does what was left; its messages expire"
            if named:
                raise click.ClickException(f"{queue.name} has no queue to go back to: {reason}")
            click.echo(f"{queue.name}: {waiting} waiting, left alone: {reason}")
        elif not waiting:
            click.echo(f"{queue.name}: nothing waits")
        else:
            _send_back(queue, waiting)


def _send_back(queue: DeadLetterQueue, waiting: int) -> None:
    if queue.start_moving():
        moved, runs = _follow(queue, waiting)
        if runs:
            click.echo(f"{queue.name}: {moved} of about {waiting} messages moved; SQS goes on by itself")
            return
    else:
        moved = queue.move_by_hand()
    left, _ = queue.count()
    click.echo(f"{queue.name}: {moved} messages sent back to {queue.target_name}, {left} left")


def _follow(queue: DeadLetterQueue, waiting: int) -> tuple[int, bool]:
    """Messages that SQS has moved, and whether it still moves. Raises ClickException if it gave up."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    # A task that has just been started may not be listed yet.
    while (moving := queue.moving()) is None or moving.runs:
        if time.monotonic() > deadline:
            return moving.moved if moving else 0, True
        time.sleep(_POLL_SECONDS)
    if moving.failure:
        raise click.ClickException(
            f"{queue.name}: SQS stopped after {moving.moved} of about {waiting} messages: {moving.failure}"
        )
    return moving.moved, False
