"""A mergeable sample of distinct values with exact counts: the values with the smallest hashes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

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


def sample_values(values: Iterable[str]) -> Sample:
    """The sample of some values, by one pass over their hashes."""
    texts = list(values)
    if not texts:
        return NO_SAMPLE
    hashes = _hashes(texts)
    ordered = np.sort(hashes)
    # Not by np.unique, which makes a set of them.
    smallest = ordered[np.r_[True, ordered[1:] != ordered[:-1]]][:SIZE]
    counts: dict[str, int] = {}
    for place in np.flatnonzero(hashes <= smallest[-1]).tolist():
        counts[texts[place]] = counts.get(texts[place], 0) + 1
    return keep_smallest(counts)


def _hashes(texts: list[str]) -> np.ndarray[Any, Any]:
    together = "\n".join(texts).encode("utf-8", "replace")
    hashes = None if line_hashes is None else line_hashes(together, len(texts))
    if hashes is None:
        hashes = np.array([zlib.crc32(text.encode("utf-8", "replace")) for text in texts], np.uint32)
    return hashes
