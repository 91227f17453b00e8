"""How many predictions have their labels by now. Labels that come first are not like those that come last (a fraud is found
late), so a gate must not judge by a day of which only some have come."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from statistics import median

from driftloop.data.rows import by_date
from driftloop.data.schema import Columns, Schema

MIN_DAYS = 3
"""Days that say what an ordinary one is."""
Days = Mapping[str, Mapping[str, int]]
"""Event date -> its ``predictions``, and how many of them are ``labelled``."""


def count_labels(schema: Schema, predictions: Iterator[Columns], labelled: Container[str]) -> Days:
    """Count predictions by event date; each table has ids and times, ``labelled`` holds the ids with a label."""
    days: dict[str, dict[str, int]] = {}
    for columns in predictions:
        for day, rows in by_date(columns, schema.time).items():
            counts = days.setdefault(day, {"predictions": 0, "labelled": 0})
            counts["predictions"] += len(rows[schema.id])
            counts["labelled"] += sum(row in labelled for row in rows[schema.id].tolist())
    return dict(sorted(days.items()))


def coverage_faults(days: Days, share: float, min_rows: int) -> Iterator[str]:
    """In words, each day of which less than a share of what is usual has labels. Days with few predictions say nothing."""
    covered = {day: n["labelled"] / n["predictions"] for day, n in days.items() if n["predictions"] >= min_rows}
    if len(covered) < MIN_DAYS:
        return
    usual = median(covered.values())
    for day, coverage in covered.items():
        if coverage < share * usual:
            yield (
                f"{coverage:.0%} of the {days[day]['predictions']} predictions of {day} have labels, and {usual:.0%} of an "
                f"ordinary day's (training.label_coverage {share:.0%}): if they are still coming, data.label_delay is too short"
            )
