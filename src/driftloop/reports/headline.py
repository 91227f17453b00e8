"""The sentence that says it all, and the few numbers beside it."""

from __future__ import annotations

from collections import Counter

from driftloop.reports import words
from driftloop.reports.markup import Html, tag
from driftloop.reports.measures import (
    Comparison,
    alarm_intervals,
    compare,
    episodes,
    gain_interval,
    retrainings,
    windows_of,
)  # fmt: skip
from driftloop.reports.record import LoopRecord
from driftloop.retraining.episode import Status

_ENDS = (Status.PROMOTED, Status.REJECTED, Status.FAILED, Status.ROLLED_BACK)
_ANSWERS = (Status.REFUSED, Status.DEFERRED, Status.MERGED)


def headline(record: LoopRecord) -> str:
    """One sentence in words with the numbers."""
    return f"{_quality_words(compare(windows_of(record)))}; {_retraining_words(record)}."


def _quality_words(comparison: Comparison | None) -> str:
    if comparison is None:
        return "No labelled rows yet, so nothing can be said about quality"
    percent = abs(comparison.gain) * 100
    how = "no difference" if percent < 0.05 else f"{percent:.1f}% {'better' if comparison.gain > 0 else 'worse'}"
    losses = f"{comparison.served:.3f} against {comparison.static:.3f} without retraining"
    return f"Served log-loss {losses}: {how} on the same {comparison.rows:,} rows"


def _retraining_words(record: LoopRecord) -> str:
    run = retrainings(record)
    unstarted = Counter(episode.status for episode in episodes(record) if episode.status in _ANSWERS)
    ends = Counter(episode.status for episode in run)
    parts = [f"{ends[status]} {words.status(status)}" for status in _ENDS if ends[status]]
    still_open = len(run) - sum(ends[status] for status in _ENDS)
    parts += [f"{still_open} still open"] if still_open else []
    told = ", ".join([words.count(len(run), "retraining") if run else "no retraining", *parts])
    return told + (f"; {_further(unstarted)}" if unstarted else "")


def _further(unstarted: Counter[Status]) -> str:
    """Requests that were answered without a retraining of their own."""
    requests = words.count(unstarted.total(), "further request")
    answers = [status for status in _ANSWERS if unstarted[status]]
    if len(answers) == 1:
        return f"{requests} {words.status(answers[0])}"
    return f"{requests}: {', '.join(f'{unstarted[status]} {words.status(status)}' for status in answers)}"


def certainty(record: LoopRecord) -> str:
    """How sure the difference is; empty where there is too little to say."""
    interval = gain_interval(windows_of(record))
    if interval is None:
        return ""
    low, high = (words.signed(value * 100, 1) for value in interval)
    return f"Drawing whole weeks again puts the improvement between {low}% and {high}% (95% interval, block bootstrap)."


def facts(record: LoopRecord) -> Html:
    """The few numbers beside the sentence."""
    comparison = compare(windows_of(record))
    data = record.summary.data
    days = (data.last_day - data.first_day).days + 1
    pairs = [
        ("replayed", f"{data.rows_replayed:,} rows, {words.count(days, 'day')}"),
        ("period", f"{words.day(data.first_day)} to {words.day(data.last_day)}"),
        ("AUC, served against first version", _auc(comparison)),
        ("alarms raised", f"{len(alarm_intervals(record.alarms)):,}"),
        ("whole run", words.seconds(record.summary.timings_s.total)),
    ]
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs], class_="facts")


def _auc(comparison: Comparison | None) -> str:
    if comparison is None or comparison.served_auc is None or comparison.static_auc is None:
        return "\N{EN DASH}"
    return f"{comparison.served_auc:.3f} against {comparison.static_auc:.3f}"
