"""Small drawings that the sections share; each stands beside its number in words, so screen readers skip it."""

from __future__ import annotations

from collections.abc import Iterable

from driftloop.monitoring.report import Verdict
from driftloop.reports.markup import Html, tag

LEAST_TOP, MOST_TOP = 2.0, 5.0
DASH = "\N{EN DASH}"
SIGNS = {
    Verdict.STABLE: "\N{BLACK CIRCLE}",
    Verdict.SHIFTED: "\N{BLACK UP-POINTING TRIANGLE}",
    Verdict.BROKEN_UPSTREAM: "\N{BLACK DIAMOND}",
    Verdict.NOT_ENOUGH_DATA: "\N{WHITE CIRCLE}",
}
"""Beside the word, so that colour is never needed."""


def verdict_class(verdict: Verdict) -> str:
    """Class of the style sheet."""
    return str(verdict).replace(" ", "-")


def scale_top(scores: Iterable[float | None]) -> float:
    """Score at the right end of bullet charts: the highest one, within bounds that keep the limit visible."""
    highest = max((score for score in scores if score is not None), default=0.0)
    return max(LEAST_TOP, min(MOST_TOP, 1.1 * highest))


def bullet(score: float | None, top: float) -> Html:
    """A score on a band that ends at the limit; what lies beyond the scale ends in an arrow."""
    limit = 100 / top
    parts = [tag("rect", x=0, y=0, width=f"{limit:.2f}", height=12, class_="within")]
    parts.append(tag("rect", x=f"{limit:.2f}", y=0, width=f"{100 - limit:.2f}", height=12, class_="beyond"))
    if score is not None:
        width = 100 * min(1.0, max(0.0, score) / top)
        parts.append(tag("rect", x=0, y=3.5, width=f"{max(0.4, width):.2f}", height=5, class_=_level(score)))
    parts.append(tag("line", x1=f"{limit:.2f}", x2=f"{limit:.2f}", y1=0, y2=12, class_="limit"))
    drawn = _stretched(parts, "bullet", 12)
    more = score is not None and score > top
    return tag("span", drawn, tag("span", "\N{BLACK RIGHT-POINTING POINTER}", class_="more") if more else None,
               class_="gauge", aria_hidden="true")  # fmt: skip


def _level(score: float) -> str:
    return "over" if score >= 1 else "under"


def share_bar(share: float) -> Html:
    """A share from 0 to 1."""
    width = 100 * max(0.0, min(1.0, share))
    return _stretched([tag("rect", width=f"{width:.2f}", height=8)], "bar", 8)


def pair_bar(before: float, after: float, top: float, *, moved: bool = False) -> Html:
    """A share before (wide) and after (narrow, in front), as parts of ``top``."""
    behind = tag("rect", y=0, width=f"{100 * before / top:.2f}", height=12, class_="before")
    front = tag("rect", y=3, width=f"{100 * after / top:.2f}", height=6, class_="after moved" if moved else "after")
    return _stretched([behind, front], "pair-bar", 12)


def _stretched(parts: list[Html], kind: str, height: int) -> Html:
    return tag("svg", parts, viewBox=f"0 0 100 {height}", preserveAspectRatio="none", class_=kind, aria_hidden="true")


def percent(share: float | None) -> str:
    """``12%``, ``3.4%``, ``0%``; one decimal where it matters."""
    if share is None:
        return DASH
    if share == 0 or share >= 0.0995:
        return f"{share * 100:.0f}%"
    return f"{share * 100:.1f}%" if share >= 0.0005 else "<0.1%"


def number(value: float | None, digits: int = 4) -> str:
    """A quantity with so many significant digits; a dash where there is none."""
    if value is None:
        return DASH
    if abs(value) >= 10_000 and abs(value) < 1e15:
        return f"{value:,.0f}".replace("-", "\N{MINUS SIGN}")
    return f"{value:.{digits}g}".replace("-", "\N{MINUS SIGN}")


def score_text(score: float | None) -> str:
    """``1.42``; a dash where there is none."""
    return DASH if score is None else f"{score:.2f}"


def meter(text: str, drawing: Html) -> Html:
    """A number with its drawing in one line."""
    return tag("span", tag("span", text), drawing, class_="meter")
