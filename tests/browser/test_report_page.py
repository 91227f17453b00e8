"""The report page as a browser shows it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.sync_api import Page

from driftloop.reports.headline import headline
from driftloop.reports.record import LoopRecord
from tests.browser.conftest import Opened, chromium
from tests.unit.reports.records import HOSTILE, empty_json, first_day_json, hostile_json, record_json


def _plots(page: Page) -> int:
    return page.locator(".plot .main-svg:first-child").count()


def _becomes(page: Page, expression: str, value: Any) -> None:
    """Waits for a value. The page's policy forbids eval, which playwright's own waiting needs."""
    deadline = time.monotonic() + 10
    while (found := page.evaluate(expression)) != value:
        assert time.monotonic() < deadline, f"{expression} is {found!r}, not {value!r}"
        page.wait_for_timeout(50)


def _contrast(page: Page, selector: str) -> float:
    """WCAG 2 contrast ratio of an element's text with the page behind it."""
    return float(
        page.evaluate(
            """(selector) => {
              const light = (colour) => {
                const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
                  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              const style = getComputedStyle(document.querySelector(selector));
              const ink = light(document.querySelector(selector) instanceof SVGElement ? style.fill : style.color);
              const page = light(getComputedStyle(document.body).backgroundColor);
              return (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
            }""",
            selector,
        )
    )


def test_the_page_says_and_shows_what_the_record_holds(opened: Opened) -> None:
    record = LoopRecord.from_json(record_json())
    with opened(record_json()) as page:
        assert page.inner_text("h1") == headline(record)
        assert page.locator("#episodes-table tbody tr").count() == len(record.summary.episodes)
        assert page.locator("#gate-table tbody tr").count() == len(record.evaluations)
        assert page.locator("#stacks-table tbody tr").count() == len(record.summary.stacks)
        assert _plots(page) == 4
        assert page.locator("figure.multiple svg").count() == 9
        assert page.locator("#timeline-plot .subplot.xy .scatterlayer .trace").count() == 3
        assert page.locator("#timeline-plot .subplot.xy2 .scatterlayer path.point").count() == len(
            record.summary.episodes
        )
        assert (
            page.locator("#heat-plot .heatmaplayer image").count()
            + page.locator("#heat-plot .heatmaplayer path").count()
        )


def test_hovering_an_episode_tells_its_reason(opened: Opened) -> None:
    with opened(record_json()) as page:
        point = page.locator("#timeline-plot .subplot.xy2 .scatterlayer path.point").first
        point.scroll_into_view_if_needed()
        box = point.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
        page.wait_for_selector("#timeline-plot .hovertext")
        told = page.locator("#timeline-plot .hovertext").first.text_content() or ""
        assert "by hand" in told
        assert "the first version was asked for" in told


def test_hostile_text_is_shown_and_never_run(opened: Opened) -> None:
    with opened(hostile_json()) as page:
        assert page.title() != "owned"
        assert page.locator("img").count() == 0
        assert page.locator("#episodes-table tbody td").nth(1).inner_text() == HOSTILE
        ticks = page.locator("#heat-plot .yaxislayer-above text").all_text_contents()
        assert ticks
        assert all("<script>document.title='owned'</script>" in tick for tick in ticks)


@pytest.mark.parametrize(("text", "plots"), [(empty_json, 0), (first_day_json, 4)])
def test_records_with_little_in_them(opened: Opened, text: Any, plots: int) -> None:
    with opened(text()) as page:
        assert page.inner_text("h1") == headline(LoopRecord.from_json(text()))
        assert _plots(page) == plots
        assert (page.locator(".empty").count() > 0) is True


def test_a_single_window_is_visible(opened: Opened) -> None:
    with opened(first_day_json()) as page:
        # A version has no drift score before it has seen as many windows as drift is judged on.
        assert page.locator("#timeline-plot .subplot.xy .scatterlayer path.point").count() == 0
        assert page.locator("#timeline-plot .subplot.xy3 .scatterlayer path.point").count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_in_both_schemes(opened: Opened, scheme: str) -> None:
    with opened(record_json(), scheme=scheme) as page:
        for selector in (
            "h1",
            ".lead",
            "#timeline-plot .xtick text",
            "#timeline-plot .legendtext",
            ".status.rejected",
            ".status.failed",
            "a",
        ):
            assert _contrast(page, selector) >= 4.5, selector
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark is (scheme == "dark")


def test_plots_follow_when_the_scheme_changes(opened: Opened) -> None:
    with opened(record_json()) as page:
        page.emulate_media(color_scheme="dark")
        _becomes(
            page, "getComputedStyle(document.querySelector('#timeline-plot .xtick text')).fill", "rgb(228, 232, 238)"
        )


@pytest.mark.parametrize("width", [420, 768, 1280])
def test_the_page_fits_its_width_and_does_not_jump(opened: Opened, width: int) -> None:
    with opened(record_json(), width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shifted = page.evaluate(
            """() => new Promise((resolve) => {
              let sum = 0;
              new PerformanceObserver((list) => { for (const entry of list.getEntries()) sum += entry.value; })
                .observe({ type: "layout-shift", buffered: true });
              setTimeout(() => resolve(sum), 300);
            })"""
        )
        assert shifted < 0.02
        for plot in page.locator(".plot").all():
            box, drawn = plot.bounding_box(), plot.locator(".main-svg").first.bounding_box()
            assert box is not None
            assert drawn is not None
            assert drawn["height"] == pytest.approx(box["height"], abs=1)
            assert drawn["width"] <= box["width"] + 1


def test_paper_gets_its_own_width_and_the_screen_comes_back(opened: Opened) -> None:
    width = "document.querySelector('#timeline-plot .main-svg').getBoundingClientRect().width"
    with opened(record_json(), scheme="dark") as page:
        before = page.evaluate(width)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        _becomes(page, width, 680)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        _becomes(page, width, before)
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_missing_browser_fails_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(pytest.fail.Exception, match=r"run tests/browser/install_chromium\.sh"):
        chromium()
