"""The head of the page: the verdict in large, why, when, and what to do next."""

from __future__ import annotations

import re
from datetime import timedelta

from driftloop.monitoring.report import Verdict
from driftloop.reports import words
from driftloop.reports.drift.marks import DASH, SIGNS, verdict_class
from driftloop.reports.drift.record import WindowReport
from driftloop.reports.drift.rules import rules_of
from driftloop.reports.markup import Html, join, tag
from driftloop.reports.record import Interval

MEANINGS = {
    Verdict.STABLE: "The traffic looks like what this version was trained on.",
    Verdict.SHIFTED: "The world has moved: more than unchanged traffic would show.",
    Verdict.BROKEN_UPSTREAM: "A fault of the feed, not a change of the world. Nothing is retrained on it.",
    Verdict.NOT_ENOUGH_DATA: "There is too little to judge.",
}

_BEGINNINGS = frozenset(
    ["inputs", "predictions", "loss", "every", "the", "version", "retrain", "look", "rows", "then", "check"]
)
"""First words of the library's own reasons and advice; another first word may be a column's name."""
_COMMAND = re.compile(r"`?(driftloop [a-z]+(?: [a-z0-9_]+)?(?: --[a-z]+ (?:\.\.\.|[\w:-]+))*)`?")


def head(report: WindowReport, links: list[tuple[str, str]]) -> Html:
    """Everything that should be seen without scrolling."""
    kind = verdict_class(report.verdict)
    title = tag(
        "h1",
        tag("span", SIGNS[report.verdict], class_="sign", aria_hidden="true"),
        " ",
        str(report.verdict).capitalize(),
    )
    return tag(
        "header",
        tag("p", f"driftloop, model {report.model}, version {report.version}", class_="kicker"),
        tag(
            "div",
            tag("div", title, tag("p", when(report.window), class_="when"), class_="said"),
            tag("div", tag("p", MEANINGS[report.verdict], class_="meaning"), why(report), class_="why"),
            class_=f"verdict {kind}",
        ),
        facts(report),
        tag("nav", [tag("a", text, href=f"#{place}") for place, text in links], aria_label="Sections"),
    )  # fmt: skip


def when(window: Interval) -> str:
    """``3 July 2013`` for a day, otherwise the interval."""
    length = window.end - window.start
    if length == timedelta(days=1) and window.start.hour == window.start.minute == 0:
        return f"{words.day(window.start)} (UTC)"
    last = f"{window.end:%H:%M}" if window.end.date() == window.start.date() else words.minute(window.end)
    return f"{words.minute(window.start)} to {last} (UTC)"


def why(report: WindowReport) -> Html:
    """The reasons as sentences."""
    sentences = [sentence(reason) for reason in report.reasons]
    if len(sentences) == 1:
        return tag("p", sentences[0], class_="reason")
    return tag("ul", [tag("li", text) for text in sentences], class_="reason")


def sentence(text: str) -> Html:
    """With a capital unless it begins with a column's name, with a full stop, and with commands as code."""
    first = text.partition(" ")[0].rstrip(":")
    if first in _BEGINNINGS:
        text = text[:1].upper() + text[1:]
    parts = _COMMAND.split(text if text.endswith((".", "!", "?")) else f"{text}.")
    return join(tag("code", part) if number % 2 else part for number, part in enumerate(parts))


def facts(report: WindowReport) -> Html:
    """The few numbers beside the verdict."""
    pairs = [
        ("rows in this window", f"{report.rows:,}"),
        ("labelled rows", f"{report.labelled_rows:,}" if report.labelled_rows else DASH),
        ("rules fired", _fired(report)),
        ("baseline", report.baseline or DASH),
    ]
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs], class_="facts")


def _fired(report: WindowReport) -> str:
    judged = [rule for rule in rules_of(report) if rule.score is not None]
    return f"{sum(1 for rule in judged if rule.fired)} of {len(judged)}" if judged else "none was judged"


def steps(report: WindowReport) -> Html:
    """What to do next, in order."""
    chosen = report.next_steps or usual_steps(report)
    return tag("ol", [tag("li", sentence(step)) for step in chosen], class_="steps")


def usual_steps(report: WindowReport) -> tuple[str, ...]:
    """For a report without advice of its own: those of format 1, and where there is nothing to do."""
    retrain = f"driftloop retrain {report.model} --reason ..."
    names = ", ".join(feature.name for feature in report.features[:3])
    if report.verdict is Verdict.STABLE:
        return ("Nothing needs to be done.",)
    if report.verdict is Verdict.SHIFTED:
        look = f"Ask whether the leading causes are expected: {names}." if names else "Look at the predictions below."
        lasts = "If it lasts for several windows, the alarm asks for a retraining by itself, as the model file allows."
        return (look, lasts, f"To retrain without waiting: {retrain}")
    if report.verdict is Verdict.BROKEN_UPSTREAM:
        meant = "If it is meant to be like this from now on, change data.features in the model file and retrain"
        return ("Repair what delivers the columns that are named above.", f"{meant}: {retrain}")
    return ("Wait: the reason above says what is still missing.",)
