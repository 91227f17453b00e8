"""The demo as a command."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from driftloop.twin.toolkit import ROOT


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "build" / "demo", show_default=True)
def demo(out: Path) -> None:
    """Run the whole loop on seven months of real flights and write a report."""
    from driftloop.demo.display import Display  # noqa: PLC0415 - pandas and plotly are not needed for the rest
    from driftloop.demo.run import LoopNotClosedError, run_demo  # noqa: PLC0415

    try:
        outcome = run_demo(out, Display())
    except LoopNotClosedError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("interrupted; everything that was started has been ended", err=True)
        sys.exit(130)
    served, static = (outcome.summary["result"][name]["log_loss"] for name in ("served", "static"))
    click.echo(
        f"result   log-loss {served:.4f} served, {static:.4f} by the first version, never retrained, on the same"
        f" {outcome.summary['data']['rows_replayed']:,} rows ({1 - served / static:+.1%})\n"
        f"report   {outcome.report}\nsummary  {out / 'summary.json'} (all details: record.json)"
    )
    if not outcome.closed:
        raise click.ClickException("the loop did not close: no alarm led to a version that served")
