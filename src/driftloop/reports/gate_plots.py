"""Champion against challenger, one line per evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from driftloop.reports import words
from driftloop.reports.measures import version_label
from driftloop.reports.palette import BLUE, GREY, VERMILLION
from driftloop.reports.record import Evaluation, LoopRecord
from driftloop.reports.timeline import Plot

_ROW = 34


def evaluations_of(record: LoopRecord) -> list[Evaluation]:
    """Evaluations in order of their holdout."""
    return sorted(record.evaluations, key=lambda e: (e.evaluation.holdout.end, e.episode_id))


def evaluation_name(evaluation: Evaluation) -> str:
    """``v3, 12 May``, or ``rejected, 12 May`` where no version was registered."""
    end = evaluation.evaluation.holdout.end
    who = version_label(evaluation.model_package_arn) if evaluation.model_package_arn else "rejected"
    return f"{who}, {end.day} {end:%b}"


def loss_plot(record: LoopRecord) -> Plot:
    """Log-loss of both versions and of the constant base rate on the holdout."""
    found = evaluations_of(record)
    losses = [e.evaluation.challenger.log_loss for e in found]
    champions = [e.evaluation.champion.log_loss if e.evaluation.champion else None for e in found]
    rates = [e.evaluation.baseline_rate_log_loss for e in found]
    bars = [
        _segment(row, champion, loss)
        for row, (champion, loss) in enumerate(zip(champions, losses, strict=True))
        if champion is not None
    ]
    data = [
        *bars,
        _dots("base rate alone", rates, "line-ns-open", GREY, found, _loss_text),
        _dots("champion", champions, "circle-open", VERMILLION, found, _loss_text),
        _dots("challenger", losses, "circle", BLUE, found, _loss_text),
    ]
    return {"data": data, "layout": _layout(found, "log-loss on the holdout (nats per row)")}


def advantage_plot(record: LoopRecord) -> Plot:
    """Mean improvement with its lower bound, against zero and the margin."""
    found = evaluations_of(record)
    gates = [e.evaluation.gate for e in found]
    bounds = [
        _segment(row, gate.lower_bound, gate.advantage)
        for row, gate in enumerate(gates)
        if gate.lower_bound is not None and gate.advantage is not None
    ]
    promoted = [g.advantage if g.decision == "promote" else None for g in gates]
    rejected = [g.advantage if g.decision != "promote" else None for g in gates]
    data = [
        *bounds,
        _dots("margin", [g.margin for g in gates], "line-ns-open", GREY, found, _gate_text),
        _dots("lower bound", [g.lower_bound for g in gates], "line-ns-open", BLUE, found, _gate_text, size=9),
        _dots("improvement: promoted", promoted, "circle", BLUE, found, _gate_text),
        _dots("improvement: rejected", rejected, "x", VERMILLION, found, _gate_text),
    ]
    units = sorted({words.unit(e.evaluation.metric) for e in found})
    layout = _layout(found, f"improvement ({', '.join(units)})")
    zero = {
        "type": "line",
        "xref": "x",
        "x0": 0,
        "x1": 0,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": GREY, "width": 1.5},
    }
    return {"data": data, "layout": layout | {"shapes": [zero]}}


def _segment(row: int, start: float | None, end: float | None) -> Plot:
    return {
        "type": "scatter", "mode": "lines", "x": [start, end], "y": [row, row], "line": {"color": GREY, "width": 2},
        "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip


def _dots(
    name: str, x: Sequence[float | None], symbol: str, colour: str, found: Sequence[Evaluation],
    text: Callable[[Evaluation], str], size: int = 12,
) -> Plot:  # fmt: skip
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": list(x), "y": list(range(len(x))),
        "marker": {"symbol": symbol, "color": colour, "size": size, "line": {"width": 2.2, "color": colour}},
        "text": [text(evaluation) for evaluation in found], "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _loss_text(evaluation: Evaluation) -> str:
    details = evaluation.evaluation
    champion = f"champion {details.champion.log_loss:.4f}" if details.champion else "no champion yet"
    losses = f"{champion}, challenger {details.challenger.log_loss:.4f}, base rate {details.baseline_rate_log_loss:.4f}"
    return f"<b>{words.hover(evaluation_name(evaluation))}</b><br>{losses}<br>{details.rows:,} rows"


def _gate_text(evaluation: Evaluation) -> str:
    reason = words.hover(evaluation.evaluation.gate.reason)
    return f"<b>{words.hover(evaluation_name(evaluation))}: {words.hover(evaluation.evaluation.gate.decision)}</b><br>{reason}"


def _layout(found: Sequence[Evaluation], title: str) -> dict[str, Any]:
    rows = len(found)
    return {
        "height": 126 + _ROW * rows,
        "margin": {"l": 108, "r": 16, "t": 56, "b": 48},
        "hovermode": "closest",
        "xaxis": {"title": {"text": title, "standoff": 12}, "zeroline": False},
        "yaxis": {
            "tickvals": list(range(rows)), "ticktext": [words.hover(evaluation_name(e)) for e in found],
            "range": [rows - 0.5, -0.5], "fixedrange": True, "zeroline": False,
        },
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
    }  # fmt: skip
