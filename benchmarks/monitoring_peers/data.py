"""Generated traffic: 50 features, a reference and a capture file in which five of them have truly moved."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Table = dict[str, Array]

ID, TIME, SCORE, LABEL = "row_id", "happened_at", "score", "outcome"
NUMBERS = tuple(f"n{place:02d}" for place in range(40))
CATEGORIES = tuple(f"c{place}" for place in range(10))
FEATURES = (*NUMBERS, *CATEGORIES)
SHIFTED = frozenset({"n03", "n11", "n26", "c2", "c7"})
"""Features whose distribution in the capture file differs from the reference."""
MISSING = frozenset({"n05", "n19"})
"""Features of which one value in fifty is missing, in the reference and in the capture file."""

DAYS = 20
"""Days of the reference; the capture file holds the day after."""
START = np.datetime64("2026-01-01", "s")
_DAY = 86_400
_PART = 20_000
"""Rows that are written at a time."""


def make_reference(count: int, seed: int) -> Table:
    """Training rows of 20 days, with out-of-time scores and labels."""
    random = np.random.default_rng((seed, 0))
    table = _features(random, count, shifted=False)
    table[TIME] = START + np.sort(random.integers(0, DAYS * _DAY, count))
    table[ID] = np.array(_uuids(random, count))
    table[LABEL] = (random.random(count) < table[SCORE]).astype(np.int8)
    return table


def write_capture(path: Path, count: int, seed: int) -> None:
    """Write one day of traffic in SageMaker's data capture format, one row a record. No file if it fails."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        for number, first in enumerate(range(0, count, _PART)):
            size = min(_PART, count - first)
            file.writelines(_records(np.random.default_rng((seed, 1, number)), size, first / count, size / count))
    partial.replace(path)


def _records(random: np.random.Generator, count: int, begin: float, share: float) -> Iterator[str]:
    table = _features(random, count, shifted=True)
    seconds = _DAY * (begin + share * np.sort(random.random(count)))
    times = np.datetime_as_string(START + DAYS * _DAY + seconds.astype(np.int64)).tolist()
    events, ids = _uuids(random, count), _uuids(random, count)
    columns = [_texts(table[name]) for name in FEATURES]
    for event, row_id, time, score, *cells in zip(events, ids, times, _texts(table[SCORE]), *columns, strict=True):
        yield _record(event, row_id, f"{time}Z", ",".join((row_id, f"{time}Z", *cells)), score)


def _record(event: str, row_id: str, time: str, row: str, score: str) -> str:
    record = {
        "captureData": {
            "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": row, "encoding": "CSV"},
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8", "mode": "OUTPUT", "data": score, "encoding": "CSV",
            },
        },
        "eventMetadata": {"eventId": event, "inferenceId": row_id, "inferenceTime": time},
        "eventVersion": "0",
    }  # fmt: skip
    return json.dumps(record, separators=(",", ":")) + "\n"


def _features(random: np.random.Generator, count: int, *, shifted: bool) -> Table:
    table: Table = {}
    for place, name in enumerate(NUMBERS):
        values = _numbers(random, place, count)
        if shifted and name in SHIFTED:
            # Half a standard deviation of whatever shape the column has.
            values += 0.5 * _DEVIATIONS[place % 4]
        if name in MISSING:
            values[random.random(count) < 0.02] = np.nan
        table[name] = values
    for place, name in enumerate(CATEGORIES):
        weights = 1.0 / np.arange(1, 5 + 6 * place)
        if shifted and name in SHIFTED:
            weights = weights[::-1]
        values = random.choice(len(weights), count, p=weights / weights.sum())
        table[name] = np.array([f"{name}_{value:02d}" for value in range(len(weights))])[values]
    table[SCORE] = 1 / (1 + np.exp(1.5 - 0.05 * (table["n00"] - 50) - 0.05 * (table["n08"] - 50)))
    return table


_DEVIATIONS = (10.0, np.sqrt((np.exp(0.25) - 1) * np.exp(0.25)), 3.0, 100 / np.sqrt(12))
"""Standard deviations of the four shapes of ``_numbers``."""


def _numbers(random: np.random.Generator, place: int, count: int) -> Array:
    """Bell, skewed, exponential or flat, in turn."""
    shapes = (
        lambda: random.normal(50, 10, count),
        lambda: random.lognormal(0, 0.5, count),
        lambda: random.exponential(3.0, count),
        lambda: random.uniform(0, 100, count),
    )
    return shapes[place % 4]()


def _texts(values: Array) -> list[str]:
    if values.dtype.kind == "U":
        return [str(value) for value in values.tolist()]
    return ["" if math.isnan(value) else repr(value) for value in values.tolist()]


def _uuids(random: np.random.Generator, count: int) -> list[str]:
    """Random UUIDs (version 4), by seed."""
    digits = random.bytes(16 * count).hex()
    parts = (digits[first : first + 32] for first in range(0, 32 * count, 32))
    return [f"{t[:8]}-{t[8:12]}-4{t[13:16]}-a{t[17:20]}-{t[20:]}" for t in parts]
