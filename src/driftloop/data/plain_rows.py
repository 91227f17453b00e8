"""The fast way for what traffic nearly always looks like: CSV in plain capture records, whole pieces at once.

It gives what ``line_by_line`` would give, or nothing: whatever it cannot be sure of it leaves alone. Its libraries are in
the functions' package and not in SageMaker's containers.
"""

from __future__ import annotations

import csv
import re

from driftloop.data.cell_columns import UnusualError, payload_columns, payload_kinds, score_kinds, scores
from driftloop.data.columns import Table
from driftloop.data.decoded import SCORE
from driftloop.data.one_form import rows_of_one_form
from driftloop.data.parsing import BadRowError
from driftloop.data.plain_records import plain_payloads
from driftloop.data.schema import Schema
from driftloop.native.cells import Cells, Form, Kind, read_cells
from driftloop.native.lines import line_ends

_QUOTED = re.compile(r'(?:(?<=[,\n])|\A)"[^",\n]*"(?=[,\n]|\Z)')


def plain_rows(schema: Schema, data: memoryview, lines: int) -> Table | None:
    """Payload columns and score of whole lines, all rows of which are good; None if that is not sure.

    Args:
        lines: how many of them end.
    """
    try:
        return rows_of_one_form(schema, data, lines) or _rows_of_records(schema, bytes(data))
    except (UnusualError, BadRowError, ValueError):
        return None


def _rows_of_records(schema: Schema, data: bytes) -> Table | None:
    payloads = plain_payloads(data)
    if payloads is None:
        return None
    text, sizes = _one_text(payloads.inputs)
    predictions, counts = _one_text(payloads.outputs, separator=",")
    if sizes != counts or (text.count('"') if '"' in text else 0) != payloads.quotes or '"' in predictions:
        return None
    rows = _cells(_unquoted(text, payloads.inputs), payload_kinds(schema))
    return {**payload_columns(schema, rows), SCORE: scores(schema, _cells(predictions, score_kinds(schema)))}


def _one_text(payloads: list[str], separator: str = "") -> tuple[str, list[int] | None]:
    """Payloads one below the other, and how many rows each has; None if each has one.

    Args:
        separator: what may stand for a line end.
    """
    text = "\n".join(payloads)
    if "\r" in text or (separator and separator in text):
        payloads = [payload.replace("\r\n", "\n").replace(separator or "\n", "\n") for payload in payloads]
        text = "\n".join(payloads)
    if "\r" in text:
        raise UnusualError
    if text.count("\n") == len(payloads) - 1:
        return text, None
    payloads = [payload.removesuffix("\n") for payload in payloads]
    text = "\n".join(payloads)
    if text.count("\n") == len(payloads) - 1:
        return text, None
    sizes = [payload.count("\n") + 1 for payload in payloads]
    return text, sizes


def _unquoted(text: str, payloads: list[str]) -> str:
    """The text without quotation marks, if they enclose whole cells that do not need them."""
    limit = csv.field_size_limit()
    if max(map(len, payloads)) > limit and max(map(len, text.split("\n"))) > limit:
        raise UnusualError
    if '"' not in text:
        return text
    if 2 * len(_QUOTED.findall(text)) != text.count('"'):
        raise UnusualError
    return text.replace('"', "")


def _cells(text: str, kinds: tuple[Kind, ...]) -> Cells:
    data = text.encode() + b"\n"
    cells = read_cells(Form((b"", b"\n"), (kinds,)), data, line_ends(data))
    if cells is None:
        raise UnusualError
    return cells
