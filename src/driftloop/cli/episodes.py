"""The ledger of a model: every request for a retraining, and what became of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driftloop.cli.cloud import Cloud
from driftloop.cli.words import paused, plain, stamp
from driftloop.data.windows import iso
from driftloop.retraining.episode import Episode, Status

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_WIDTH = 160
"""Columns where the output is no terminal."""
_COLOURS = {
    Status.PROMOTED: "green", Status.REJECTED: "yellow", Status.REFUSED: "yellow", Status.DEFERRED: "yellow",
    Status.FAILED: "red", Status.ROLLED_BACK: "red",
}  # fmt: skip


@click.command()
@click.argument("model")
@click.option(
    "--status",
    "statuses",
    type=click.Choice([str(status) for status in Status]),
    multiple=True,
    help="Only these; can be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead.")
def episodes(model: str, statuses: tuple[str, ...], as_json: bool) -> None:
    """Show the requests for retrainings of MODEL, oldest first, what became of them, and the version that serves."""
    cloud = Cloud.of_environment()
    cloud.model(model)
    ledger = cloud.ledger.episodes(model, BEGINNING)
    found = [episode for episode in ledger if not statuses or episode.status in statuses]
    if as_json:
        for episode in found:
            click.echo(json.dumps(as_dict(episode)))
        return
    click.echo(f"{model}: {_serves(cloud, model)}; {_count(found, ledger)}{_pause(cloud, model)}")
    if found:
        console = Console()
        (console if console.is_terminal else Console(width=_WIDTH)).print(_table(found))


def as_dict(episode: Episode) -> dict[str, Any]:
    """An episode as JSON; times in UTC, empty fields as null. Documented in ``docs/guide/retraining.md``."""
    texts = ("rule", "reason", "outcome", "by", "into", "revision", "pipeline_execution_arn", "model_package_arn")
    times = ("opened_at", "closed_at", "until")
    return {
        "id": episode.id,
        "model": episode.model,
        "trigger": str(episode.trigger),
        "status": str(episode.status),
        **{name: getattr(episode, name) or None for name in texts},
        **{name: iso(moment) if (moment := getattr(episode, name)) else None for name in times},
        "history": [{"at": iso(datetime.fromisoformat(at)), "status": status} for at, status in episode.history],
    }


def _serves(cloud: Cloud, model: str) -> str:
    champion = cloud.ledger.champion(model)
    return f"version {champion.version} serves since {stamp(champion.since)}" if champion else "no version serves"


def _count(found: list[Episode], ledger: list[Episode]) -> str:
    if len(found) == len(ledger):
        return "1 episode" if len(found) == 1 else f"{len(found)} episodes"
    return f"{len(found)} of {len(ledger)} episodes"


def _pause(cloud: Cloud, model: str) -> str:
    pause = cloud.ledger.pause(model)
    return f"; paused {paused(pause)}" if pause else ""


def _table(found: list[Episode]) -> Table:
    table = Table("opened (UTC)", "episode", "trigger", "status", "reason and outcome")
    for column in table.columns[:4]:
        column.no_wrap = True
    for episode in found:
        words = "\n".join(plain(text) for text in (episode.reason, episode.outcome) if text)
        status = Text(str(episode.status), _COLOURS.get(episode.status, ""))
        # As text: reasons hold brackets, which would be taken for markup.
        table.add_row(stamp(episode.opened_at), episode.id, str(episode.trigger), status, Text(words))
    return table
