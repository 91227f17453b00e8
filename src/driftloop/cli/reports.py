"""The drift reports of a model: as a page for one window, as a table of many, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driftloop.cli.cloud import Cloud
from driftloop.monitoring.report import Verdict
from driftloop.names import report_prefix
from driftloop.ports import NotFoundError, Objects
from driftloop.reports.drift.page import render
from driftloop.reports.drift.record import WindowReport, read_report
from driftloop.reports.record import RecordError

_THREADS = 8
_WIDTH = 160
"""Columns where the output is no terminal."""
_WINDOW = re.compile(r"\d{4}-\d\d-\d\d(T\d\d(:\d\d(:\d\dZ?)?)?)?")
_COLOURS = {Verdict.STABLE: "green", Verdict.SHIFTED: "yellow", Verdict.BROKEN_UPSTREAM: "red"}
_SCORES = ("input_drift", "prediction_drift", "estimated_loss", "quality_loss")


@dataclass(frozen=True)
class Shelf:
    """Where a model's reports are kept: ``reports/<model>/<window start>.json`` in the live bucket."""

    objects: Objects
    bucket: str
    model: str

    def starts(self) -> list[str]:
        """Starts of the windows that have a report, oldest first. Raises ClickException without any."""
        keys = self.objects.keys(self.bucket, self._key(""))
        starts = [key.removeprefix(self._key("")).removesuffix(".json") for key in keys if key.endswith(".json")]
        if not starts:
            reason = "a version has to serve for a whole window first (monitoring.window in the model file)"
            raise click.ClickException(f"{self.model} has no drift report in s3://{self.bucket}; {reason}")
        return starts

    def read(self, start: str) -> WindowReport:
        """A report. Raises NotFoundError, and ClickException for what is none."""
        return self._parse(start, self._text(start))

    def sound_text(self, start: str) -> bytes:
        """A report as it is kept. Raises as ``read`` does."""
        text = self._text(start)
        self._parse(start, text)
        return text

    def read_all(self, starts: Iterable[str]) -> list[WindowReport]:
        """Several reports; those that cannot be read are named on stderr and left out."""
        with ThreadPoolExecutor(_THREADS) as pool:
            return [report for report in pool.map(self._try, starts) if report is not None]

    def _try(self, start: str) -> WindowReport | None:
        try:
            return self.read(start)
        except (click.ClickException, NotFoundError) as error:
            click.echo(f"left out: {error}", err=True)
            return None

    def _parse(self, start: str, text: bytes) -> WindowReport:
        try:
            return read_report(text, f"s3://{self.bucket}/{self._key(f'{start}.json')}")
        except RecordError as error:
            raise click.ClickException(str(error)) from None

    def _text(self, start: str) -> bytes:
        return self.objects.read(self.bucket, self._key(f"{start}.json"))

    def _key(self, name: str) -> str:
        return f"{report_prefix(self.model)}{name}"


@click.command()
@click.argument("model")
@click.option("--window", metavar="START", help="Start of the window (UTC), e.g. 2013-07-03; the latest by default.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File of the page.")
@click.option("--list", "as_list", is_flag=True, help="A table of the last windows with verdicts and scores.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead: the report, or with --list one object a line.")
@click.option("--last", type=click.IntRange(1, 1000), default=30, show_default=True, help="Windows in strip and table.")
def report(model: str, window: str | None, out: Path | None, as_list: bool, as_json: bool, last: int) -> None:
    """Write the page of one window of MODEL: verdict, reasons, causes, slices, quality, the windows before it."""
    if out and (as_list or as_json):
        raise click.UsageError("--out is for the page; --list and --json print")
    cloud = Cloud.of_environment()
    cloud.model(model)
    shelf = Shelf(cloud.objects, cloud.bucket("live"), model)
    starts = shelf.starts()
    start = find_start(starts, window)
    if as_list:
        _print_list(model, shelf.read_all(starts[: starts.index(start) + 1][-last:]), as_json)
    elif as_json:
        click.echo(json.dumps(json.loads(shelf.sound_text(start)), indent=1))
    else:
        _write_page(shelf, starts, start, last, out)


def find_start(starts: list[str], window: str | None) -> str:
    """The window that is meant; the latest for None. Raises ClickException that says which there are."""
    if window is None:
        return starts[-1]
    if not _WINDOW.fullmatch(window):
        raise click.ClickException(f"--window {window!r} is no time; write 2013-07-03 or 2013-07-03T06:00 (UTC)")
    found = [start for start in starts if start.startswith(window)]
    if len(found) == 1:
        return found[0]
    if found:
        raise click.ClickException(f"{len(found)} windows start with {window}; choose one: {', '.join(found)}")
    after = next((start for start in starts if start > window), starts[-1])
    there = f"there are {len(starts)}, from {starts[0]} to {starts[-1]}; the nearest is {after}"
    raise click.ClickException(f"no window starts with {window}; {there}")


def _write_page(shelf: Shelf, starts: list[str], start: str, last: int, out: Path | None) -> None:
    found = shelf.read(start)
    here = starts.index(start)
    # A few windows that came later show what became of it.
    around = [other for other in starts[max(0, here + 1 - last) : here + 1 + last // 4] if other != start]
    file = out or Path(f"drift-{shelf.model}-{start.removesuffix('T00:00:00Z').replace(':', '')}.html")
    try:
        file.write_text(render(found, shelf.read_all(around)), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"{shelf.model} version {found.version}, window {start}: {found.verdict}")
    for reason in found.reasons:
        click.echo(f"  {reason}")
    click.echo(f"page: {file}")


def _print_list(model: str, reports: list[WindowReport], as_json: bool) -> None:
    if as_json:
        for found in reports:
            click.echo(json.dumps(_line(found)))
        return
    console = Console()
    (console if console.is_terminal else Console(width=_WIDTH)).print(_table(model, reports))


def _line(found: WindowReport) -> dict[str, Any]:
    part = found.model_dump(mode="json", include={"window", "version", "verdict", "rows", "labelled_rows", "reasons"})
    return part | {name: getattr(found, name) for name in _SCORES}


def _table(model: str, reports: list[WindowReport]) -> Table:
    heads = ("window (UTC)", "version", "verdict", "inputs", "predictions", "estimated", "quality", "rows", "why")
    table = Table(*heads, title=f"{model}: scores are value / limit", title_justify="left")
    for column in table.columns[:-1]:
        column.no_wrap = True
    for column in table.columns[3:8]:
        column.justify = "right"
    for found in reports:
        scores = [_score(getattr(found, name)) for name in _SCORES]
        verdict = Text(str(found.verdict), _COLOURS.get(found.verdict, "dim"))
        start = f"{found.window.start:%Y-%m-%d %H:%M}"
        # As text: reasons hold brackets, which would be taken for markup.
        table.add_row(start, f"v{found.version}", verdict, *scores, f"{found.rows:,}", Text("; ".join(found.reasons)))
    return table


def _score(score: float | None) -> Text:
    if score is None:
        return Text("\N{EN DASH}", "dim")
    return Text(f"{score:.2f}", "bold yellow" if score >= 1 else "")
