"""A profile: mergeable summary of rows on the baseline's cells. Merging is exact, in any order and grouping.

Its plain form (format 2) is documented in docs/reference/profile-format.md; format 1 is still read.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from driftloop.data.columns import Table, values_of
from driftloop.data.decoded import SCORE
from driftloop.data.schema import Schema
from driftloop.monitoring.bins import Bins, CategoryBins, Counts, NumericBins, upgrade_counts
from driftloop.monitoring.moments import Moments, moments_map, tally_numbers
from driftloop.monitoring.outcomes import CELLS, score_cells
from driftloop.monitoring.sample import NO_SAMPLE, Sample, keep_smallest, sample_values

FORMAT = 2
_MINUTES = 60

T = TypeVar("T")


def _nothing(cells: int) -> Callable[[], Counts]:
    return lambda: np.zeros(cells, dtype=np.int64)


@dataclass(frozen=True)
class Profile:
    """What monitoring keeps of some rows."""

    rows: int
    counts: Mapping[str, Counts]
    """Values per cell of every column's bins; each column's sum is ``rows``."""
    moments: Mapping[str, Moments] = field(default_factory=dict)
    """Columns of numbers."""
    unseen: Mapping[str, Sample] = field(default_factory=dict)
    """Columns of categories: values that training did not have."""
    joint: Mapping[str, Counts] = field(default_factory=dict)
    """Declared slice -> its cells times the score's cells, row by row of the slice."""
    probabilities: Counts = field(default_factory=_nothing(CELLS))
    """Scores in equal cells from 0 to 1, finer than the score's bins; zero if the output is no probability."""
    minutes: Counts = field(default_factory=_nothing(_MINUTES))
    """Rows per minute of the hour of their event time: tells a clock that stands still."""
    ids: Sample = NO_SAMPLE
    """Row ids: tells traffic that came twice."""

    def __add__(self, other: Profile) -> Profile:
        self._check(other, "merged")
        return Profile(
            self.rows + other.rows,
            _join(self.counts, other.counts, operator.add),
            _join(self.moments, other.moments, operator.add),
            _join(self.unseen, other.unseen, operator.add),
            _join(self.joint, other.joint, operator.add),
            self.probabilities + other.probabilities,
            self.minutes + other.minutes,
            self.ids + other.ids,
        )

    def __sub__(self, part: Profile) -> Profile:
        """The rest without a part of it. Samples and extremes stay those of the whole: what they forgot is not known."""
        self._check(part, "subtracted")
        return Profile(
            self.rows - part.rows,
            _join(self.counts, part.counts, operator.sub),
            _join(self.moments, part.moments, operator.sub),
            self.unseen,
            _join(self.joint, part.joint, operator.sub),
            self.probabilities - part.probabilities,
            self.minutes - part.minutes,
            self.ids,
        )

    def _check(self, other: Profile, what: str) -> None:
        if self.counts.keys() != other.counts.keys():
            raise ValueError(f"profiles of different baselines cannot be {what}")

    def to_dict(self) -> dict[str, Any]:
        """Plain form for JSON."""
        return {
            "format": FORMAT,
            "rows": self.rows,
            "counts": {name: counts.tolist() for name, counts in self.counts.items()},
            "moments": {name: moments.to_list() for name, moments in self.moments.items()},
            "unseen": {name: dict(sample.counts) for name, sample in self.unseen.items()},
            "joint": {name: counts.tolist() for name, counts in self.joint.items()},
            "probabilities": self.probabilities.tolist(),
            "minutes": self.minutes.tolist(),
            "ids": dict(self.ids.counts),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], bins: Mapping[str, Bins]) -> Profile:
        """The other way round, format 1 included. Raises ValueError for other formats and for counts of other bins."""
        profile = cls._from_dict(value, bins)
        for name, counts in profile.counts.items():
            if len(counts) != len(bins[name].labels):
                raise ValueError(f"{len(counts)} counts of {name}, which has {len(bins[name].labels)} cells")
        return profile

    @classmethod
    def _from_dict(cls, value: Mapping[str, Any], bins: Mapping[str, Bins]) -> Profile:
        form = value.get("format", 1)
        if form == 1:
            return cls(value["rows"], {name: upgrade_counts(bins[name], c) for name, c in value["counts"].items()})
        if form != FORMAT:
            raise ValueError(f"profile format {form!r} is not known; this version reads 1 and {FORMAT}")
        return cls(
            value["rows"],
            _arrays(value["counts"]),
            moments_map(value["moments"]),
            {name: keep_smallest(sample) for name, sample in value["unseen"].items()},
            _arrays(value["joint"]),
            np.array(value["probabilities"], dtype=np.int64),
            np.array(value["minutes"], dtype=np.int64),
            keep_smallest(value["ids"]),
        )


