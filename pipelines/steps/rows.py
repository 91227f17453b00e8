"""The rows that a step is given."""

from __future__ import annotations

from pathlib import Path

from driftloop.data.parsing import BadRowError
from driftloop.data.schema import Columns, Schema
from driftloop.data.tables import ROWS, read_table
from pipelines.steps.step import StepError, only_file


def read_rows(schema: Schema, folder: Path) -> Columns:
    """One part of a data set, as Prepare wrote it. Raises StepError that names the file."""
    try:
        return read_table(schema, only_file(folder, ROWS))
    except BadRowError as error:
        raise StepError(f"{folder / ROWS}: {error}") from error
