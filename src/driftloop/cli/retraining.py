"""Commands that ask for retrainings: now, not for a while, again."""

from __future__ import annotations

import click

from driftloop.cli.cloud import Cloud
from driftloop.cli.words import paused
from driftloop.retraining.evidence import Pause

LONGEST_REASON = 1000
"""Characters; longer ones are refused by ``start_retraining``."""
LONGEST_CALLER = 200


@click.command()
@click.argument("model")
@click.option("--reason", required=True, help="Why; the ledger keeps it.")
def retrain(model: str, reason: str) -> None:
    """Ask for a retraining of MODEL. Whether it starts is decided by the model file and the ledger."""
    cloud, reason = Cloud.of_environment(), checked_reason(reason)
    cloud.model(model)
    detail = {"model": model, "reason": reason, "by": caller(cloud)}
    click.echo(f"event {cloud.put_event('Retraining Requested', detail)}")
    click.echo(f"what becomes of it: driftloop episodes {model}", err=True)


@click.command()
@click.argument("model")
@click.option("--reason", required=True, help="Why; the ledger keeps it, and refusals repeat it.")
def pause(model: str, reason: str) -> None:
    """Let no retraining of MODEL start, whoever asks, until it is resumed. What runs already goes on."""
    cloud, reason = Cloud.of_environment(), checked_reason(reason)
    cloud.model(model)
    before = cloud.ledger.pause(model)
    new = Pause(caller(cloud), cloud.now(), reason)
    cloud.ledger.set_pause(model, new)
    if before:
        click.echo(f"{model} was paused already, {paused(before)}; now your reason stands")
    click.echo(f"{model} is paused {paused(new)}; end it with: driftloop resume {model}")


@click.command()
@click.argument("model")
def resume(model: str) -> None:
    """End the pause of MODEL. Causes that still last are asked for again by the next run of reconcile."""
    cloud = Cloud.of_environment()
    cloud.model(model)
    before = cloud.ledger.pause(model)
    if before is None:
        raise click.ClickException(f"{model} is not paused")
    cloud.ledger.set_pause(model, None)
    click.echo(f"{model} is resumed; it was paused {paused(before)}")


def checked_reason(text: str) -> str:
    """The reason without blanks around it. Raises ClickException for what the ledger does not keep."""
    reason = text.strip()
    if not reason.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in reason):
        raise click.ClickException("--reason is not UTF-8: write it with letters of this terminal's encoding")
    if not 0 < len(reason) <= LONGEST_REASON:
        raise click.ClickException(f"--reason has {len(reason)} characters; write 1 to {LONGEST_REASON}")
    return reason


def caller(cloud: Cloud) -> str:
    """ARN of who asks, as long as the ledger keeps it."""
    return cloud.caller[:LONGEST_CALLER]
