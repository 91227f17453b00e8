"""Files that people hand to commands."""

from __future__ import annotations

from pathlib import Path

import click

from driftloop.data.schema import Columns, Schema
from driftloop.data.tables import BadTableError, read_table


def labelled_rows(schema: Schema, file: Path, refusal: str = "") -> Columns:
    """The rows of a CSV file, at least one, each with an id of its own.

    Raises ClickException that names the file and every fault, after a first line that says what is not done, if given.
    """
    try:
        rows = read_table(schema, file.read_bytes(), unique=True)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None
    except BadTableError as error:
        first = [refusal] if refusal else []
        raise click.ClickException("\n".join([*first, *(f"{file}: {fault}" for fault in error.faults)])) from None
    if not len(rows[schema.id]):
        raise click.ClickException(f"{file}: there are no rows below the header")
    return rows
