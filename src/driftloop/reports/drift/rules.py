"""Which rule fired, and how far each is from its limit."""

from __future__ import annotations

from driftloop.monitoring.report import Verdict
from driftloop.reports.drift.marks import DASH, bullet, number, scale_top
from driftloop.reports.drift.record import Rule, WindowReport
from driftloop.reports.markup import Html, join, tag

EXPLANATIONS = {
    "input drift": "how far the inputs have moved, weighted by what the model uses",
    "prediction drift": "how far the model's output has moved",
    "estimated loss": "loss expected from the scores themselves, without labels",
    "observed quality": "loss that labels show and recalibration would win back",
}
_SCORES = {
    "input drift": "input_drift", "prediction drift": "prediction_drift", "estimated loss": "estimated_loss",
    "observed quality": "quality_loss",
}  # fmt: skip
"""Where the report keeps the score of each rule: format 1 kept nothing else."""


def rules_of(report: WindowReport) -> tuple[Rule, ...]:
    """All rules of a report, whatever its format; those that were not judged have no score."""
    judged = {rule.name: rule for rule in report.rules}
    names = dict.fromkeys([*_SCORES, *judged])
    return tuple(judged.get(name) or _unwritten(name, report) for name in names)


def _unwritten(name: str, report: WindowReport) -> Rule:
    score: float | None = getattr(report, _SCORES[name])
    return Rule(name=name, score=score, fired=score is not None and score >= 1)


def rules_section(report: WindowReport) -> Html:
    """One bullet chart a rule, all on one scale, the limit marked."""
    rules = rules_of(report)
    if all(rule.score is None for rule in rules):
        return tag("p", _silence(report), class_="empty")
    top = scale_top(rule.score for rule in rules)
    axis = tag(
        "div",
        tag("span", "0"), tag("span", "1.0 = limit", class_="at-limit"), tag("span", f"{top:.1f}"),
        class_="axis", style=f"--limit:{100 / top:.2f}%", aria_hidden="true",
    )  # fmt: skip
    rows = [_row(rule, top) for rule in rules]
    return join(tag("ul", rows, class_="rules", role="list"), tag("div", axis, class_="rule-axis"))


def _silence(report: WindowReport) -> str:
    if report.verdict is Verdict.BROKEN_UPSTREAM:
        return "Nothing is held against a limit while the feed is broken: no alarm is raised, nothing is retrained."
    return "No rule was judged: there is too little to hold against a limit."


def _row(rule: Rule, top: float) -> Html:
    return tag(
        "li",
        tag("div", tag("b", rule.name), tag("span", EXPLANATIONS.get(rule.name, ""), class_="small"), class_="rule-name"),
        bullet(rule.score, top),
        tag("div", tag("b", distance(rule)), tag("span", _measured(rule), class_="small"), class_="rule-score"),
        class_="fired" if rule.fired else None,
    )  # fmt: skip


def distance(rule: Rule) -> str:
    """How far from the limit, in words."""
    if rule.score is None:
        return "not judged"
    state = "fired" if rule.fired else "quiet"
    return f"{rule.score:.2f} \N{MULTIPLICATION SIGN} limit: {state}"


def _measured(rule: Rule) -> str:
    if rule.value is None and rule.limit is None:
        return ""
    limit = f", limit {number(rule.limit, 3)}" if rule.limit is not None else ""
    return f"{number(rule.value, 3) if rule.value is not None else DASH}{limit} {rule.unit}".strip()
