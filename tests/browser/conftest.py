"""A headless Chromium, and pages that are watched for errors and for anything they fetch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from driftloop.reports.page import render
from driftloop.reports.record import LoopRecord

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
MISSING = "Chromium is missing: run tests/browser/install_chromium.sh, or set CHROMIUM to the path of a Chromium"

Opened = Callable[..., AbstractContextManager[Page]]


def chromium() -> str:
    """Path of the browser; the test fails where there is none, because a skipped test would go unseen."""
    found = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if not found or not Path(found).exists():
        pytest.fail(MISSING, pytrace=False)
    return found


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Gone before the next folder's tests: playwright's event loop runs in this thread as long as it is open."""
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Opened:
    """Opens the report of a record; at the end nothing may have gone wrong and nothing may have been fetched."""

    @contextmanager
    def open_report(record_json: str, *, width: int = 1280, scheme: str = "light") -> Iterator[Page]:
        file = tmp_path / "report.html"
        file.write_text(render(LoopRecord.from_json(record_json)), encoding="utf-8")
        faults: list[str] = []
        with browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light", offline=True
        ) as context:
            page = context.new_page()
            page.on("console", lambda message: faults.append(f"console {message.type}: {message.text}"))
            page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
            page.on("request", lambda request: faults.append(f"request: {request.url}"))
            page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
            page.goto(file.as_uri())
            page.wait_for_selector("html[data-drawn]")
            yield page
        own = {f"request: {file.as_uri()}", "request: data:,"}
        assert [fault for fault in faults if fault not in own] == []

    return open_report
