"""The page of one window as text."""

from __future__ import annotations

import json
import re

import pytest

from driftloop.reports.drift.page import render
from driftloop.reports.drift.record import WindowReport, read_report
from driftloop.reports.drift.rules import rules_of
from tests.unit.reports.drift_reports import (
    BROKEN,
    DAYS,
    HOSTILE,
    SECOND,
    SHIFT,
    THIN,
    format_1,
    hostile,
    on,
    plain_reports,
    reports,
)
from tests.unit.reports.outline import Outline

LIMIT = 400_000
SECTIONS = {"next", "rules", "causes", "places", "quality", "history", "words"}


def _page(day: int) -> str:
    return render(on(day), reports())


def test_same_reports_same_bytes() -> None:
    assert render(on(SHIFT), reports()) == render(on(SHIFT), list(reversed(reports())))


@pytest.mark.parametrize("day", range(DAYS))
def test_every_window_makes_a_sound_page(day: int) -> None:
    page = _page(day)
    outline = Outline(page)
    assert outline.open == []
    assert len(page.encode()) < LIMIT
    ids = [attributes["id"] for _, attributes in outline.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(ids) >= SECTIONS
    links = [str(a["href"]).removeprefix("#") for a in outline.named("a")]
    assert set(links) <= set(ids)
    labelled = [a.get("aria-labelledby") for _, a in outline.found if "aria-labelledby" in a]
    assert set(labelled) <= set(ids)


@pytest.mark.parametrize("day", [0, THIN, BROKEN, SHIFT + 1, SECOND, DAYS - 1])
def test_the_page_says_verdict_reasons_and_steps(day: int) -> None:
    report, text = on(day), Outline(_page(day)).text
    assert str(report.verdict).capitalize() in text
    for reason in report.reasons:
        assert reason[1:] in text
    for step in report.next_steps:
        assert step.partition("driftloop ")[0][1:].strip() in text


def test_the_months_windows_are_of_every_kind() -> None:
    assert {str(report.verdict) for report in reports()} == {"stable", "shifted", "broken upstream", "not enough data"}
    assert on(BROKEN).faults
    assert on(SHIFT + 1).slices


def test_rules_tell_value_and_limit() -> None:
    report = on(SHIFT + 1)
    text = Outline(_page(SHIFT + 1)).text
    for rule in rules_of(report):
        if rule.score is not None:
            assert f"{rule.score:.2f} \N{MULTIPLICATION SIGN} limit: {'fired' if rule.fired else 'quiet'}" in text
            assert f"limit {rule.limit:.3g} {rule.unit}" in text


def test_faults_are_named_only_where_there_are_some() -> None:
    fault = on(BROKEN).faults[0]
    assert f"{fault.kind} {', '.join(fault.columns)}" in Outline(_page(BROKEN)).text
    assert 'id="faults"' not in _page(SHIFT)


def test_the_worst_slice_comes_first() -> None:
    page = _page(SHIFT + 1)
    first = re.search(r'<table id="slices-table">.*?<tbody><tr><th scope="row">([^<]*)', page)
    assert first is not None
    assert first[1] == "line = south"


def test_other_windows_are_in_the_table_and_this_one_is_marked() -> None:
    text = Outline(_page(SHIFT)).text
    assert text.count("(this one)") == 1
    assert f"{DAYS} windows; this one is marked." in text
    assert "No other window was at hand." in Outline(render(on(SHIFT))).text


def test_nothing_runs_and_nothing_is_fetched() -> None:
    page = _page(SHIFT)
    outline = Outline(page)
    assert "script" not in {name for name, _ in outline.found}
    policy = next(a["content"] for a in outline.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'")
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", page)
    assert "url(" not in page
    assert "@import" not in page


def test_hostile_text_stays_text() -> None:
    report = hostile()
    outline = Outline(render(report, reports()))
    assert outline.open == []
    assert {"script", "img"} & {name for name, _ in outline.found} == set()
    assert outline.text.count(HOSTILE) >= 8


@pytest.mark.parametrize("day", [0, THIN, BROKEN, SHIFT + 1])
def test_format_1_makes_a_page_too(day: int) -> None:
    old: list[WindowReport] = [read_report(json.dumps(format_1(value))) for value in plain_reports()]
    outline = Outline(render(old[day], old))
    assert outline.open == []
    assert str(old[day].verdict).capitalize() in outline.text
    assert "this report keeps none" in outline.text
