"""The gate on two local models: what the pipeline's evaluation does, without an account."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import redirect_stdout
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from driftloop.data.schema import Columns, Schema
from driftloop.data.tables import BadTableError, read_table
from driftloop.data.windows import DAY, Window, floor_time
from driftloop.twin.toolkit import ROOT

if TYPE_CHECKING:
    from pipelines.steps.judging import Version


@click.command()
@click.option("--champion", type=click.Path(path_type=Path), help="What serves; without it a first version is judged.")
@click.option("--challenger", type=click.Path(path_type=Path), required=True, help="What would replace it.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="CSV of labelled rows, with a header.")
@click.option("--spec", type=click.Path(path_type=Path), required=True, help="The model file, model.yaml.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead: the evaluation, as the pipeline writes it.")
def gate(champion: Path | None, challenger: Path, data: Path, spec: Path, as_json: bool) -> None:
    """Judge a challenger as the pipeline would. A model is a model.tar.gz of the kit, or a folder with its content.

    Loading a model runs what its pickle says, so take only models that you trust.
    """
    sys.path.insert(0, str(ROOT))  # the steps belong to the kit's checkout, not to the library
    from driftloop.spec import SpecError, read_model  # noqa: PLC0415 - the other commands need no model file
    from pipelines.steps.judging import Case, judge  # noqa: PLC0415 - loads scikit-learn
    from pipelines.steps.step import StepError  # noqa: PLC0415

    try:
        compiled = read_model(spec).compiled()
        rows = _rows(Schema.from_spec(compiled), data)
        with tempfile.TemporaryDirectory() as temporary, redirect_stdout(sys.stderr):
            place = Path(temporary)
            theirs = _version(champion, place / "champion", "champion")[0] if champion else None
            ours, size = _version(challenger, place / "challenger", "challenger")
            _, evaluation = judge(Case(compiled, _window(compiled, rows), rows, ours, size, theirs))
    except (StepError, SpecError) as error:
        raise click.ClickException(str(error)) from error
    decision, reason = (evaluation["gate"][name] for name in ("decision", "reason"))
    click.echo(
        json.dumps({"decision": decision, "reason": reason, **evaluation}, indent=1)
        if as_json
        else f"{decision}: {reason}"
    )


def _rows(schema: Schema, file: Path) -> Columns:
    try:
        rows = read_table(schema, file.read_bytes(), unique=True)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None
    except BadTableError as error:
        raise click.ClickException("\n".join(f"{file}: {fault}" for fault in error.faults)) from None
    if not len(rows[schema.id]):
        raise click.ClickException(f"{file}: there are no rows below the header")
    return rows


def _window(spec: dict[str, Any], rows: Columns) -> Window:
    """The days that the rows are of."""
    first, last = (moment.astype("datetime64[s]").item().replace(tzinfo=UTC) for moment in _ends(spec, rows))
    return Window(floor_time(first, DAY), floor_time(last, DAY) + timedelta(days=1))


def _ends(spec: dict[str, Any], rows: Columns) -> tuple[Any, Any]:
    times = rows[spec["data"]["time"]]
    return times.min(), times.max()


def _version(model: Path, folder: Path, who: str) -> tuple[Version, int]:
    """A version and the bytes of its archive, or of the files in its folder."""
    from pipelines.steps.archive import extract  # noqa: PLC0415 - loads scikit-learn
    from pipelines.steps.judging import Version  # noqa: PLC0415

    if model.is_dir():
        return Version.load(model, who), sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
    try:
        content = model.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{model} cannot be read: {error.strerror}") from None
    extract(content, folder, str(model))
    return Version.load(folder, who), len(content)
