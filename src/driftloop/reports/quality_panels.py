"""The lower half of the timeline: served against static quality."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from typing import Any

from driftloop.reports import words
from driftloop.reports.measures import rolling, windows_of
from driftloop.reports.palette import BLUE, BLUE_TINT, VERMILLION, VERMILLION_TINT
from driftloop.reports.record import LoopRecord, QualityWindow

Read = Callable[[QualityWindow], float | None]
_NOON = timedelta(hours=12)


def quality_axes(record: LoopRecord) -> dict[str, Any]:
    """Axes of the loss panel and of the AUC panel."""
    known = any(w.served.auc is not None or w.static.auc is not None for w in record.summary.quality)
    auc: dict[str, Any] = {"domain": [0.0, 0.135], "title": {"text": "AUC"}, "nticks": 4}
    return {
        "yaxis3": {"domain": [0.18, 0.415], "title": {"text": "log-loss (nats per row)"}, "tickformat": ".3~f"},
        "yaxis4": auc if known else auc | {"range": [0, 1]},
    }


def quality_traces(record: LoopRecord) -> list[dict[str, Any]]:
    """Daily values faint, seven-day means strong, the difference shaded; nothing without quality windows."""
    windows = windows_of(record)
    if not windows:
        return []
    served = rolling(windows, lambda w: w.served.log_loss)
    static = rolling(windows, lambda w: w.static.log_loss)
    served_auc, static_auc = rolling(windows, lambda w: w.served.auc), rolling(windows, lambda w: w.static.auc)
    texts = [_text(*values) for values in zip(windows, served, static, served_auc, static_auc, strict=True)]
    x = [(w.window_start.astimezone(UTC) + _NOON).strftime("%Y-%m-%d %H:%M:%S") for w in windows]
    return [
        *_shading(x, served, static),
        _faint(x, windows, lambda w: w.static.log_loss, VERMILLION),
        _faint(x, windows, lambda w: w.served.log_loss, BLUE),
        _mean(x, static, "first version, 7-day mean", VERMILLION, "y3", texts, dash="5px,2px"),
        _mean(x, served, "served, 7-day mean", BLUE, "y3", texts),
        _mean(x, static_auc, "first version", VERMILLION, "y4", texts, dash="5px,2px") | {"showlegend": False},
        _mean(x, served_auc, "served", BLUE, "y4", texts) | {"showlegend": False},
    ]


def _shading(x: list[str], served: Sequence[float | None], static: Sequence[float | None]) -> list[dict[str, Any]]:
    """Two areas from the served line: up to the static line where that is worse, down to it where that is better."""
    pairs = [(a or 0.0, b or 0.0) for a, b in zip(served, static, strict=True)]
    base: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "yaxis": "y3",
        "hoverinfo": "skip",
        "line": {"width": 0},
    }
    edge = base | {"y": [round(a, 5) for a, _ in pairs], "showlegend": False}
    above, below = [round(max(a, b), 5) for a, b in pairs], [round(min(a, b), 5) for a, b in pairs]
    filled = base | {"fill": "tonexty", "legend": "legend3"}
    return [
        edge,
        filled | {"y": above, "fillcolor": BLUE_TINT, "name": "retraining won"},
        edge,
        filled | {"y": below, "fillcolor": VERMILLION_TINT, "name": "retraining lost"},
    ]


def _faint(x: list[str], windows: Sequence[QualityWindow], read: Read, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "x": x, "y": [read(window) for window in windows], "yaxis": "y3",
        "line": {"color": colour, "width": 1}, "opacity": 0.3, "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip


def _mean(
    x: list[str], y: Sequence[float | None], name: str, colour: str, axis: str, texts: list[str], dash: str = "solid"
) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines+markers", "marker": {"size": 3}, "x": x, "y": [None if v is None else round(v, 5) for v in y], "yaxis": axis,
        "name": name, "legend": "legend3", "line": {"color": colour, "width": 2.2, "dash": dash},
        "text": texts, "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _text(
    window: QualityWindow,
    served: float | None,
    static: float | None,
    served_auc: float | None,
    static_auc: float | None,
) -> str:
    lines = [f"<b>7 days to {words.day(window.window_start)}</b>"]
    if served is not None and static is not None:
        lines.append(f"log-loss: served {served:.4f}, first version {static:.4f} ({words.signed(served - static)})")
    if served_auc is not None and static_auc is not None:
        lines.append(f"AUC: served {served_auc:.3f}, first version {static_auc:.3f}")
    day = f"this day: served {window.served.log_loss:.4f}, first version {window.static.log_loss:.4f}"
    return "<br>".join([*lines, f"{day}, {window.rows:,} rows"])
