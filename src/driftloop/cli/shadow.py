"""What a version answered as the shadow of the one that served."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from driftloop.cli.cloud import Cloud
from driftloop.names import shadow_report
from driftloop.ports import NotFoundError

_BLOCK = "\N{FULL BLOCK}"
_BAR = 15
"""Characters of the longest bar."""


@click.command()
@click.argument("model")
@click.option(
    "--version", type=click.IntRange(1), help="Number of the version; the latest that was a shadow by default."
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead: the report as it is kept.")
def shadow(model: str, version: int | None, as_json: bool) -> None:
    """Compare a version of MODEL that is or was a shadow with the one that served: failures, time, answers."""
    cloud = Cloud.of_environment()
    cloud.model(model)
    bucket = cloud.bucket("live")
    number = version or _latest(cloud, bucket, model)
    try:
        text = cloud.objects.read(bucket, shadow_report(model, number))
    except NotFoundError:
        raise click.ClickException(f"version {number} of {model} has not been compared as a shadow") from None
    report = json.loads(text)
    if as_json:
        click.echo(json.dumps(report, indent=1))
        return
    Console(highlight=False).print(Group(*_told(report)))


def _latest(cloud: Cloud, bucket: str, model: str) -> int:
    prefix = shadow_report(model, 0).removesuffix("0.json")
    numbers = [key.removeprefix(prefix).removesuffix(".json") for key in cloud.objects.keys(bucket, prefix)]
    if not numbers:
        raise click.ClickException(
            f"no version of {model} was compared as a shadow; serving.rollout.shadow in the model file (mode realtime) asks for it"
        )
    return max(int(number) for number in numbers)


def _told(report: dict[str, Any]) -> list[Any]:
    verdict = {"serve": "may serve", "reject": "is rejected"}[report["verdict"]]
    verdict = verdict if report["over"] else f"{verdict} if nothing changes"
    head = f"{report['model']} version {report['version']} as a shadow, {report['start']} to {report['end']}"
    parts: list[Any] = [head, Text(f"it {verdict}: {report['reason']}"), "", _usage(report)]
    return [*parts, "", _histogram(report["pairs"])] if report["pairs"]["rows"] else parts


def _usage(report: dict[str, Any]) -> Table:
    table = Table("", "serves", "shadow")
    for column in table.columns[1:]:
        column.justify = "right"
    served, beside, pairs = report["served"], report["shadow"], report["pairs"]
    for name in ("requests", "errors"):
        table.add_row(name, f"{served[name]:,}", f"{beside[name]:,}")
    table.add_row("seconds to an answer", _number(served["latency"], 4), _number(beside["latency"], 4))
    means = pairs["mean_probability"] or {"served": None, "shadow": None}
    table.add_row("mean probability", _number(means["served"], 4), _number(means["shadow"], 4))
    table.add_row("mean difference", "", _number(pairs["mean_difference"], 4))
    table.add_row("  before the gate", "", _number(pairs["expected_difference"], 4))
    return table


def _histogram(pairs: dict[str, Any]) -> Table:
    served, shadow = pairs["counts"]["served"], pairs["counts"]["shadow"]
    table = Table(
        "probability", "serves", "shadow", title=f"{pairs['rows']:,} rows that both answered", title_justify="left"
    )
    top, width = max(*served, *shadow), 1 / len(served)
    for number, (left, right) in enumerate(zip(served, shadow, strict=True)):
        if left or right:
            bars = (f"{_BLOCK * round(_BAR * count / top)} {count}" for count in (left, right))
            table.add_row(f"{number * width:.2f} to {(number + 1) * width:.2f}", *bars)
    return table


def _number(value: float | None, digits: int) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.{digits}f}"
