"""The windows of the strip: where each stands, and what is known by now of its quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from driftloop.reports.drift.record import Restated, WindowReport

_GAPS = 4
"""Missing windows in a row that keep their places; longer silences are cut short."""


@dataclass(frozen=True)
class Slot:
    """One window in the strip."""

    report: WindowReport
    place: int
    present: bool
    quality: Restated | None
    """From the latest report that says something about this window."""

    @property
    def observed(self) -> float | None:
        """Log-loss of the labelled rows, nats per row; None without labels."""
        return None if self.quality is None else (self.quality.observed or {}).get("log_loss")

    @property
    def usual(self) -> float | None:
        """Log-loss of the version when it was made, nats per row."""
        return (self.report.usual or {}).get("log_loss")

    @property
    def excess(self) -> float | None:
        """Observed minus usual log-loss; None where one is not known."""
        return None if self.observed is None or self.usual is None else self.observed - self.usual


def slots_of(report: WindowReport, neighbours: Sequence[WindowReport]) -> list[Slot]:
    """This report and its neighbours in time order; a window without a report leaves its place empty."""
    found = {other.window.start: other for other in neighbours} | {report.window.start: report}
    ordered = [found[start] for start in sorted(found)]
    known = latest_quality(ordered)
    return [
        Slot(item, place, item is report, known.get(item.window.start))
        for item, place in zip(ordered, _places(ordered), strict=True)
    ]


def latest_quality(ordered: Sequence[WindowReport]) -> dict[datetime, Restated]:
    """Start of a window -> the last word on its quality, from reports in time order."""
    return {item.window.start: item for report in ordered for item in report.restated}


def _places(ordered: Sequence[WindowReport]) -> list[int]:
    places = [0]
    for one, other in pairwise(ordered):
        length = other.window.end - other.window.start
        steps = round((other.window.start - one.window.start) / length)
        places.append(places[-1] + max(1, min(_GAPS + 1, steps)))
    return places
