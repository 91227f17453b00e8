"""Ranked causes: how far each feature moved, times what the model uses of it."""

from __future__ import annotations

from collections.abc import Sequence

from driftloop.reports import words
from driftloop.reports.drift.cells import histogram
from driftloop.reports.drift.marks import DASH, bullet, meter, number, percent, scale_top, score_text, share_bar
from driftloop.reports.drift.record import FeatureDrift, Moments, WindowReport
from driftloop.reports.markup import Child, Html, join, tag
from driftloop.reports.tables import folded, table

ENOUGH, FEWEST, MOST = 0.9, 3, 4
"""Causes are pictured until they make this share of the drift, within these numbers of them; others open on demand."""


def leading(features: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    """The features that make nearly all of the drift, the strongest first."""
    ranked = _ranked(features)
    chosen: list[FeatureDrift] = []
    for feature in ranked[:MOST]:
        if len(chosen) >= FEWEST and sum(f.cause for f in chosen) >= ENOUGH:
            break
        chosen.append(feature)
    return chosen


def causes_section(report: WindowReport) -> Html:
    """Panels of the leading causes, and a table of all features."""
    if not report.features:
        return tag("p", "No features to show: the window holds no rows.", class_="empty")
    lead = tag(
        "p",
        "A feature causes drift as far as it has moved (divergence) and as far as the model uses it (importance). "
        "A score of 1.0 is at the feature's own limit: what unchanged traffic seldom exceeds.",
        class_="lead",
    )
    panels = [_panel(place, feature) for place, feature in enumerate(_ranked(report.features), start=1)]
    first = len(leading(report.features))
    return join(lead, key(), _grid(panels[:first]), ranking(report), _others(panels[first:]))


def _ranked(features: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    return sorted(features, key=lambda f: (-f.cause, f.name))


def _grid(panels: Sequence[Html]) -> Html:
    return tag("div", panels, class_="multiples causes")


def _others(panels: Sequence[Html]) -> Html | None:
    title = f"Histograms of {words.count(len(panels), 'other feature')}"
    return folded(title, _grid(panels)) if panels else None


def key() -> Html:
    """What the bars mean."""
    return tag(
        "p",
        tag("span", class_="swatch before"), " training ", tag("span", class_="swatch after moved"),
        " now, where most of the drift is ", tag("span", class_="swatch after"), " now, elsewhere",
        class_="key",
    )  # fmt: skip


def _panel(place: int, feature: FeatureDrift) -> Html:
    title = tag("h3", tag("span", f"{place}. ", class_="place"), feature.name)
    product = (
        f"{percent(feature.cause)} of the drift: {number(feature.divergence, 3)} bits \N{MULTIPLICATION SIGN} "
        f"importance {percent(feature.importance)}"
    )
    limit = f"{feature.score:.2f} \N{MULTIPLICATION SIGN} its own limit"
    caption = tag(
        "figcaption", title, tag("p", product),
        tag("p", limit, class_="over-limit" if feature.score >= 1 else None),
    )  # fmt: skip
    return tag("figure", caption, histogram(feature.name, feature), moments(feature), class_="multiple")


def moments(feature: FeatureDrift) -> Html | None:
    """Mean, spread, range and missing share before and now; nothing for categories."""
    if feature.summary is None:
        return None
    before, after = feature.summary.before, feature.summary.after
    arrow = " \N{RIGHTWARDS ARROW} "
    pairs = [
        ("mean", f"{number(before.mean)}{arrow}{number(after.mean)}"),
        ("deviation", f"{number(before.deviation, 3)}{arrow}{number(after.deviation, 3)}"),
        ("range", f"{_range(before)}{arrow}{_range(after)}"),
        ("missing", f"{percent(before.missing)}{arrow}{percent(after.missing)}"),
    ]
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs], class_="moments")


def _range(side: Moments) -> str:
    return DASH if side.low is None else f"{number(side.low)} to {number(side.high)}"


def ranking(report: WindowReport) -> Html:
    """Every feature with both factors; the statistics of the books beside them, open on demand."""
    ranked = _ranked(report.features)
    top = scale_top(feature.score for feature in ranked)
    rows = [
        [
            feature.name,
            meter(percent(feature.cause), share_bar(feature.cause)),
            meter(score_text(feature.score), bullet(feature.score, top)),
            meter(percent(feature.importance), share_bar(feature.importance)),
        ]
        for feature in ranked
    ]
    heads = ["Feature", "Share of the drift", "Score (value / limit)", "Importance"]
    first = table("causes-table", "All features, the strongest cause first", heads, rows)
    return join(first, folded("Other statistics of each feature", statistics_table(ranked)))


def statistics_table(ranked: Sequence[FeatureDrift]) -> Html:
    """Divergence, PSI, Wasserstein distance and Kolmogorov-Smirnov statistic, and the means."""
    heads = ["Feature", "Jensen-Shannon (bits)", "PSI (nats)", "Wasserstein (unit)", "KS", "Mean before", "Mean now"]
    rows = [[f.name, *(number(value, 3) for value in _statistics(f))] for f in ranked]
    return table("statistics-table", "Against the training data, on the baseline's cells; for comparison with other tools, no rule reads them", heads, rows, "123456")  # fmt: skip


def _statistics(feature: FeatureDrift) -> list[float | None]:
    means: Sequence[float | None] = (None, None)
    if feature.summary is not None:
        means = (feature.summary.before.mean, feature.summary.after.mean)
    return [feature.divergence, feature.psi, feature.wasserstein, feature.ks, *means]


def faults_section(report: WindowReport) -> Html:
    """What broke upstream, by name."""
    rows: list[list[Child]] = [
        [
            fault.kind,
            ", ".join(fault.columns) or "all columns",
            meter(percent(fault.share), share_bar(fault.share)),
            fault.reason,
        ]
        for fault in report.faults
    ]
    return table("faults-table", "Faults of the feed, the window's own rows", ["Fault", "Columns", "Share of rows", "What was seen"], rows)  # fmt: skip
