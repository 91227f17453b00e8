"""Before and after, cell by cell: a table of bars that a screen reader can read as numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Protocol

from driftloop.reports.drift.marks import pair_bar, percent
from driftloop.reports.histograms import Cell, shown_cells
from driftloop.reports.markup import Html, tag
from driftloop.reports.record import FeatureScore

MOST = 0.75
"""Cells that together make this share of the divergence are drawn strong."""

_LONG = re.compile(r"(?<![\w.])-?\d{1,3}\.\d{3,}(?![\w.])")


class Histogram(Protocol):
    """Shares per cell, before and after."""

    @property
    def cells(self) -> tuple[str, ...]: ...
    @property
    def before(self) -> tuple[float, ...]: ...
    @property
    def after(self) -> tuple[float, ...]: ...


def histogram(name: str, shares: Histogram) -> Html:
    """The cells that hold rows; those that make most of the divergence are drawn strong."""
    cells = shown_cells(_as_feature(name, shares))
    top = max((max(cell.before, cell.after) for cell in cells), default=0.0) or 1.0
    strong = movers(cells)
    rows = [_row(cell, top, moved=place in strong) for place, cell in enumerate(cells)]
    head = tag(
        "thead",
        tag("tr", [tag("th", text, scope="col") for text in ("cell", "share of rows", "before", "now")]),
        class_="unseen",
    )
    return tag(
        "table",
        tag("caption", f"{name}, share of rows per cell", class_="unseen"),
        head,
        tag("tbody", rows),
        class_="cells",
    )


def _as_feature(name: str, shares: Histogram) -> FeatureScore:
    cells = (shares.cells, shares.before, shares.after)
    return FeatureScore(name=name, importance=0, score=0, cause=0, cells=cells[0], before=cells[1], after=cells[2])


def _row(cell: Cell, top: float, *, moved: bool) -> Html:
    told = f"{cell.name}: {cell.before:.1%} in training, {cell.after:.1%} now"
    return tag(
        "tr",
        tag("th", short(cell.name), scope="row"),
        tag("td", pair_bar(cell.before, cell.after, top, moved=moved), class_="bars"),
        tag("td", percent(cell.before), class_="number was"),
        tag("td", percent(cell.after), class_="number now" if not moved else "number now moved"),
        title=told,
    )


def short(name: str) -> str:
    """A cell's name with small numbers cut to four digits: ``0.0861101 to 0.11236`` is ``0.08611 to 0.1124``."""
    return _LONG.sub(lambda found: f"{float(found[0]):.4g}", name)


def movers(cells: Sequence[Cell]) -> set[int]:
    """Places of the fewest cells that together make most of the Jensen-Shannon divergence."""
    parts = [contribution(cell.before, cell.after) for cell in cells]
    total, found, so_far = sum(parts), set[int](), 0.0
    for place in sorted(range(len(parts)), key=lambda i: (-parts[i], i)):
        if so_far >= MOST * total:
            break
        found.add(place)
        so_far += parts[place]
    return found


def contribution(before: float, after: float) -> float:
    """What one cell adds to the Jensen-Shannon divergence, in bits (Lin 1991); never negative."""
    middle = (before + after) / 2
    # Half of the smallest number is zero.
    halves = (share * math.log2(share / middle) / 2 for share in (before, after) if share > 0 and middle > 0)
    return max(0.0, sum(halves))
