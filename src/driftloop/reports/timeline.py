"""The timeline: drift scores, alarms, episodes, versions and the loss they led to, on one time axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from driftloop.monitoring.report import Verdict
from driftloop.reports import words
from driftloop.reports.measures import (
    AlarmInterval,
    alarm_intervals,
    alarm_signal,
    episodes,
    reports_of,
    servings,
)  # fmt: skip
from driftloop.reports.outcomes import outcome_of
from driftloop.reports.palette import AMBER, AMBER_TINT, BLUE, GREEN, GREY, GREY_TINT, NONE, PURPLE, VERMILLION
from driftloop.reports.quality_panels import quality_axes, quality_traces
from driftloop.reports.record import LoopRecord, Report
from driftloop.retraining.episode import Status

Plot = dict[str, Any]
"""A figure as plotly.js reads it: data and layout."""

FLOOR = 0.1
"""Scores below a tenth of the limit are drawn there; the axis is logarithmic."""
SCORES = (
    ("input drift", "input_drift", BLUE),
    ("prediction drift", "prediction_drift", GREEN),
    ("quality loss", "quality_loss", VERMILLION),
)
VERDICT_COLOURS = {
    Verdict.STABLE: GREY_TINT,
    Verdict.SHIFTED: VERMILLION,
    Verdict.BROKEN_UPSTREAM: PURPLE,
    Verdict.NOT_ENOUGH_DATA: NONE,
}
MARKERS = {
    Status.PROMOTED: ("circle", BLUE),
    Status.REJECTED: ("x", VERMILLION),
    Status.REFUSED: ("circle-open", GREY),
    Status.DEFERRED: ("diamond-open", GREY),
    Status.MERGED: ("triangle-up-open", GREY),
    Status.FAILED: ("diamond", PURPLE),
    Status.ROLLED_BACK: ("triangle-left", PURPLE),
}
_OPEN_MARKER = ("square-open", GREEN)


def timeline(record: LoopRecord) -> Plot:
    """The figure; every panel may be empty."""
    lanes = _lanes(record)
    traces = [*_score_traces(record), *_verdict_traces(record), *_alarm_traces(record), *_episode_traces(record)]
    layout = {
        "height": 1030,
        "margin": {"l": 92, "r": 16, "t": 56, "b": 44},
        "hovermode": "closest",
        "barmode": "overlay",
        "bargap": 0.35,
        "xaxis": {
            "type": "date", "range": [stamp(moment) for moment in span(record)], "anchor": "y4", "title": {"text": "event time (UTC)"},
            "showspikes": True, "spikemode": "across", "spikesnap": "cursor", "spikethickness": 1, "spikedash": "dot",
        },
        "yaxis": _score_axis(record),
        "yaxis2": {
            "domain": [0.50, 0.635], "tickvals": list(range(len(lanes))), "ticktext": lanes, "range": [len(lanes) - 0.5, -0.5],
            "showgrid": False, "fixedrange": True,
        },
        **quality_axes(record),
        "legend": _legend(1.02),
        "legend2": _legend(0.635),
        "legend3": _legend(0.415),
        "shapes": [*_bands(record), *_version_lines(record), _limit_line()],
        "annotations": _version_names(record),
    }  # fmt: skip
    return {"data": [*traces, *quality_traces(record)], "layout": layout}


def stamp(moment: datetime) -> str:
    """Time as plotly reads it: without a zone, so that the browser shows UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def span(record: LoopRecord) -> tuple[datetime, datetime]:
    """The replayed days, with a little room for the first version's mark."""
    data = record.summary.data
    start = datetime(data.first_day.year, data.first_day.month, data.first_day.day, tzinfo=UTC)
    end = datetime(data.last_day.year, data.last_day.month, data.last_day.day, tzinfo=UTC) + timedelta(days=1)
    room = (end - start) / 100
    return start - room, end + room


def _legend(top: float) -> Plot:
    return {"orientation": "h", "x": 0, "xanchor": "left", "y": top, "yanchor": "bottom", "traceorder": "normal"}


def _score_axis(record: LoopRecord) -> Plot:
    scores = [score for r in record.reports for _, name, _ in SCORES if (score := getattr(r, name)) is not None]
    top = max(4.0, *scores, 4.0) * 1.25
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    return {
        "type": "log", "domain": [0.70, 1.0], "title": {"text": "score / limit"}, "autorange": False,
        "range": [math.log10(FLOOR) - 0.04, math.log10(top)], "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks],
    }  # fmt: skip


def _score_traces(record: LoopRecord) -> list[Plot]:
    reports = reports_of(record)
    texts = [_report_text(report) for report in reports]
    return [
        {
            "type": "scatter", "mode": "lines+markers", "marker": {"size": 3}, "name": name, "legend": "legend", "yaxis": "y",
            "x": [_middle(report) for report in reports], "y": [_floored(getattr(report, key)) for report in reports],
            "line": {"color": colour, "width": 1.8}, "text": texts, "hovertemplate": "%{text}<extra></extra>",
        }
        for name, key, colour in SCORES
    ]  # fmt: skip


def _middle(report: Report) -> str:
    return stamp(report.window.start + (report.window.end - report.window.start) / 2)


def _floored(score: float | None) -> float | None:
    return None if score is None else max(FLOOR, round(score, 4))


def _report_text(report: Report) -> str:
    scores = [f"{name} {value:.2f}" for name, key, _ in SCORES if (value := getattr(report, key)) is not None]
    lines = [words.hover("; ".join(report.reasons))] if report.reasons else []
    title = f"<b>{words.day(report.window.start)}: {report.verdict}</b> (v{report.version})"
    return "<br>".join([title, ", ".join(scores) or "no scores", *lines])


