from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]
import pytest

from driftloop.monitoring.report import Verdict
from driftloop.reports.feature_heat import feature_weeks, heat_map
from driftloop.reports.gate_plots import advantage_plot
from driftloop.reports.histograms import CELLS, most_drifted, shown_cells
from driftloop.reports.measures import alarm_intervals
from driftloop.reports.page import plots_of
from driftloop.reports.record import FeatureScore, LoopRecord
from driftloop.reports.timeline import FLOOR, timeline
from tests.unit.reports.records import hostile_json, record_json


def _coloured(value: Any) -> Any:
    """Colours are names of style sheet variables until the page draws; plotly's own check wants colours."""
    return json.loads(
        json.dumps(value), object_hook=lambda d: {k: "#000" if str(v).startswith("--") else v for k, v in d.items()}
    )


@pytest.mark.parametrize("text", [record_json, hostile_json])
def test_plotly_knows_every_attribute(text: Any) -> None:
    for plot in plots_of(LoopRecord.from_json(text())).values():
        go.Figure(_coloured(plot))


def _named(plot: dict[str, Any], name: str) -> dict[str, Any]:
    return next(trace for trace in plot["data"] if trace.get("name") == name)


def test_scores_are_those_of_the_reports(record: LoopRecord) -> None:
    drawn = _named(timeline(record), "input drift")
    expected = [None if r.input_drift is None else max(FLOOR, round(r.input_drift, 4)) for r in record.reports]
    assert drawn["y"] == expected
    assert drawn["x"][0] == "2013-06-01 12:00:00"


def test_a_broken_window_has_a_verdict_and_no_score(record: LoopRecord) -> None:
    broken = [report for report in record.reports if report.verdict is Verdict.BROKEN_UPSTREAM]
    assert broken
    assert len(_named(timeline(record), "broken upstream")["x"]) == len(broken)
    assert all(report.input_drift is None for report in broken)


def test_every_episode_and_alarm_is_drawn_with_its_reason(record: LoopRecord) -> None:
    plot = timeline(record)
    marks = [trace for trace in plot["data"] if trace.get("mode") == "markers"]
    assert sum(len(trace["x"]) for trace in marks) == len(record.summary.episodes)
    failed = _named(plot, "failed")["text"][0].replace("<br>", " ")
    assert "step Train failed: CapacityError: no ml.m5.large is free" in failed
    bars = [trace for trace in plot["data"] if trace.get("name") == "in alarm"]
    assert sum(len(trace["x"]) for trace in bars) == len(alarm_intervals(record.alarms))


def test_bands_of_two_alarms_at_once_do_not_overlap(record: LoopRecord) -> None:
    bands = [shape for shape in timeline(record)["layout"]["shapes"] if shape["type"] == "rect"]
    assert len(bands) > 3
    assert all(sooner["x1"] < later["x0"] for sooner, later in pairwise(bands))


def test_promotions_are_labelled_lines(record: LoopRecord) -> None:
    layout = timeline(record)["layout"]
    lines = [shape for shape in layout["shapes"] if shape["type"] == "line" and shape["yref"] == "paper"]
    assert len(lines) == len(layout["annotations"]) == len(record.summary.promotions)
    assert [a["text"] for a in layout["annotations"]][:2] == ["<b>v1</b>", "<b>v2</b>"]


def test_shading_lies_between_served_and_static(record: LoopRecord) -> None:
    plot = timeline(record)
    served, static = _named(plot, "served, 7-day mean")["y"], _named(plot, "first version, 7-day mean")["y"]
    assert _named(plot, "retraining won")["y"] == [max(pair) for pair in zip(served, static, strict=True)]
    assert _named(plot, "retraining lost")["y"] == [min(pair) for pair in zip(served, static, strict=True)]


def test_hover_texts_cannot_hold_markup_from_the_record() -> None:
    for plot in plots_of(LoopRecord.from_json(hostile_json())).values():
        texts = [trace.get("text") for trace in plot["data"]]
        assert "<script" not in json.dumps(texts)
        assert "<img" not in json.dumps(plot)


def test_heat_map_shows_the_highest_score_of_each_week(record: LoopRecord) -> None:
    weeks = feature_weeks(record)
    carrier = weeks["carrier"]
    heat = heat_map(record)["data"][0]
    row = list(weeks).index("carrier")
    assert [value for value in heat["z"][row] if value is not None] == [round(w.highest, 3) for w in carrier.values()]
    assert max(week.highest for week in carrier.values()) > 1
    assert sum(len(week.scores) for week in carrier.values()) == len(record.reports)


def test_a_week_without_reports_is_a_gap(record: LoopRecord) -> None:
    thinned = record.model_copy(update={"reports": record.reports[:9] + record.reports[30:40]})
    heat = heat_map(thinned)["data"][0]
    assert None in heat["z"][0]
    assert len(heat["x"]) == len(heat["z"][0])


def test_advantage_is_drawn_once_per_evaluation_by_its_decision(record: LoopRecord) -> None:
    plot = advantage_plot(record)
    promoted, rejected = _named(plot, "improvement: promoted")["x"], _named(plot, "improvement: rejected")["x"]
    for evaluation, yes, no in zip(record.evaluations, promoted, rejected, strict=True):
        gate = evaluation.evaluation.gate
        assert (yes, no) == ((gate.advantage, None) if gate.decision == "promote" else (None, gate.advantage))


def test_units_follow_the_metric_of_the_gate(record: LoopRecord) -> None:
    values = json.loads(record_json())
    for evaluation in values["evaluations"]:
        evaluation["evaluation"]["metric"] = "auc"
    by_auc = advantage_plot(LoopRecord.from_json(json.dumps(values)))
    assert by_auc["layout"]["xaxis"]["title"]["text"] == "improvement (AUC)"
    assert advantage_plot(record)["layout"]["xaxis"]["title"]["text"].endswith("(nats per row)")


def test_most_drifted_windows_are_apart_and_include_the_highest(record: LoopRecord) -> None:
    chosen = most_drifted(record.reports)
    highest = max(record.reports, key=lambda r: r.input_drift or 0)
    assert highest in chosen
    assert all((b.window.start - a.window.start).days >= 14 for a, b in pairwise(chosen))


def test_of_many_cells_the_most_changed_are_shown_and_nothing_is_lost() -> None:
    before = [1 / 40] * 40
    after = [*before[:38], 0.0, 2 / 40]
    cells = shown_cells(
        FeatureScore(
            name="dest",
            importance=1,
            score=1,
            cause=1,
            cells=tuple(map(str, range(40))),
            before=tuple(before),
            after=tuple(after),
        )
    )
    assert len(cells) == CELLS
    assert {"38", "39", "28 others"} <= {cell.name for cell in cells}
    assert sum(cell.before for cell in cells) == pytest.approx(1)
    assert sum(cell.after for cell in cells) == pytest.approx(1)
