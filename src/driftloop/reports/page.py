"""The whole page: one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from driftloop.reports import words
from driftloop.reports.feature_heat import heat_map, scale
from driftloop.reports.gate_plots import advantage_plot, loss_plot
from driftloop.reports.glossary import glossary
from driftloop.reports.headline import certainty, facts, headline
from driftloop.reports.histograms import pictures
from driftloop.reports.markup import Html, document_head, embedded_json, join, tag
from driftloop.reports.record import LoopRecord
from driftloop.reports.tables import (
    alarms_table,
    episodes_table,
    folded,
    gate_table,
    stacks_table,
    timings_table,
    weeks_table,
    windows_table,
)  # fmt: skip
from driftloop.reports.timeline import Plot, timeline

_HERE = Path(__file__).parent


def render(record: LoopRecord) -> str:
    """The page as text; the same record always gives the same text."""
    plots = plots_of(record)
    sections = [
        _section("timeline", "Timeline", _timeline(record, plots)),
        _section("episodes", "Episodes", _episodes(record)),
        _section("gate", "Champion against challenger", _gate(record, plots)),
        _section("features", "Features", _features(record, plots)),
        _section("run", "Stacks and time", _run(record)),
        _section("words", "Words", glossary()),
    ]
    title = f"{record.summary.model}: report of the loop"
    scripts = [Html(get_plotlyjs()), Html((_HERE / "page.js").read_text(encoding="utf-8"))]
    body = join(
        _header(record),
        tag("main", sections),
        tag("script", embedded_json(plots), type="application/json", id="plots"),
        [tag("script", script) for script in scripts],
    )
    return f"<!doctype html>\n{tag('html', _head(title, scripts), tag('body', body), lang='en')}\n"


def plots_of(record: LoopRecord) -> dict[str, Plot]:
    """Element id -> figure, for what the record can show."""
    plots: dict[str, Plot] = {}
    if record.reports or record.summary.quality or record.summary.episodes:
        plots["timeline-plot"] = timeline(record)
    if record.evaluations:
        plots |= {"loss-plot": loss_plot(record), "advantage-plot": advantage_plot(record)}
    if any(report.features for report in record.reports):
        plots["heat-plot"] = heat_map(record)
    return plots


def _head(title: str, scripts: list[Html]) -> Html:
    # Only these very scripts may run and nothing may be fetched, whatever the record holds.
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {hashes}; base-uri 'none'; form-action 'none'"
    return document_head(title, policy, (_HERE / "page.css").read_text(encoding="utf-8"))


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _header(record: LoopRecord) -> Html:
    links = [
        ("timeline", "Timeline"),
        ("episodes", "Episodes"),
        ("gate", "Gate"),
        ("features", "Features"),
        ("run", "Run"),
        ("words", "Words"),
    ]
    sure = certainty(record)
    return tag(
        "header",
        tag("p", f"driftloop, model {record.summary.model}", class_="kicker"),
        tag("h1", headline(record), id="headline"),
        tag("p", sure, class_="certainty") if sure else None,
        facts(record),
        tag("nav", [tag("a", text, href=f"#{place}") for place, text in links], aria_label="Sections"),
    )


def _section(place: str, title: str, content: Html) -> Html:
    return tag("section", tag("h2", title, id=f"{place}-title"), content, id=place, aria_labelledby=f"{place}-title")


def _plot(name: str, label: str, plots: dict[str, Plot]) -> Html:
    height = plots[name]["layout"]["height"]
    return tag("div", id=name, class_="plot", role="img", aria_label=label, style=f"--height:{height}px")


def _empty(text: str) -> Html:
    return tag("p", text, class_="empty")


def _timeline(record: LoopRecord, plots: dict[str, Plot]) -> Html:
    lead = tag(
        "p",
        "Top: scores of each daily window; above the dashed line is more than unchanged traffic would show (logarithmic scale). "
        "Middle: verdicts, time in alarm, and the episodes that followed. Below: the loss of what served against the first version. "
        "Dotted lines are promotions. Hover for the reasons; drag to zoom, double click to return.",
        class_="lead",
    )
    missing = [
        None if record.reports else _empty("No drift reports: no complete window has been judged yet."),
        None if record.summary.quality else _empty("No quality windows: no labels have come back yet."),
    ]
    if "timeline-plot" not in plots:
        return join(lead, missing)
    picture = _plot(
        "timeline-plot", f"Timeline of drift scores, alarms, episodes and log-loss. {headline(record)}", plots
    )
    tables = [
        folded("Served against the first version by week", weeks_table(record)) if record.summary.quality else None,
        folded("Windows that were not stable, with reasons", windows_table(record)) if record.reports else None,
        folded("Times in alarm", alarms_table(record)) if record.alarms else _empty("No alarm changed its state."),
    ]
    return join(lead, missing, picture, tables)


def _episodes(record: LoopRecord) -> Html:
    if not record.summary.episodes:
        return _empty("No episodes: nothing has asked for a retraining.")
    return episodes_table(record)


def _gate(record: LoopRecord, plots: dict[str, Plot]) -> Html:
    if not record.evaluations:
        return _empty("No evaluations: no challenger has reached the gate.")
    lead = tag(
        "p",
        "Both versions are scored on the same recent holdout. A challenger is promoted if it is better by more than the margin and the lower "
        "confidence bound of its improvement is above zero. The first version has no champion and must beat the base rate.",
        class_="lead",
    )
    names = {
        "loss-plot": "Log-loss of champion and challenger per evaluation",
        "advantage-plot": "Improvement with lower bound and margin",
    }
    pair = tag(
        "div",
        [_plot(name, f"{label}; the numbers are in the table below", plots) for name, label in names.items()],
        class_="pair",
    )
    return join(lead, pair, gate_table(record))


def _features(record: LoopRecord, plots: dict[str, Plot]) -> Html:
    if "heat-plot" not in plots:
        return _empty("No features: no window held any rows.")
    lead = tag(
        "p",
        "The features that the model uses most come first. Blue is within the limit, orange beyond it. Limits belong to a version: "
        "after a promotion (dotted) a feature is compared with the new version's own training data.",
        class_="lead",
    )
    picture = _plot("heat-plot", "Heat map of drift scores by feature and week", plots)
    return join(lead, scale(), picture, tag("h3", "What moved in the most drifted windows"), pictures(record))


def _run(record: LoopRecord) -> Html:
    data = record.summary.data
    stacks = stacks_table(record) if record.summary.stacks else _empty("No stacks were recorded.")
    speed = f"{data.rows_replayed:,} rows were replayed in {words.seconds(record.summary.timings_s.replay)}."
    return join(tag("div", stacks, timings_table(record), class_="pair"), tag("p", speed))
