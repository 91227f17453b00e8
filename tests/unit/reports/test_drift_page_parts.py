"""The pure parts of the page of one window."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from driftloop.monitoring.statistics import jensen_shannon
from driftloop.reports.drift.causes import ENOUGH, FEWEST, MOST, leading
from driftloop.reports.drift.cells import contribution, movers, short
from driftloop.reports.drift.marks import bullet, number, percent, scale_top
from driftloop.reports.drift.quality import Measure, measures_of
from driftloop.reports.drift.record import FeatureDrift, WindowReport, read_report
from driftloop.reports.drift.rules import distance, rules_of
from driftloop.reports.drift.verdict import sentence, usual_steps, when
from driftloop.reports.drift.windows import latest_quality, slots_of
from driftloop.reports.histograms import Cell
from tests.unit.reports.drift_reports import BROKEN, DAYS, SHIFT, format_1, on, plain_reports, reports


def _feature(name: str, cause: float) -> FeatureDrift:
    return FeatureDrift(
        name=name, importance=0.5, score=1, cause=cause, cells=("a",), before=(1.0,), after=(1.0,), divergence=0.1
    )


def test_parts_of_cells_add_up_to_the_librarys_divergence() -> None:
    before, after = np.array([10, 20, 30, 40, 0]), np.array([40, 5, 0, 40, 15])
    parts = [contribution(b, a) for b, a in zip(before / before.sum(), after / after.sum(), strict=True)]
    assert sum(parts) == pytest.approx(jensen_shannon(before, after))
    assert min(parts) == 0.0  # the cell that kept its share


def test_cells_that_moved_are_the_fewest_that_explain_most() -> None:
    cells = [Cell("a", 0.5, 0.1), Cell("b", 0.3, 0.31), Cell("c", 0.2, 0.59), Cell("d", 0, 0)]
    assert movers(cells) == {0, 2}
    assert movers([Cell("a", 0.5, 0.5), Cell("b", 0.5, 0.5)]) == set()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("0.0861101 to 0.11236", "0.08611 to 0.1124"), ("1012.84 to 1013.01", "1012.84 to 1013.01"), ("above 130", "above 130"),
        ("-9.94 to 3.02", "-9.94 to 3.02"), ("-3.12345 to 0", "-3.123 to 0"), ("version 1.2345.6", "version 1.2345.6"), ("9E", "9E"),
    ],
)  # fmt: skip
def test_cells_have_short_names(name: str, shown: str) -> None:
    assert short(name) == shown


@pytest.mark.parametrize(
    ("causes", "shown"),
    [([0.95, 0.03, 0.01, 0.01], FEWEST), ([0.3, 0.3, 0.2, 0.15, 0.05], 4), ([0.1] * 10, MOST), ([1.0], 1), ([], 0)],
)
def test_causes_are_pictured_until_they_explain_the_drift(causes: list[float], shown: int) -> None:
    features = [_feature(f"f{place}", cause) for place, cause in enumerate(causes)]
    assert [f.name for f in leading(list(reversed(features)))] == [f"f{place}" for place in range(shown)]
    if shown not in (0, 1, MOST):
        assert sum(causes[:shown]) >= ENOUGH


@pytest.mark.parametrize(("scores", "top"), [([], 2.0), ([None, 0.3], 2.0), ([3.0, None], 3.3), ([80.0], 5.0)])
def test_scale_keeps_the_limit_in_sight(scores: list[float | None], top: float) -> None:
    assert scale_top(scores) == pytest.approx(top)


def test_bullets_end_at_the_scale_and_say_so() -> None:
    assert 'width="50.00" height="5" class="under"' in bullet(0.9999999, 2.0)
    assert 'class="over"' in bullet(1.0, 2.0)
    assert "more" in bullet(7.0, 5.0)
    assert "more" not in bullet(5.0, 5.0)
    assert "over" not in bullet(None, 5.0)


def test_numbers_as_people_read_them() -> None:
    assert [percent(s) for s in (0.0, 0.0001, 0.034, 0.5, 1.0, None)] == [
        "0%",
        "<0.1%",
        "3.4%",
        "50%",
        "100%",
        "\N{EN DASH}",
    ]
    assert [number(v) for v in (-3.25, 12345.6, 0.000123, None)] == [
        "\N{MINUS SIGN}3.25",
        "12,346",
        "0.000123",
        "\N{EN DASH}",
    ]


def test_better_and_worse_follow_the_measure() -> None:
    assert Measure("log_loss", 0.5, None, 0.6).change == pytest.approx(-0.1)
    assert Measure("auc", 0.5, None, 0.6).change == pytest.approx(0.1)
    assert Measure("auc", 0.5, 0.4, None).change == pytest.approx(-0.1)
    assert Measure("auc", None, 0.4, 0.3).change is None


def test_measures_that_a_model_of_another_kind_has_are_shown() -> None:
    value = plain_reports()[SHIFT] | {"observed": {"rows": 12, "rmse": 3.5, "auc": None}}
    measures = {measure.name: measure for measure in measures_of(read_report(json.dumps(value)))}
    assert measures["rmse"].observed == 3.5
    assert measures["auc"].observed is None
    assert "rows" not in measures


def test_rules_without_a_value_are_named_all_the_same() -> None:
    names = ["input drift", "prediction drift", "estimated loss", "observed quality"]
    assert [rule.name for rule in rules_of(on(BROKEN))] == names
    assert {distance(rule) for rule in rules_of(on(BROKEN))} == {"not judged"}
    fired = next(rule for rule in rules_of(on(SHIFT + 1)) if rule.fired)
    assert distance(fired) == f"{fired.score:.2f} \N{MULTIPLICATION SIGN} limit: fired"


def test_sentences_keep_names_and_set_commands_apart() -> None:
    assert sentence("predictions moved") == "Predictions moved."
    assert sentence("delay is missing") == "delay is missing."
    told = sentence("then: driftloop backfill late_train --from ... --to ...")
    assert told == "Then: <code>driftloop backfill late_train --from ... --to ...</code>"
    assert sentence("driftloop <b> & co") == "driftloop &lt;b&gt; &amp; co."


def test_a_window_is_named_by_its_day_or_its_hours() -> None:
    day = on(3)
    assert when(day.window) == "5 Mar 2026 (UTC)"
    start = day.window.start
    assert when(day.window.model_copy(update={"end": start.replace(hour=6)})) == "5 Mar 2026, 00:00 to 06:00 (UTC)"


@pytest.mark.parametrize("day", [3, BROKEN, SHIFT + 1])
def test_old_reports_get_advice_that_fits_their_verdict(day: int) -> None:
    old = read_report(json.dumps(format_1(plain_reports()[day])))
    steps = " ".join(usual_steps(old))
    assert ("retrain" in steps) is (old.verdict != "stable")
    assert ("Repair" in steps) is (old.verdict == "broken upstream")


def test_windows_stand_in_time_order_and_gaps_stay() -> None:
    found = [on(day) for day in (7, 2, 4)]
    slots = slots_of(on(4), found)
    assert [(slot.report.window.start.day, slot.place, slot.present) for slot in slots] == [
        (4, 0, False), (6, 2, True), (9, 5, False),
    ]  # fmt: skip
    assert [slot.place for slot in slots_of(on(0), [on(DAYS - 1)])] == [0, 5]


def test_quality_of_a_window_is_the_latest_word_on_it() -> None:
    start = on(9).window.start
    early, late = on(10), on(11)
    assert late.restated[-2].window.start == start
    changed = late.restated[-2].model_copy(update={"observed": {"log_loss": 9.0}})
    newer = late.model_copy(update={"restated": (changed,)})
    assert latest_quality([early, newer])[start].observed == {"log_loss": 9.0}
    slot = slots_of(on(9), [early, newer])[0]
    assert slot.excess == pytest.approx(9.0 - (on(9).usual or {})["log_loss"])  # type: ignore[operator]
    assert slots_of(on(9), [])[0].excess is None


def test_observed_loss_is_that_of_the_rows() -> None:
    slots = slots_of(on(DAYS - 1), reports())
    known = [slot for slot in slots if slot.observed is not None]
    assert len(known) == DAYS - 1
    assert all(math.isfinite(slot.observed or 0) for slot in known)
    worst = max(known, key=lambda slot: slot.excess or -1)
    assert SHIFT <= (worst.report.window.start - on(0).window.start).days < SHIFT + 6


def test_one_report_can_be_without_neighbours() -> None:
    slots = slots_of(on(3), ())
    assert [(slot.place, slot.present) for slot in slots] == [(0, True)]


def test_the_report_itself_wins_over_a_neighbour_of_the_same_window() -> None:
    other: WindowReport = on(3).model_copy(update={"rows": 1})
    assert [slot.report.rows for slot in slots_of(on(3), [other])] == [on(3).rows]
