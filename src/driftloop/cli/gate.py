"""The gate on two local models: what the pipeline's evaluation does, without an account."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import redirect_stdout
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from driftloop.cli.files import labelled_rows
from driftloop.data.schema import Schema
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
        schema = Schema.from_spec(compiled)
        rows = labelled_rows(schema, data)
        with tempfile.TemporaryDirectory() as temporary, redirect_stdout(sys.stderr):
            place = Path(temporary)
            theirs = _version(champion, place / "champion", "champion")[0] if champion else None
            ours, size = _version(challenger, place / "challenger", "challenger")
            evaluation = judge(Case(compiled, _window(rows[schema.time]), rows, ours, size, theirs))
    except (StepError, SpecError) as error:
        raise click.ClickException(str(error)) from error
    decision, reason = (evaluation["gate"][name] for name in ("decision", "reason"))
    click.echo(
        json.dumps({"decision": decision, "reason": reason, **evaluation}, indent=1)
        if as_json
        else f"{decision}: {reason}"
    )


def _window(times: np.ndarray[Any, Any]) -> Window:
    """The days that the rows are of."""
    first, last = (moment.astype("datetime64[s]").item().replace(tzinfo=UTC) for moment in (times.min(), times.max()))
    return Window(floor_time(first, DAY), floor_time(last, DAY) + DAY)


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
