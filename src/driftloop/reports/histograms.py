"""Small multiples: what the leading causes looked like in the most drifted windows, against the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from driftloop.reports import words
from driftloop.reports.markup import Html, join, tag
from driftloop.reports.record import FeatureScore, LoopRecord, Report

WINDOWS, CAUSES, CELLS = 3, 3, 13
APART = timedelta(days=14)
_LABEL, _WIDTH, _ROW, _BAR, _HEAD = 118, 330, 17, 11, 4
_SCALE = _WIDTH - _LABEL - 34


@dataclass(frozen=True)
class Cell:
    """Share of rows in one cell of a histogram."""

    name: str
    before: float
    after: float


def most_drifted(reports: Sequence[Report]) -> list[Report]:
    """The windows with the highest input drift, at least two weeks apart, in time order."""
    chosen: list[Report] = []
    for report in sorted(reports, key=lambda r: (-_drift(r), r.window.start)):
        if report.features and all(abs(report.window.start - other.window.start) >= APART for other in chosen):
            chosen.append(report)
        if len(chosen) == WINDOWS:
            break
    return sorted(chosen, key=lambda report: report.window.start)


def _drift(report: Report) -> float:
    return -1.0 if report.input_drift is None else report.input_drift


def shown_cells(feature: FeatureScore) -> list[Cell]:
    """Cells that hold rows; of many, those that changed most, and the rest as one."""
    cells = [Cell(*values) for values in zip(feature.cells, feature.before, feature.after, strict=True)]
    cells = [cell for cell in cells if cell.before > 0 or cell.after > 0]
    if len(cells) <= CELLS:
        return cells
    ranked = sorted(range(len(cells)), key=lambda i: (-abs(cells[i].after - cells[i].before), i))
    kept = set(ranked[: CELLS - 1])
    rest = [cell for i, cell in enumerate(cells) if i not in kept]
    others = Cell(f"{len(rest)} others", sum(c.before for c in rest), sum(c.after for c in rest))
    return [*(cell for i, cell in enumerate(cells) if i in kept), others]


def pictures(record: LoopRecord) -> Html:
    """All small multiples; a sentence where there is nothing to draw."""
    windows = most_drifted(record.reports)
    if not windows:
        return tag("p", "No window has features to show.", class_="empty")
    key = tag(
        "p",
        tag("span", class_="swatch before"), " baseline of the version that served ",
        tag("span", class_="swatch after"), " this window; share of rows in percent",
        class_="key",
    )  # fmt: skip
    return join(key, [_window(report) for report in windows])


def _window(report: Report) -> Html:
    scores = "not scored" if report.input_drift is None else f"input drift {report.input_drift:.2f} times the limit"
    title = f"{words.day(report.window.start)}, v{report.version}: {report.verdict}, {scores}"
    leading = sorted(report.features, key=lambda f: (-f.cause, f.name))[:CAUSES]
    return tag(
        "section", tag("h3", title), tag("div", [_panel(f) for f in leading], class_="multiples"), class_="window"
    )


def _panel(feature: FeatureScore) -> Html:
    caption = tag(
        "figcaption",
        tag("b", feature.name),
        f" {feature.cause:.0%} of the drift, {feature.score:.2f} times its own limit",
    )
    return tag("figure", caption, _histogram(feature), class_="multiple")


def _histogram(feature: FeatureScore) -> Html:
    cells = shown_cells(feature)
    top = max((max(cell.before, cell.after) for cell in cells), default=0.0) or 1.0
    height = _HEAD + _ROW * len(cells)
    moved = max(cells, key=lambda cell: abs(cell.after - cell.before), default=Cell("nothing", 0, 0))
    label = (
        f"{feature.name}: {moved.name} went from {moved.before:.1%} to {moved.after:.1%} of rows, the largest change"
    )
    rows = [_row(cell, number, top) for number, cell in enumerate(cells)]
    return tag("svg", rows, viewBox=f"0 0 {_WIDTH} {height}", role="img", aria_label=label, class_="histogram")


def _row(cell: Cell, number: int, top: float) -> Html:
    y = _HEAD + number * _ROW
    before, after = cell.before / top * _SCALE, cell.after / top * _SCALE
    return tag(
        "g",
        tag("title", f"{cell.name}: {cell.before:.1%} in the baseline, {cell.after:.1%} in this window"),
        tag("rect", x=_LABEL, y=y, width=f"{before:.1f}", height=_BAR, class_="before"),
        tag("rect", x=_LABEL, y=y + 3, width=f"{after:.1f}", height=_BAR - 6, class_="after"),
        tag("text", _short(cell.name), x=_LABEL - 6, y=y + 9, class_="cell"),
        tag("text", _percent(cell.after), x=f"{_LABEL + max(before, after) + 4:.1f}", y=y + 9, class_="share"),
    )


def _percent(share: float) -> str:
    return f"{share * 100:.0f}" if share >= 0.095 or share == 0 else f"{share * 100:.1f}"


def _short(name: str) -> str:
    # The lowest edge lies one float below the smallest value; below zero that float is a denormal nobody wants to read.
    name = name.replace("-4.94066e-324", "0")
    return name if len(name) <= 20 else f"{name[:19]}\N{HORIZONTAL ELLIPSIS}"
