"""Commands on history: labelled rows from before there is traffic."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from driftloop.aws.objects import S3Objects
from driftloop.cli.cloud import Cloud
from driftloop.cli.files import labelled_rows
from driftloop.data.schema import Columns, Schema
from driftloop.data.tables import BadTableError, add_rows, history_tables, write_table
from driftloop.ports import NotFoundError, TerminalError

_THREADS = 8


@click.group()
def history() -> None:
    """Labelled rows from before there is traffic."""


@history.command("import")
@click.argument("model")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Drop the rows that the days of FILE had before, instead of adding.")
def import_(model: str, file: Path, replace: bool) -> None:
    """Check FILE with MODEL's columns and put its rows into the curated bucket, one object per day.

    Rows with an id that is there already take that row's place, so importing a file twice changes nothing.
    """
    cloud = Cloud.of_environment()
    schema = cloud.model(model).schema
    rows = labelled_rows(schema, file, "nothing was imported, because of")
    days = history_tables(schema, model, rows)
    shelf = Shelf(cloud.objects, cloud.bucket("curated"), schema, replace)
    with ThreadPoolExecutor(_THREADS) as pool:
        written = sum(pool.map(shelf.put, days, days.values()))
    click.echo(
        f"{len(rows[schema.id])} rows of {model} in {len(days)} days: {written} objects written, "
        f"{len(days) - written} as they were, in s3://{shelf.bucket}/history/{model}/"
    )


@dataclass(frozen=True)
class Shelf:
    """Where history is kept."""

    objects: S3Objects
    bucket: str
    schema: Schema
    replace: bool

    def put(self, key: str, rows: Columns) -> bool:
        """Add the rows of one day; False if they are there already. Raises TerminalError."""
        try:
            old = self.objects.read(self.bucket, key)
        except NotFoundError:
            old = b""
        if old and not self.replace:
            try:
                rows = add_rows(self.schema, old, rows)
            except BadTableError as error:
                raise TerminalError(
                    f"s3://{self.bucket}/{key} cannot be read any more: {error}; --replace overwrites it"
                ) from error
        content = write_table(self.schema, rows)
        if content != old:
            self.objects.write(self.bucket, key, content)
        return content != old
