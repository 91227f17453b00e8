"""Which feature drifted when: features by weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from driftloop.reports import words
from driftloop.reports.markup import Html, tag
from driftloop.reports.measures import monday
from driftloop.reports.palette import GREY
from driftloop.reports.record import LoopRecord
from driftloop.reports.timeline import Plot, version_marks

TOP = 3.0
"""Scores from here on have the strongest colour."""


@dataclass(frozen=True)
class Week:
    """Scores of one feature in the windows that start in one week."""

    scores: tuple[float, ...]

    @property
    def highest(self) -> float:
        """The score that is drawn."""
        return max(self.scores)

    @property
    def over(self) -> int:
        """Windows at or over the limit."""
        return sum(1 for score in self.scores if score >= 1)


def feature_weeks(record: LoopRecord) -> dict[str, dict[date, Week]]:
    """Feature -> Monday -> scores; the features that the model uses most come first."""
    scores: dict[str, dict[date, list[float]]] = {}
    use: dict[str, float] = {}
    for report in record.reports:
        for feature in report.features:
            scores.setdefault(feature.name, {}).setdefault(monday(report.window.start), []).append(feature.score)
            use[feature.name] = use.get(feature.name, 0.0) + feature.importance
    ranked = sorted(scores, key=lambda name: (-use[name], name))
    return {name: {week: Week(tuple(found)) for week, found in scores[name].items()} for name in ranked}


def scale() -> Html:
    """Key of the colours; the step is at the limit."""
    return tag(
        "p",
        "Highest daily score / limit of the week: 0 ", tag("span", class_="ramp within"), " 1 = limit ",
        tag("span", class_="ramp beyond"), f" {TOP:g} or more",
        class_="key",
    )  # fmt: skip


def heat_map(record: LoopRecord) -> Plot:
    """The figure; without features it has no cells."""
    features = feature_weeks(record)
    weeks = _all_weeks(features)
    names = list(features)
    grid = [[features[name].get(week) for week in weeks] for name in names]
    heat = {
        "type": "heatmap", "coloraxis": "coloraxis", "xgap": 1, "ygap": 2,
        "x": [f"{week + timedelta(days=3)} 12:00:00" for week in weeks], "y": list(range(len(names))),
        "z": [[None if cell is None else round(cell.highest, 3) for cell in row] for row in grid],
        "text": [[_text(name, week, cell) for week, cell in zip(weeks, row, strict=True)] for name, row in zip(names, grid, strict=True)],
        "hovertemplate": "%{text}<extra></extra>", "hoverongaps": False,
    }  # fmt: skip
    return {"data": [heat], "layout": _layout(record, names, weeks)}


def _layout(record: LoopRecord, names: Sequence[str], weeks: Sequence[date]) -> Plot:
    return {
        "height": 86 + 24 * len(names),
        "margin": {"l": 108, "r": 16, "t": 26, "b": 50},
        "xaxis": {"type": "date", "title": {"text": "week (UTC)"}, "showgrid": False, "range": _range(weeks)},
        "yaxis": {
            "tickvals": list(range(len(names))), "ticktext": [words.hover(name) for name in names],
            "range": [len(names) - 0.5, -0.5], "fixedrange": True, "showgrid": False, "zeroline": False,
        },
        "coloraxis": {"cmin": 0, "cmax": TOP, "showscale": False},
        "shapes": [
            {"type": "line", "xref": "x", "yref": "y domain", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": {"color": GREY, "width": 1.2, "dash": "dot"}}
            for _, at in version_marks(record)
        ],
        "annotations": [
            {"xref": "x", "yref": "paper", "x": at, "y": 1, "yanchor": "bottom", "text": f"<b>{version}</b>", "showarrow": False}
            for version, at in version_marks(record)
        ],
    }  # fmt: skip


def _range(weeks: Sequence[date]) -> list[str]:
    if not weeks:
        return []
    return [f"{weeks[0]} 00:00:00", f"{weeks[-1] + timedelta(days=7)} 00:00:00"]


def _all_weeks(features: Mapping[str, Mapping[date, Week]]) -> list[date]:
    """Every Monday from the first to the last, so that a week without reports shows as a gap."""
    found = {week for weeks in features.values() for week in weeks}
    if not found:
        return []
    first, last = min(found), max(found)
    return [first + timedelta(days=7 * number) for number in range((last - first).days // 7 + 1)]


def _text(name: str, week: date, cell: Week | None) -> str:
    if cell is None:
        return ""
    begin = datetime(week.year, week.month, week.day, tzinfo=UTC)
    mean = sum(cell.scores) / len(cell.scores)
    over = f"{cell.over} of {words.count(len(cell.scores), 'window')} at or over the limit"
    return f"<b>{words.hover(name)}</b>, week of {words.day(begin)}<br>highest {cell.highest:.2f}, mean {mean:.2f}<br>{over}"
