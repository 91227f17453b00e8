"""Commands on retrainings: ask for one, and see what became of them."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driftloop.cli.cloud import Cloud
from driftloop.retraining.episode import Episode, Status

LONGEST_REASON = 1000
"""Characters; longer ones are refused by ``start_retraining``."""
_WIDTH = 160
"""Columns where the output is no terminal."""
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_COLOURS = {
    Status.PROMOTED: "green", Status.REJECTED: "yellow", Status.REFUSED: "yellow", Status.FAILED: "red",
    Status.ROLLED_BACK: "red",
}  # fmt: skip


@click.command()
@click.argument("model")
@click.option("--reason", required=True, help="Why; the ledger keeps it.")
def retrain(model: str, reason: str) -> None:
    """Ask for a retraining of MODEL. Whether it starts is decided by the model file and the ledger."""
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST_REASON:
        raise click.ClickException(f"--reason has {len(reason)} characters; write 1 to {LONGEST_REASON}")
    cloud = Cloud.of_environment()
    cloud.model(model)
    click.echo(f"event {cloud.put_event('Retraining Requested', {'model': model, 'reason': reason})}")


@click.command()
@click.argument("model")
def episodes(model: str) -> None:
    """Show the retrainings of MODEL, oldest first, and the version that serves."""
    cloud = Cloud.of_environment()
    cloud.model(model)
    champion = cloud.ledger.champion(model)
    serves = f"version {champion.version} serves since {_stamp(champion.since)}" if champion else "no version serves"
    found = cloud.ledger.episodes(model, _BEGINNING)
    click.echo(f"{model}: {serves}; {len(found)} episodes")
    if found:
        console = Console()
        (console if console.is_terminal else Console(width=_WIDTH)).print(_table(found))


def _table(found: list[Episode]) -> Table:
    table = Table("opened (UTC)", "episode", "trigger", "status", "reason and outcome")
    for column in table.columns[:4]:
        column.no_wrap = True
    for episode in found:
        words = "\n".join(filter(None, (episode.reason, episode.outcome)))
        status = Text(str(episode.status), _COLOURS.get(episode.status, ""))
        # As text: reasons hold brackets, which would be taken for markup.
        table.add_row(_stamp(episode.opened_at), episode.id, str(episode.trigger), status, Text(words))
    return table


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
