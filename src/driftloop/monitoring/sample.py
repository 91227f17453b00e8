"""A mergeable sample of distinct values with exact counts: the values with the smallest hashes."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftloop.data.columns import Column, Texts, values_of

try:
    from driftloop.native.lines import line_hashes
except ImportError:
    # It is not in SageMaker's containers.
    line_hashes = None  # type: ignore[assignment]

SIZE = 64


@dataclass(frozen=True)
class Sample:
    """The 64 distinct values whose hashes are smallest, and how often each came.

    A value that is among the smallest of all is among the smallest of every part that has it (bottom-k sketch, Cohen
    and Kaplan 2007), so merging is exact, associative and commutative, and each count is the true one.
    """

    counts: Mapping[str, int]

    def __add__(self, other: Sample) -> Sample:
        counts = dict(self.counts)
        for value, size in other.counts.items():
            counts[value] = counts.get(value, 0) + size
        return keep_smallest(counts)

    @property
    def repeats(self) -> float:
        """How often a distinct value came on average; 1.0 without any."""
        return sum(self.counts.values()) / len(self.counts) if self.counts else 1.0


NO_SAMPLE = Sample({})


def keep_smallest(counts: Mapping[str, int]) -> Sample:
    """The sample of counted values."""
    ordered = sorted(counts, key=lambda value: (zlib.crc32(value.encode("utf-8", "replace")), value))
    return Sample({value: counts[value] for value in ordered[:SIZE]})


def sample_values(column: Column) -> Sample:
    """The sample of some text, by one pass over its hashes."""
    if not len(column):
        return NO_SAMPLE
    texts = column if isinstance(column, Texts) else values_of(column).tolist()
    hashes = _hashes(texts)
    ordered = np.sort(hashes)
    # Not by np.unique, which makes a set of them.
    smallest = ordered[np.r_[True, ordered[1:] != ordered[:-1]]][:SIZE]
    counts: dict[str, int] = {}
    for place in np.flatnonzero(hashes <= smallest[-1]).tolist():
        text = texts[place]
        counts[text] = counts.get(text, 0) + 1
    return keep_smallest(counts)


def _hashes(texts: Texts | list[str]) -> np.ndarray[Any, Any]:
    together = texts.content if isinstance(texts, Texts) else "\n".join(texts).encode("utf-8", "replace")
    hashes = None if line_hashes is None else line_hashes(together, len(texts))
    if hashes is None:
        single = (texts[place].encode("utf-8", "replace") for place in range(len(texts)))
        hashes = np.fromiter(map(zlib.crc32, single), np.uint32, len(texts))
    return hashes
