"""The way back to the version that served before."""

from __future__ import annotations

import json

import click

from driftloop.aws.hosting import SageMakerHosting
from driftloop.cli.cloud import Cloud
from driftloop.cli.retraining import caller, checked_reason
from driftloop.ports import Champion, NotFoundError


@click.command()
@click.argument("model")
@click.option("--reason", required=True, help="Why; it is kept with the rejected version.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead.")
def rollback(model: str, reason: str, as_json: bool) -> None:
    """Reject the version of MODEL that serves, so that the one before takes its place again.

    Rejecting it in SageMaker Studio or with update-model-package does the same. Approving it again brings it back.
    """
    cloud, reason = Cloud.of_environment(), checked_reason(reason)
    cloud.model(model)
    hosting = SageMakerHosting(cloud.client("sagemaker"))
    champion = cloud.ledger.champion(model)
    if champion is None:
        raise click.ClickException(f"no version of {model} serves")
    before = _before(cloud, hosting, model, champion)
    hosting.reject(champion.package_arn, f"{reason} ({caller(cloud)})")
    found = {
        "model": model, "from": champion.version, "to": before.version, "rejected": champion.package_arn, "reason": reason,
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    click.echo(f"version {champion.version} of {model} is rejected; the endpoint goes back to version {before.version}")
    click.echo("people are told when it serves, or why it does not", err=True)


def _before(cloud: Cloud, hosting: SageMakerHosting, model: str, champion: Champion) -> Champion:
    """The version to go back to. Raises ClickException if there is none that may serve."""
    if champion.previous is None:
        running = cloud.ledger.deployment(model)
        beside = running and running.phase in ("shadowing", "compared")
        hint = f"; version {running.version} is its shadow: reject that one to end it" if running and beside else ""
        raise click.ClickException(f"no version of {model} served before version {champion.version}{hint}")
    number = champion.previous.version
    try:
        approval = hosting.package(champion.previous.package_arn).approval
    except NotFoundError:
        raise click.ClickException(f"version {number} of {model}, which served before, was deleted") from None
    if approval != "Approved":
        raise click.ClickException(f"version {number} of {model}, which served before, is {approval}: approve it first")
    return champion.previous
