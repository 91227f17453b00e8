"""Where it happens: the slices that the model file declares, and the predictions as a whole."""

from __future__ import annotations

from driftloop.reports.drift.cells import histogram
from driftloop.reports.drift.marks import bullet, meter, number, percent, scale_top, score_text
from driftloop.reports.drift.record import SliceDrift, WindowReport
from driftloop.reports.markup import Child, Html, join, tag
from driftloop.reports.tables import folded, table

SHOWN = 8
_ARROW = " \N{RIGHTWARDS ARROW} "


def places_section(report: WindowReport) -> Html:
    """The predictions as a whole beside the slices that moved most."""
    return tag("div", _predictions(report), _slices(report), class_="places")


def _predictions(report: WindowReport) -> Html:
    title = tag("h3", "All predictions")
    if report.predictions is None:
        return tag("div", title, tag("p", "This report keeps no histogram of the predictions.", class_="empty"))
    scored = "" if report.prediction_drift is None else f"{report.prediction_drift:.2f} \N{MULTIPLICATION SIGN} limit. "
    lead = tag("p", f"{scored}Share of rows by the model's output.", class_="lead")
    return tag("figure", title, lead, histogram("predictions", report.predictions), class_="multiple")


def _slices(report: WindowReport) -> Html:
    title = tag("h3", "Slices, the furthest from their usual predictions first")
    if not report.slices:
        hint = "No slices: the model file declares none (gate.slices), or this report is from before they were kept."
        return tag("div", title, tag("p", hint, class_="empty"))
    ranked = sorted(report.slices, key=lambda s: (-(s.score or 0), s.column, s.value))
    top = scale_top(s.score for s in ranked)
    parts = [title, _table("slices-table", ranked[:SHOWN], top)]
    if len(ranked) > SHOWN:
        rest = ranked[SHOWN:]
        parts.append(folded(f"{len(rest)} more slices", _table("more-slices-table", rest, top)))
    return tag("div", join(parts))


def _table(name: str, slices: list[SliceDrift], top: float) -> Html:
    heads = ["Slice", "Score (value / limit)", "Mean output", "Share of rows", "Rows"]
    return table(
        name,
        "Predictions within each slice against the same slice before",
        heads,
        [_row(s, top) for s in slices],
        "234",
    )


def _row(item: SliceDrift, top: float) -> list[Child]:
    return [
        f"{item.column} = {item.value}",
        meter(score_text(item.score), bullet(item.score, top)),
        f"{number(item.mean_before, 3)}{_ARROW}{number(item.mean_after, 3)}",
        f"{percent(item.share_before)}{_ARROW}{percent(item.share_after)}",
        f"{item.rows:,}",
    ]
