"""Tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from driftloop.monitoring.report import Verdict
from driftloop.reports import words
from driftloop.reports.gate_plots import evaluation_name, evaluations_of
from driftloop.reports.markup import Child, Html, join, tag
from driftloop.reports.measures import (
    alarm_intervals,
    alarm_signal,
    episodes,
    monday,
    reports_of,
    version_label,
    weighted,
    windows_of,
)  # fmt: skip
from driftloop.reports.outcomes import outcome_of
from driftloop.reports.record import Episode, Evaluation, LoopRecord, QualityWindow, Report, SliceScore
from driftloop.retraining.episode import Status

SIGNS = {
    Status.PROMOTED: "\N{BLACK CIRCLE}",
    Status.REJECTED: "\N{MULTIPLICATION X}",
    Status.REFUSED: "\N{WHITE CIRCLE}",
    Status.DEFERRED: "\N{WHITE DIAMOND}",
    Status.MERGED: "\N{WHITE UP-POINTING TRIANGLE}",
    Status.FAILED: "\N{BLACK DIAMOND}",
    Status.ROLLED_BACK: "\N{BLACK LEFT-POINTING TRIANGLE}",
}
"""A sign beside the word, the same as in the timeline, so that colour is never needed."""


def table(name: str, caption: str, heads: Sequence[str], rows: Iterable[Sequence[Child]], numbers: str = "") -> Html:
    """A table that scrolls by itself where it is too wide; the first cell of a row is its header.

    Args:
        numbers: positions of the columns of numbers, e.g. "234".
    """
    kinds = {int(position) for position in numbers}
    head = tag("tr", [tag("th", text, scope="col", class_=_kind(i, kinds)) for i, text in enumerate(heads)])
    body = [
        tag(
            "tr",
            [
                tag("td", cell, class_=_kind(i, kinds)) if i else tag("th", cell, scope="row")
                for i, cell in enumerate(row)
            ],
        )
        for row in rows
    ]
    label = tag("caption", caption, id=f"{name}-caption")
    inner = tag("table", label, tag("thead", head), tag("tbody", body), id=name)
    return tag("div", inner, class_="scroll", role="region", aria_labelledby=f"{name}-caption", tabindex=0)


def _kind(position: int, numbers: set[int]) -> str | None:
    return "number" if position in numbers else None


def episodes_table(record: LoopRecord) -> Html:
    """Every request for a retraining and what became of it."""
    heads = ["Opened (UTC)", "Trigger", "Why", "Result", "What became of it", "Version", "Execution"]
    rows = [_episode_row(episode, record) for episode in episodes(record)]
    return table("episodes-table", "Episodes in time order", heads, rows)


def _episode_row(episode: Episode, record: LoopRecord) -> list[Child]:
    execution = episode.pipeline_execution_arn.rsplit("/", maxsplit=1)[-1]
    return [
        words.minute(episode.opened_at),
        words.trigger(episode.trigger),
        episode.reason,
        tag(
            "span",
            f"{SIGNS.get(episode.status, '')} {words.status(episode.status)}".strip(),
            class_=f"status {episode.status}",
        ),
        outcome_of(episode, record),
        version_label(episode.model_package_arn),
        tag("code", execution, title=episode.pipeline_execution_arn) if execution else "\N{EN DASH}",
    ]


def gate_table(record: LoopRecord) -> Html:
    """What the gate saw and said."""
    heads = [
        "Evaluation", "Decision", "Rows", "Champion", "Challenger", "Improvement", "Lower bound", "Margin", "AUC", "Best slice", "Worst slice",
    ]  # fmt: skip
    rows = [_gate_row(evaluation) for evaluation in evaluations_of(record)]
    caption = "Log-loss (nats per row) on the holdout of each evaluation; improvement, bound, margin and slices in the metric of the gate"
    return table("gate-table", caption, heads, rows, "2345678")


def _gate_row(evaluation: Evaluation) -> list[Child]:
    details, gate = evaluation.evaluation, evaluation.evaluation.gate
    best, worst = best_and_worst(evaluation)
    auc = (details.champion.auc if details.champion else None, details.challenger.auc)
    return [
        evaluation_name(evaluation),
        join(
            tag("span", gate.decision, class_=f"status {'promoted' if gate.decision == 'promote' else 'rejected'}"),
            ": ",
            gate.reason,
        ),
        f"{details.rows:,}",
        _number(details.champion.log_loss if details.champion else None),
        _number(details.challenger.log_loss),
        _signed(gate.advantage),
        _signed(gate.lower_bound),
        _number(gate.margin),
        " \N{RIGHTWARDS ARROW} ".join(f"{value:.3f}" for value in auc if value is not None),
        best,
        worst,
    ]


def best_and_worst(evaluation: Evaluation) -> tuple[Child, Child]:
    """The slices where the challenger gains most and least over the champion; dashes without a champion."""
    sign = -1 if evaluation.evaluation.metric == "log_loss" else 1
    gains = [
        (sign * (score.challenger - score.champion), f"{column}\N{NO-BREAK SPACE}{value}", score)
        for column, values in sorted(evaluation.evaluation.slices.items())
        for value, score in sorted(values.items())
        if score.champion is not None and score.challenger is not None
    ]
    if not gains:
        return "\N{EN DASH}", "\N{EN DASH}"
    ranked = sorted(gains, key=lambda gain: (-gain[0], gain[1]))
    return _slice(ranked[0]), _slice(ranked[-1])


def _slice(gain: tuple[float, str, SliceScore]) -> Html:
    return tag("span", f"{gain[1]} {words.signed(gain[0])}", title=f"{gain[2].rows:,} rows")


def _number(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else words.signed(value)


def alarms_table(record: LoopRecord) -> Html:
    """Time in alarm."""
    rows = [
        [
            words.minute(interval.start),
            alarm_signal(interval.alarm, record.summary.model),
            words.minute(interval.end) if interval.end else "still in alarm",
            interval.reason,
        ]
        for interval in alarm_intervals(record.alarms)
    ]
    return table("alarms-table", "Times in ALARM (UTC)", ["From", "Alarm", "Until", "Reason"], rows)


def windows_table(record: LoopRecord) -> Html:
    """Windows with something to say."""
    rows = [_window_row(report) for report in reports_of(record) if report.verdict is not Verdict.STABLE]
    heads = ["Window", "Version", "Verdict", "Input drift", "Prediction drift", "Quality loss", "Reasons"]
    return table("windows-table", "Windows that were not stable; scores are value / limit", heads, rows, "345")


def _window_row(report: Report) -> list[Child]:
    scores = (report.input_drift, report.prediction_drift, report.quality_loss)
    return [
        words.day(report.window.start), f"v{report.version}", str(report.verdict),
        *("\N{EN DASH}" if score is None else f"{score:.2f}" for score in scores), "; ".join(report.reasons),
    ]  # fmt: skip


def weeks_table(record: LoopRecord) -> Html:
    """The lower half of the timeline in numbers."""
    weeks: dict[str, list[QualityWindow]] = {}
    for window in windows_of(record):
        weeks.setdefault(words.day(monday(window.window_start)), []).append(window)
    rows = [[week, *_week(windows)] for week, windows in weeks.items()]
    heads = ["Week of", "Rows", "Served log-loss", "First version", "Difference", "Served AUC", "First version"]
    return table("weeks-table", "Served against the first version by week, on the same rows", heads, rows, "123456")


def _week(windows: Sequence[QualityWindow]) -> list[Child]:
    served, static = weighted(windows, lambda w: w.served.log_loss), weighted(windows, lambda w: w.static.log_loss)
    auc = (weighted(windows, lambda w: w.served.auc), weighted(windows, lambda w: w.static.auc))
    difference = None if served is None or static is None else served - static
    rows = sum(window.rows for window in windows)
    return [f"{rows:,}", _number(served), _number(static), _signed(difference), *(_number(value) for value in auc)]


def stacks_table(record: LoopRecord) -> Html:
    """What was deployed."""
    rows = [[stack.name, f"{stack.resources:,}", tag("code", stack.status)] for stack in record.summary.stacks]
    return table("stacks-table", "CloudFormation stacks", ["Stack", "Resources", "Status"], rows, "1")


def timings_table(record: LoopRecord) -> Html:
    """Where the time went."""
    timings = record.summary.timings_s
    days = (record.summary.data.last_day - record.summary.data.first_day).days + 1
    steps = [
        ("start the embedded AWS", timings.boot), ("synthesise the templates", timings.synth), ("deploy the stacks", timings.deploy),
        ("first training and deployment", timings.first_training), (f"replay {words.count(days, 'day')} of traffic", timings.replay),
        ("all together", timings.total),
    ]  # fmt: skip
    rows = [[name, words.seconds(value), _bar(value / timings.total if timings.total else 0)] for name, value in steps]
    return table("timings-table", "Time taken on this machine", ["Step", "Time", "Share of the whole"], rows, "1")


def _bar(share: float) -> Html:
    width = max(0.0, min(1.0, share)) * 100
    return tag(
        "svg",
        tag("rect", width=f"{width:.1f}", height=8),
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
    )


def folded(summary: str, content: Html) -> Html:
    """Content that opens on demand."""
    return tag("details", tag("summary", summary), join(content))
