"""Ground truth in SageMaker's format: one JSON a line, joined to predictions by the row's id."""

from __future__ import annotations

from collections.abc import Iterable

from driftloop.data.decoded import Quarantined, put_aside, shortened
from driftloop.data.lines import MAX_LINE
from driftloop.data.parsing import BadRowError, parse_id
from driftloop.data.payload import load_json, readable

Labels = dict[str, int]
"""Row id -> 0 or 1."""


def decode_labels(lines: Iterable[bytes]) -> tuple[Labels, list[Quarantined]]:
    """Labels of one object (lines with their ends) and what could not be read. A repeated label must agree."""
    labels: Labels = {}
    quarantined: list[Quarantined] = []
    offset = 0
    for number, line in enumerate(lines, start=1):
        start, offset = offset, offset + len(line)
        if not line.strip():
            continue
        try:
            row_id, label = _label(line)
            if labels.setdefault(row_id, label) != label:
                raise BadRowError(f"label of {row_id!r} contradicts an earlier line of the same object")
        except BadRowError as error:
            content = line[:500].decode("utf-8", "replace")
            put_aside(quarantined, Quarantined(number, start, str(error), content))
    return labels, shortened(quarantined)


def _label(line: bytes) -> tuple[str, int]:
    if len(line) > MAX_LINE:
        raise BadRowError(f"record of {len(line)} bytes is larger than {MAX_LINE}")
    try:
        record = readable(load_json(line))
        row_id = readable(record["eventMetadata"])["eventId"]
        data = readable(readable(record["groundTruthData"])["data"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadRowError(f"not a ground truth record: {type(error).__name__}: {error}"[:300]) from None
    # Only plain values have a text of bounded cost.
    text = str(data).strip() if isinstance(data, str | int | float) else type(data).__name__
    if text not in ("0", "1", "0.0", "1.0"):
        raise BadRowError(f"label {text[:40]!r} is not 0 or 1")
    if not isinstance(row_id, str):
        raise BadRowError(f"eventId is not text but {type(row_id).__name__}")
    return parse_id(row_id), int(float(text))