def empty_profile(bins: Mapping[str, Bins]) -> Profile:
    """The neutral element of merging."""
    return Profile(0, {name: np.zeros(len(b.labels), dtype=np.int64) for name, b in bins.items()})


def profile_columns(bins: Mapping[str, Bins], columns: Table, schema: Schema) -> Profile:
    """Profile of some rows. Cost grows with rows times columns.

    Args:
        bins: columns to count; all of them are in ``columns``.
        columns: payload columns and, if it has bins, the score.
    """
    numbers = {name: (b, values_of(columns[name])) for name, b in bins.items() if isinstance(b, NumericBins)}
    tallies = dict(zip(numbers, tally_numbers(list(numbers.values())), strict=True))
    counts: dict[str, Counts] = {}
    unseen: dict[str, Sample] = {}
    for name, b in bins.items():
        if name in tallies:
            counts[name] = tallies[name][0]
        elif isinstance(b, CategoryBins):
            counts[name], new = b.tally(columns[name])
            if new:
                unseen[name] = keep_smallest(new)
        else:
            counts[name] = b.count(columns[name])
    times = values_of(columns[schema.time]).astype("datetime64[m]").astype(np.int64)
    return Profile(
        len(times),
        counts,
        {name: moments for name, (_, moments) in tallies.items()},
        unseen,
        joint_counts(bins, columns, schema),
        _probabilities(bins, columns, schema),
        np.bincount(times % _MINUTES, minlength=_MINUTES),
        sample_values(columns[schema.id]) if schema.id in columns else NO_SAMPLE,
    )


def joint_counts(bins: Mapping[str, Bins], columns: Table, schema: Schema) -> dict[str, Counts]:
    """Predictions by slice, for the declared slices that are among the columns; nothing without a score."""
    if SCORE not in bins:
        return {}
    width = len(bins[SCORE].labels)
    score = bins[SCORE].cells(columns[SCORE])
    joint = {}
    for name in schema.slices:
        if name in bins and name in columns:
            size = len(bins[name].labels) * width
            joint[name] = np.bincount(bins[name].cells(columns[name]) * width + score, minlength=size)
    return joint


def _probabilities(bins: Mapping[str, Bins], columns: Table, schema: Schema) -> Counts:
    if SCORE not in bins or schema.output != "probability":
        return np.zeros(CELLS, dtype=np.int64)
    return np.bincount(score_cells(values_of(columns[SCORE])), minlength=CELLS)


def merge(bins: Mapping[str, Bins], profiles: Iterable[Profile]) -> Profile:
    """Sum of any number of profiles, none included."""
    return sum(profiles, start=empty_profile(bins))


def _join(a: Mapping[str, T], b: Mapping[str, T], combine: Callable[[T, T], T]) -> dict[str, T]:
    """Both mappings; what only one has counts as it is."""
    both = dict(a)
    for name, value in b.items():
        both[name] = combine(both[name], value) if name in both else value
    return both


def _arrays(value: Mapping[str, Any]) -> dict[str, Counts]:
    return {name: np.array(counts, dtype=np.int64) for name, counts in value.items()}
