"""Performance: usual, estimated without labels, and observed with them."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.reports import words
from driftloop.reports.drift.marks import DASH, percent
from driftloop.reports.drift.record import Performance, WindowReport
from driftloop.reports.markup import Html, join, tag
from driftloop.reports.tables import table

SIDES = ("usual", "estimated", "observed")
NAMES = {"log_loss": "log-loss (nats per row)", "brier": "Brier score", "accuracy": "accuracy", "auc": "AUC"}
HIGHER_IS_BETTER = frozenset({"accuracy", "auc", "r2"})
_COUNTS = frozenset({"rows"})


@dataclass(frozen=True)
class Measure:
    """One measure on the three sides; None where there is nothing to say."""

    name: str
    usual: float | None
    estimated: float | None
    observed: float | None

    @property
    def known(self) -> list[float]:
        """The values that there are."""
        return [value for value in (self.usual, self.estimated, self.observed) if value is not None]

    @property
    def change(self) -> float | None:
        """Latest word (observed, else estimated) minus usual; positive is better."""
        latest = self.observed if self.observed is not None else self.estimated
        if latest is None or self.usual is None:
            return None
        return (latest - self.usual) * (1 if self.name in HIGHER_IS_BETTER else -1)


def measures_of(report: WindowReport) -> list[Measure]:
    """Every measure that some side has."""
    sides: list[Performance] = [report.usual or {}, report.estimated or {}, report.observed or {}]
    names = dict.fromkeys([*NAMES, *(name for side in sides for name in side)])
    found = [Measure(name, *(side.get(name) for side in sides)) for name in names if name not in _COUNTS]
    return [measure for measure in found if measure.known]


def quality_section(report: WindowReport) -> Html:
    """A row of marks a measure, with the numbers."""
    measures = measures_of(report)
    if not measures:
        return tag("p", "No measures: this report keeps none, or there is nothing yet to measure.", class_="empty")
    rows = [
        [
            NAMES.get(m.name, m.name.replace("_", " ")),
            *(_value(getattr(m, side)) for side in SIDES),
            _change(m),
            _line(m),
        ]
        for m in measures
    ]
    heads = ["Measure", "Usual", "Estimated", "Observed", "Against usual", "Worse to better"]
    caption = "Usual: out-of-time predictions when the version was made"
    return join(tag("p", coverage(report), class_="lead"), key(), table("quality-table", caption, heads, rows, "1234"))


def coverage(report: WindowReport) -> str:
    """How far labels and the estimate reach."""
    labels = (
        f"Observed on {words.count(report.labelled_rows, 'labelled row')}"
        if report.labelled_rows
        else "No labels have come yet, so the estimate stands alone"
    )
    share = "" if report.coverage is None else f"; labels cover {percent(report.coverage)} of the predictions"
    return f"{labels}{share}. The estimate needs no labels: it trusts the scores, and sees no change of what they mean."


def key() -> Html:
    """The three marks."""
    marks = ((side, tag("span", class_=f"mark {side}")) for side in SIDES)
    return tag("p", [join(mark, f" {side} ") for side, mark in marks], class_="key")


def _value(value: float | None) -> str:
    return DASH if value is None else f"{value:.4f}"


def _change(measure: Measure) -> Html | str:
    change = measure.change
    if change is None:
        return DASH
    how = "same" if abs(change) < 5e-5 else "better" if change > 0 else "worse"
    return tag("span", f"{abs(change):.4f} {how}" if how != "same" else how, class_=f"change {how}")


def _line(measure: Measure) -> Html:
    """Marks between the worst and the best value; for the eye only, the numbers stand beside it."""
    low, high = min(measure.known), max(measure.known)
    width = (high - low) or 1.0
    worst = low if measure.name in HIGHER_IS_BETTER else high
    marks = [
        tag("span", class_=f"mark {side}", style=f"left:{6 + 88 * abs(value - worst) / width:.1f}%")
        for side in SIDES
        if (value := getattr(measure, side)) is not None
    ]
    return tag("span", marks, class_="marks", aria_hidden="true")
