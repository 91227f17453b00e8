"""The whole page of one window: one HTML file without script and without network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from driftloop.reports import words
from driftloop.reports.drift.causes import causes_section, faults_section
from driftloop.reports.drift.history import history_section
from driftloop.reports.drift.quality import quality_section
from driftloop.reports.drift.record import WindowReport
from driftloop.reports.drift.rules import rules_section
from driftloop.reports.drift.slices import places_section
from driftloop.reports.drift.verdict import head, steps
from driftloop.reports.drift.vocabulary import vocabulary
from driftloop.reports.markup import Html, document_head, join, tag

# Nothing may run and nothing may be fetched, whatever the report holds.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render(report: WindowReport, neighbours: Sequence[WindowReport] = ()) -> str:
    """The page as text; the same reports always give the same text.

    Args:
        neighbours: reports of other windows of the model, for the strip; any order, this window's own may be among them.
    """
    sections = _sections(report, neighbours)
    links = [(place, title) for place, title, _ in sections]
    body = join(head(report, links), tag("main", [_section(*section) for section in sections], id="main"))
    title = f"{report.model}, {words.day(report.window.start)}: {report.verdict}"
    return f"<!doctype html>\n{tag('html', _head(title), tag('body', body), lang='en')}\n"


def _sections(report: WindowReport, neighbours: Sequence[WindowReport]) -> list[tuple[str, str, Html]]:
    faults = [("faults", "What broke", faults_section(report))] if report.faults else []
    return [
        ("next", "What to do next", steps(report)),
        *faults,
        ("rules", "Rules and their limits", rules_section(report)),
        ("causes", "Causes", causes_section(report)),
        ("places", "Where it happens", places_section(report)),
        ("quality", "Performance", quality_section(report)),
        ("history", "The last windows", history_section(report, neighbours)),
        ("words", "Words", vocabulary()),
    ]


def _section(place: str, title: str, content: Html) -> Html:
    return tag("section", tag("h2", title, id=f"{place}-title"), content, id=place, aria_labelledby=f"{place}-title")


def _head(title: str) -> Html:
    styles = files("driftloop.reports")
    texts = (styles.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "drift/drift.css"))
    return document_head(title, POLICY, *texts)
