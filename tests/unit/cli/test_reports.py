"""Drift reports on the command line: the page, the table, the JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from driftloop.cli.reports import find_start
from driftloop.names import bucket
from tests.fakes.examples import NAME
from tests.unit.reports.drift_reports import BROKEN, DAYS, SHIFT, plain_reports
from tests.unit.reports.outline import Outline

from .conftest import ACCOUNT, REGION, Account, Run, refusal

LIVE = bucket("live", ACCOUNT, REGION)
LATEST = plain_reports()[-1]
FIRST_DAY, SHIFT_DAY, LAST_DAY = (plain_reports()[n]["window"]["start"] for n in (0, SHIFT, DAYS - 1))


def key(start: str) -> str:
    """Where detect_drift puts a report."""
    return f"reports/{NAME}/{start}.json"


@pytest.fixture
def reported(account: Account) -> Account:
    """An account with a month of reports."""
    for value in plain_reports():
        account.s3.put_object(Bucket=LIVE, Key=key(value["window"]["start"]), Body=json.dumps(value).encode())
    return account


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_latest_window_is_drawn_with_those_before_it(reported: Account, run: Run, tmp_path: Path) -> None:
    result = run("report", NAME)
    assert result.exit_code == 0, result.output
    file = tmp_path / f"drift-{NAME}-{LAST_DAY[:10]}.html"
    assert result.output.splitlines()[0] == f"{NAME} version 2, window {LAST_DAY}: {LATEST['verdict']}"
    assert result.output.splitlines()[-1] == f"page: {file.name}"
    text = Outline(file.read_text()).text
    assert f"{DAYS} windows; this one is marked." in text
    assert str(LATEST["verdict"]).capitalize() in text


def test_a_window_of_the_past_shows_what_came_of_it(reported: Account, run: Run, tmp_path: Path) -> None:
    result = run("report", NAME, "--window", SHIFT_DAY[:10], "--out", "page.html", "--last", 8)
    assert result.exit_code == 0, result.output
    text = Outline((tmp_path / "page.html").read_text()).text
    assert "10 windows; this one is marked." in text  # eight up to it, and two that came later


def test_list_is_a_table_up_to_the_window(reported: Account, run: Run) -> None:
    result = run("report", NAME, "--list", "--last", 3, "--window", plain_reports()[BROKEN]["window"]["start"])
    assert result.exit_code == 0, result.output
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.output.splitlines() if "│" in line]
    days = [row[0][:10] for row in cells if row[0]]
    assert days == [plain_reports()[n]["window"]["start"][:10] for n in range(BROKEN - 2, BROKEN + 1)]
    broken = next(row for row in cells if row[0].startswith(days[-1]))
    assert broken[1:7] == ["v1", "broken upstream", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}"]
    assert broken[8].startswith("delay ")


def test_json_is_the_report_itself(reported: Account, run: Run) -> None:
    assert json.loads(run("report", NAME, "--json").output) == LATEST
    lines = [json.loads(line) for line in run("report", NAME, "--list", "--json", "--last", 2).output.splitlines()]
    assert [line["window"]["start"] for line in lines] == [plain_reports()[n]["window"]["start"] for n in (-2, -1)]
    assert lines[-1]["input_drift"] == LATEST["input_drift"]


def test_there_may_be_no_report_yet(account: Account, run: Run) -> None:
    told = refusal(run("report", NAME))
    assert told.startswith(f"{NAME} has no drift report in s3://{LIVE}; ")


def test_a_window_that_is_not_there_is_told_with_what_is(reported: Account, run: Run) -> None:
    told = refusal(run("report", NAME, "--window", "2025-01-01"))
    assert (
        told
        == f"no window starts with 2025-01-01; there are {DAYS}, from {FIRST_DAY} to {LAST_DAY}; the nearest is {FIRST_DAY}"
    )
    assert "'yesterday' is no time; write 2013-07-03" in refusal(run("report", NAME, "--window", "yesterday"))


def test_a_day_with_several_windows_asks_for_the_hour(run: Run) -> None:
    starts = ["2026-03-02T00:00:00Z", "2026-03-02T06:00:00Z", "2026-03-03T00:00:00Z"]
    assert find_start(starts, "2026-03-02T06") == starts[1]
    assert find_start(starts, "2026-03-03") == find_start(starts, None) == starts[2]
    with pytest.raises(
        Exception, match="2 windows start with 2026-03-02; choose one: 2026-03-02T00:00:00Z, 2026-03-02T06"
    ):
        find_start(starts, "2026-03-02")


def test_a_neighbour_that_cannot_be_read_is_named_and_left_out(reported: Account, run: Run, tmp_path: Path) -> None:
    reported.s3.put_object(Bucket=LIVE, Key=key(SHIFT_DAY), Body=b"{}")
    result = run("report", NAME, "--out", "page.html")
    assert result.exit_code == 0, result.output
    assert f"left out: s3://{LIVE}/{key(SHIFT_DAY)}: model: Field required" in result.stderr
    assert f"{DAYS - 1} windows; this one is marked." in Outline((tmp_path / "page.html").read_text()).text


def test_a_report_that_cannot_be_read_is_an_error(reported: Account, run: Run) -> None:
    reported.s3.put_object(Bucket=LIVE, Key=key(SHIFT_DAY), Body=b"nonsense")
    assert f"{key(SHIFT_DAY)}: not JSON: " in refusal(run("report", NAME, "--window", SHIFT_DAY))
    assert f"{key(SHIFT_DAY)}: not JSON: " in refusal(run("report", NAME, "--window", SHIFT_DAY, "--json"))


def test_where_it_cannot_write_it_says_so(reported: Account, run: Run) -> None:
    assert refusal(run("report", NAME, "--out", "nowhere/page.html")).startswith(
        "nowhere/page.html cannot be written: "
    )
    result = run("report", NAME, "--out", "page.html", "--list")
    assert result.exit_code == 2
    assert "--out is for the page" in result.stderr
