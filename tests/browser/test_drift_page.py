"""The page of one window as a browser shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from driftloop.reports.drift.page import render
from driftloop.reports.drift.record import WindowReport
from tests.unit.reports.drift_reports import BROKEN, HOSTILE, SHIFT, THIN, hostile, on, reports

Shown = Callable[..., AbstractContextManager[Page]]


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Shown:
    """Opens the page of a report without script; nothing may go wrong and nothing may be fetched."""

    @contextmanager
    def show(report: WindowReport, *, width: int = 1280, scheme: str = "light") -> Iterator[Page]:
        file = tmp_path / "drift.html"
        file.write_text(render(report, reports()), encoding="utf-8")
        faults: list[str] = []
        dark = scheme == "dark"
        with browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", offline=True
        ) as context:
            page = context.new_page()
            page.on("console", lambda message: faults.append(f"console {message.type}: {message.text}"))
            page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
            page.on("request", lambda request: faults.append(f"request: {request.url}"))
            page.goto(file.as_uri())
            yield page
        own = {f"request: {file.as_uri()}", "request: data:,"}
        assert [fault for fault in faults if fault not in own] == []

    return show


@pytest.mark.parametrize("day", [THIN, BROKEN, SHIFT + 1])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_fits_its_width(shown: Shown, day: int, width: int) -> None:
    with shown(on(day), width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for box in page.locator("h1, .reason, .rules li, .strip").all():
            found = box.bounding_box()
            assert found is not None
            assert found["x"] >= 0
            assert found["x"] + found["width"] <= width + 1


def test_the_verdict_is_seen_first(shown: Shown) -> None:
    with shown(on(SHIFT + 1)) as page:
        head = page.locator(".verdict").bounding_box()
        assert head is not None
        assert head["y"] + head["height"] < 400
        assert "Shifted" in page.inner_text("h1")
        assert page.locator("#next").bounding_box()["y"] < 900  # type: ignore[index]


def test_bars_lie_where_the_scores_are(shown: Shown) -> None:
    report = on(SHIFT)
    with shown(report) as page:
        rows = page.locator(".rules li")
        assert rows.count() == 4
        drift = rows.nth(0)
        limit = drift.locator("line.limit").bounding_box()
        bar = drift.locator("rect.over").bounding_box()
        assert limit is not None
        assert bar is not None
        assert report.input_drift is not None
        assert report.input_drift < 5  # within the scale
        start = bar["x"]
        assert bar["width"] / (limit["x"] + limit["width"] / 2 - start) == pytest.approx(report.input_drift, rel=0.02)


def test_this_window_is_marked_in_every_lane(shown: Shown) -> None:
    with shown(on(SHIFT + 1)) as page:
        lanes = page.locator(".lane")
        assert lanes.count() == page.locator(".lane rect.here").count() >= 5
        places = {round(box["x"]) for band in page.locator("rect.here").all() if (box := band.bounding_box())}
        assert len(places) == 1


def test_keyboard_reaches_links_tables_and_folds(shown: Shown) -> None:
    with shown(on(SHIFT + 1)) as page:
        reached = set()
        for _ in range(30):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.tagName"))
        assert reached >= {"A", "DIV", "SUMMARY"}
        page.locator("summary", has_text="The same in numbers").press("Enter")
        assert page.locator("#history-table").is_visible()


def test_hostile_text_is_shown_and_never_run(shown: Shown) -> None:
    with shown(hostile()) as page:
        assert page.title() != "owned"
        assert page.locator("img").count() == 0
        assert HOSTILE in page.locator(".reason").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("day", [THIN, BROKEN, SHIFT + 1, 3])
def test_text_is_legible_in_both_schemes(shown: Shown, scheme: str, day: int) -> None:
    with shown(on(day), scheme=scheme) as page:
        for selector in (
            "h1",
            ".meaning",
            ".reason",
            ".facts dt",
            ".small",
            ".fired .rule-score b",
            "a",
            ".now",
            ".was",
            "caption",
            ".change.worse",
        ):
            if page.locator(selector).count():
                assert _contrast(page, selector) >= 4.5, selector
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark is (scheme == "dark")


def test_the_page_can_be_printed(shown: Shown) -> None:
    with shown(on(SHIFT + 1)) as page:
        assert page.pdf(format="A4").startswith(b"%PDF")


def _contrast(page: Page, selector: str) -> float:
    """WCAG 2 contrast ratio of an element's text with what lies behind it."""
    return float(
        page.evaluate(
            """(selector) => {
              const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
              const light = (colour) => {
                const [r, g, b] = parts(colour).slice(0, 3).map((v) => v / 255)
                  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              const element = document.querySelector(selector);
              let behind = element;
              while (behind && parts(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
              const ink = light(getComputedStyle(element).color);
              const page = light(getComputedStyle(behind || document.body).backgroundColor);
              return (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
            }""",
            selector,
        )
    )