def _verdict_traces(record: LoopRecord) -> list[Plot]:
    traces = []
    for verdict in Verdict:
        found = [report for report in reports_of(record) if report.verdict is verdict]
        if found:
            colour = VERDICT_COLOURS[verdict]
            spans = [(report.window.start, report.window.end) for report in found]
            marker = {"color": colour, "line": {"width": 1 if verdict is Verdict.NOT_ENOUGH_DATA else 0, "color": GREY}}
            traces.append(_bars(str(verdict), 0, spans, [_report_text(r) for r in found], marker))
    return traces


def _alarm_traces(record: LoopRecord) -> list[Plot]:
    traces: list[Plot] = []
    for lane, (signal, intervals) in enumerate(_alarms_by_signal(record).items(), start=1):
        spans = [(i.start, _end(i, record)) for i in intervals]
        texts = [_alarm_text(signal, interval) for interval in intervals]
        traces.append(_bars("in alarm", lane, spans, texts, {"color": AMBER}) | {"showlegend": lane == 1})
    return traces


def _bars(name: str, lane: int, spans: Sequence[tuple[datetime, datetime]], texts: list[str], marker: Plot) -> Plot:
    return {
        "type": "bar", "orientation": "h", "name": name, "legend": "legend2", "yaxis": "y2",
        "base": [stamp(start) for start, _ in spans], "y": [lane] * len(spans),
        "x": [round((end - start).total_seconds() * 1000) for start, end in spans],
        "marker": marker, "text": texts, "textposition": "none", "hovertemplate": "%{text}<extra></extra>", "width": 0.6,
    }  # fmt: skip


def _alarm_text(signal: str, interval: AlarmInterval) -> str:
    until = words.minute(interval.end) if interval.end else "the end"
    title = f"<b>{words.hover(signal)} alarm</b>, {words.minute(interval.start)} to {until}"
    return "<br>".join([title, words.hover(interval.reason)])


def _alarms_by_signal(record: LoopRecord) -> dict[str, list[AlarmInterval]]:
    signals: dict[str, list[AlarmInterval]] = {}
    for interval in alarm_intervals(record.alarms):
        signals.setdefault(alarm_signal(interval.alarm, record.summary.model), []).append(interval)
    return dict(sorted(signals.items()))


def _lanes(record: LoopRecord) -> list[str]:
    return ["verdict", *(f"{words.hover(signal)} alarm" for signal in _alarms_by_signal(record)), "episodes"]


def _episode_traces(record: LoopRecord) -> list[Plot]:
    lane = len(_lanes(record)) - 1
    traces = []
    for status in Status:
        found = [episode for episode in episodes(record) if episode.status is status]
        if found:
            symbol, colour = MARKERS.get(status, _OPEN_MARKER)
            texts = [
                f"<b>{words.minute(e.opened_at)}: {words.hover(words.trigger(e.trigger))}</b><br>{words.hover(e.reason)}"
                f"<br><b>{words.status(e.status)}</b><br>{words.hover(outcome_of(e, record))}"
                for e in found
            ]
            traces.append({
                "type": "scatter", "mode": "markers", "name": words.status(status), "legend": "legend2", "yaxis": "y2",
                "x": [stamp(episode.opened_at) for episode in found], "y": [lane] * len(found),
                "marker": {"symbol": symbol, "color": colour, "size": 10, "line": {"width": 1.6, "color": colour}},
                "text": texts, "hovertemplate": "%{text}<extra></extra>",
            })  # fmt: skip
    return traces


def _end(interval: AlarmInterval, record: LoopRecord) -> datetime:
    return interval.end or max(interval.start, span(record)[1])


def _bands(record: LoopRecord) -> list[Plot]:
    return [
        {
            "type": "rect", "xref": "x", "yref": "y domain", "x0": stamp(interval.start), "x1": stamp(_end(interval, record)),
            "y0": 0, "y1": 1, "fillcolor": AMBER_TINT, "line": {"width": 0}, "layer": "below",
        }
        for interval in _merged(record)
    ]  # fmt: skip


def _merged(record: LoopRecord) -> list[AlarmInterval]:
    """Alarm time of any alarm, so that two alarms at once do not look like a stronger one."""
    merged: list[AlarmInterval] = []
    for interval in alarm_intervals(record.alarms):
        last = merged[-1] if merged else None
        if last and interval.start <= _end(last, record):
            end = max(_end(last, record), _end(interval, record))
            merged[-1] = AlarmInterval(last.alarm, last.start, end, last.reason)
        else:
            merged.append(interval)
    return merged


def _limit_line() -> Plot:
    ends = {"xref": "x domain", "x0": 0, "x1": 1, "yref": "y", "y0": 1, "y1": 1}
    return {"type": "line", **ends, "line": {"color": GREY, "width": 2, "dash": "dash"}}


def version_marks(record: LoopRecord) -> list[tuple[str, str]]:
    """(version, time) of every promotion; one that came before the first day stands at the left edge."""
    start = span(record)[0]
    return [(serving.version, stamp(max(start, serving.since))) for serving in servings(record)]


def _version_lines(record: LoopRecord) -> list[Plot]:
    line = {"color": GREY, "width": 1.2, "dash": "dot"}
    return [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": at,
            "x1": at,
            "y0": 0,
            "y1": 1,
            "line": line,
            "layer": "below",
        }
        for _, at in version_marks(record)
    ]


def _version_names(record: LoopRecord) -> list[Plot]:
    return [
        {"xref": "x", "yref": "y domain", "x": at, "y": 1, "yanchor": "bottom", "xanchor": "center", "text": f"<b>{version}</b>", "showarrow": False}
        for version, at in version_marks(record)
    ]  # fmt: skip
