"""The columns of a model, as pipeline steps and functions see them (from the compiled model file)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

Columns = dict[str, np.ndarray[Any, Any]]
"""Column name -> one-dimensional array, all of one length. Categories are text ('' = missing), numbers are
float64 (NaN = missing), the time column is datetime64[s] in UTC, the id column is text."""


@dataclass(frozen=True)
class Feature:
    """One input column."""

    name: str
    type: str
    """``category``, ``integer`` or ``number``."""
    low: float | None = None
    high: float | None = None
    max_missing: float = 0.5

    @property
    def is_category(self) -> bool:
        """True if values are names and not quantities."""
        return self.type == "category"


@dataclass(frozen=True)
class Schema:
    """All columns of a model. The request payload has the columns id, time and then the features in order."""

    id: str
    time: str
    label: str
    label_delay: timedelta
    features: tuple[Feature, ...]
    output: str = "probability"
    """What a prediction is: ``probability`` of label 1, ``class`` or ``number``."""
    slices: tuple[str, ...] = ()
    """Category features by which predictions are also looked at."""

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Schema:
        """Read the ``data`` part of a compiled model file."""
        data = spec["data"]
        return cls(
            id=data["id"],
            time=data["time"],
            label=data["label"],
            label_delay=timedelta(seconds=data["label_delay"]),
            features=tuple(_feature(name, value) for name, value in data["features"].items()),
            slices=tuple(spec["gate"]["slices"]),
        )

    @property
    def payload(self) -> tuple[str, ...]:
        """Column names of a request, in order."""
        return (self.id, self.time, *(feature.name for feature in self.features))


def _feature(name: str, value: Mapping[str, Any]) -> Feature:
    low, high = value["range"] or (None, None)
    return Feature(name, value["type"], low, high, value["max_missing"])
