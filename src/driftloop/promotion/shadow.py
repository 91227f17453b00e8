"""A version and its shadow were asked the same: did the shadow fail, was it slow, did it answer differently than the gate
had seen?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from driftloop.monitoring.statistics import Floats
from driftloop.ports import Usage

ERRORS = 0.01
"""How much larger a share of requests than the version that serves a shadow may fail on."""
_ERRORS_AT_LEAST = 2
"""One failure may be anybody's."""
_SURE = 3.0
"""Standard errors by which the difference must be over its limit."""
_BINS = 20


class Verdict(StrEnum):
    """What becomes of a shadow."""

    SERVES = "serve"
    REJECTED = "reject"


@dataclass
class Pairs:
    """Probabilities of both versions for the same rows, as far as their sums go."""

    rows: int = 0
    served: float = 0.0
    """Sum of the probabilities of the version that serves."""
    shadow: float = 0.0
    difference: float = 0.0
    """Sum of the absolute differences."""
    squares: float = 0.0
    served_counts: list[int] = field(default_factory=lambda: [0] * _BINS)
    """Of 20 bins from 0 to 1."""
    shadow_counts: list[int] = field(default_factory=lambda: [0] * _BINS)

    def add(self, served: Floats, shadow: Floats) -> None:
        """Add probabilities, shape (n,) each, of the same rows in the same order."""
        difference = np.abs(served - shadow)
        self.rows += len(served)
        self.served += float(served.sum())
        self.shadow += float(shadow.sum())
        self.difference += float(difference.sum())
        self.squares += float((difference**2).sum())
        for counts, scores in ((self.served_counts, served), (self.shadow_counts, shadow)):
            binned = np.histogram(np.clip(scores, 0, 1), bins=_BINS, range=(0, 1))[0]
            counts[:] = [before + int(more) for before, more in zip(counts, binned, strict=True)]

    @property
    def mean_difference(self) -> float:
        """Mean absolute difference."""
        return self.difference / self.rows

    @property
    def standard_error(self) -> float:
        """Of the mean absolute difference, as if rows were independent."""
        variance = max(self.squares / self.rows - self.mean_difference**2, 0.0)
        return math.sqrt(variance / self.rows)


@dataclass(frozen=True)
class Limits:
    """What a shadow may do."""

    min_rows: int
    """Fewer pairs say nothing."""
    tolerance: float
    """By how much the mean absolute difference may be larger than on the gate's holdout."""
    latency: float | None
    """Average seconds to an answer."""

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Limits:
        """Limits of a compiled model file."""
        serving = spec["serving"]
        return cls(spec["monitoring"]["min_rows"], serving["rollout"]["tolerance"], serving["max_latency"])


@dataclass(frozen=True)
class Comparison:
    """What both versions did."""

    served: Usage
    shadow: Usage
    pairs: Pairs
    expected: float | None
    """Mean absolute difference on the gate's holdout; None if it is not known."""

    def judged(self, limits: Limits) -> tuple[Verdict, str]:
        """The verdict and its reason. What cannot be compared is no reason to reject: the rollout is guarded still."""
        faults = (self._fails(), self._is_slow(limits), self._differs(limits))
        if fault := next(filter(None, faults), ""):
            return Verdict.REJECTED, fault
        if self.pairs.rows < limits.min_rows:
            return (
                Verdict.SERVES,
                f"{self.pairs.rows} rows of both are too few to compare: {limits.min_rows} are needed",
            )
        if self.expected is None:
            return (
                Verdict.SERVES,
                f"answers differ by {self.pairs.mean_difference:.4f}; the gate has nothing to compare with",
            )
        return (
            Verdict.SERVES,
            f"answers differ by {self.pairs.mean_difference:.4f} and did by {self.expected:.4f} before the gate",
        )

    def _fails(self) -> str:
        errors, requests = self.shadow.errors, self.shadow.requests
        allowed = ERRORS + (self.served.errors / self.served.requests if self.served.requests else 0.0)
        if errors < _ERRORS_AT_LEAST or errors <= allowed * requests:
            return ""
        return f"the shadow failed on {errors} of {requests} requests and the version that serves on {self.served.errors} of {self.served.requests}"

    def _is_slow(self, limits: Limits) -> str:
        latency = self.shadow.latency
        if limits.latency is None or latency is None or latency < limits.latency:
            return ""
        return f"the shadow took {latency:.3f} s to an answer, and serving.max_latency is {limits.latency:g} s"

    def _differs(self, limits: Limits) -> str:
        if self.pairs.rows < limits.min_rows or self.expected is None:
            return ""
        least = self.pairs.mean_difference - _SURE * self.pairs.standard_error
        if least <= self.expected + limits.tolerance:
            return ""
        return (
            f"answers to the same {self.pairs.rows} rows differ by {self.pairs.mean_difference:.4f} on average, before the gate "
            f"they did by {self.expected:.4f}, and {limits.tolerance:g} more is tolerated"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain form."""
        pairs = self.pairs
        means = {"served": pairs.served / pairs.rows, "shadow": pairs.shadow / pairs.rows} if pairs.rows else None
        return {
            "served": asdict(self.served),
            "shadow": asdict(self.shadow),
            "pairs": {
                "rows": pairs.rows,
                "mean_probability": means,
                "mean_difference": pairs.mean_difference if pairs.rows else None,
                "standard_error": pairs.standard_error if pairs.rows else None,
                "expected_difference": self.expected,
                "counts": {"served": pairs.served_counts, "shadow": pairs.shadow_counts},
            },
        }
