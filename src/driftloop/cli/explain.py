"""Find an episode and tell its story."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence

import click
from botocore.exceptions import ClientError

from driftloop.cli.cloud import Cloud, check_name
from driftloop.cli.episodes import BEGINNING
from driftloop.cli.story import Story
from driftloop.cli.words import stamp
from driftloop.ports import NotFoundError
from driftloop.retraining.episode import Episode

SHORTEST = 6
"""Digits of an id that are enough."""
Ledgers = Mapping[str, Sequence[Episode]]
"""Model -> its episodes, oldest first."""


@click.command()
@click.argument("episode")
@click.option("--model", help="Look at this model only, deployed or not; all that are deployed without it.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead.")
def explain(episode: str, model: str | None, as_json: bool) -> None:
    """Say why a model was or was not retrained: EPISODE is an id, as in mails and lists, or its first 6 digits or more."""
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST},}}", episode):
        raise click.ClickException(
            f"{episode!r} is no id of an episode: write {SHORTEST} or more of its digits (0-9, a-f)"
        )
    cloud = Cloud.of_environment()
    ledgers = _ledgers(cloud, model)
    found = find(ledgers, episode, f"{model} in {cloud.place}" if model else f"any model in {cloud.place}")
    story = Story.of(found, ledgers[found.model], _gate(cloud, found))
    if as_json:
        click.echo(json.dumps(story.as_dict(), indent=1))
        return
    for line in story.lines():
        click.echo(line)


def _gate(cloud: Cloud, episode: Episode) -> str:
    """What the gate wrote into the artifact bucket; empty if the episode did not come that far."""
    execution = episode.pipeline_execution_arn.rpartition("/")[2]
    if not execution:
        return ""
    key = f"evaluations/{episode.model}/{execution}/evaluation.json"
    try:
        gate = json.loads(cloud.objects.read(cloud.bucket("artifacts"), key))["gate"]
        return f"{gate['decision']}: {gate['reason']}"
    except NotFoundError:
        return ""
    except ClientError as error:
        return f"not known, as s3://{cloud.bucket('artifacts')}/{key} cannot be read: {error.response['Error']['Code']}"


def _ledgers(cloud: Cloud, model: str | None) -> Ledgers:
    if model is not None:
        # The history of a model that was removed stays.
        check_name(model)
        return {model: cloud.ledger.episodes(model, BEGINNING)}
    return {deployed.name: cloud.ledger.episodes(deployed.name, BEGINNING) for deployed in cloud.models.all()[0]}


def find(ledgers: Ledgers, digits: str, where: str) -> Episode:
    """The one episode whose id begins like this. Raises ClickException that names what comes closest."""
    known = {episode.id: episode for ledger in ledgers.values() for episode in ledger}
    found = [episode for id_, episode in known.items() if id_.startswith(digits)]
    if len(found) == 1:
        return found[0]
    if found:
        raise click.ClickException(f"{len(found)} ids begin with {digits}: {', '.join(e.id for e in found)}")
    if not known:
        raise click.ClickException(f"there are no episodes of {where}")
    close = _closest(list(known), digits)
    there = known[close]
    raise click.ClickException(
        f"no episode of {where} has an id that begins with {digits}; the closest is {close} "
        f"({there.model}, {there.trigger}, {there.status}, {stamp(there.opened_at)})"
    )


def _closest(ids: Sequence[str], digits: str) -> str:
    def likeness(id_: str) -> float:
        return difflib.SequenceMatcher(None, digits, id_[: len(digits)]).ratio()

    # Of equals the latest.
    return max(reversed(ids), key=likeness)
