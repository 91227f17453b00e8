"""Rows that say the same and have different labels: one event under two ids, or labels that met the wrong rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from driftloop.data.schema import Columns, Schema


def conflict_faults(schema: Schema, columns: Columns, limit: float) -> Iterator[str]:
    """In words, if a larger share of rows than the limit has a twin with the other label.

    Twins have the same time and the same features. At different times the same features may well have different outcomes.
    """
    labels = columns[schema.label]
    groups = _groups([columns[name] for name in (schema.time, *(feature.name for feature in schema.features))])
    ones = np.bincount(groups, weights=labels)
    torn = (ones > 0) & (ones < np.bincount(groups))
    share = float(torn[groups].mean()) if len(labels) else 0.0
    if share > limit:
        example = columns[schema.time][np.flatnonzero(torn[groups])[0]]
        yield (
            f"{share:.1%} of rows have the same time and features as a row with the other {schema.label} "
            f"(training.max_conflicts {limit:.1%}), e.g. at {example}Z: one event under several ids, or labels that belong "
            "to other rows"
        )


def _groups(columns: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Number of each row's group, from 0 on; rows with the same values are in one group."""
    groups = np.zeros(len(columns[0]), dtype=np.int64)
    for values in columns:
        kind = str if values.dtype == object else values.dtype
        _, codes = np.unique(values.astype(kind), return_inverse=True)
        # Numbered anew each time, so that the numbers stay below those of the rows squared.
        _, groups = np.unique(groups * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)
    return groups
