from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from driftloop.reports.page import render
from driftloop.reports.record import LoopRecord
from driftloop.reports.tables import best_and_worst
from tests.unit.reports.outline import Outline
from tests.unit.reports.records import HOSTILE, hostile_json, record_json

LIMIT = 6_000_000


def _own(page: str) -> str:
    """The page without plotly's source."""
    return page.replace(get_plotlyjs(), "")


@pytest.fixture(scope="module")
def page(record: LoopRecord) -> str:
    return render(record)


def test_same_record_same_bytes(record: LoopRecord, page: str) -> None:
    assert render(LoopRecord.from_json(record.to_json())) == page


def test_page_is_small_enough_to_send(page: str) -> None:
    assert len(page.encode()) < LIMIT


def test_elements_are_nested_and_ids_are_unique(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    ids = [attributes["id"] for _, attributes in outline.found if "id" in attributes]
    assert len(ids) == len(set(ids)) > 15
    links = [str(a["href"]).removeprefix("#") for a in outline.named("a")]
    assert set(links) <= set(ids)


def test_nothing_is_fetched(page: str) -> None:
    outline = Outline(page)
    sources = [attributes.get(name) for _, attributes in outline.found for name in ("src", "srcset", "data")]
    assert set(sources) == {None}
    assert "http" not in re.sub(r"http-equiv", "", _own(page))
    assert "@import" not in _own(page)
    assert "url(" not in _own(page)


def test_only_the_scripts_of_the_page_may_run(page: str) -> None:
    (policy,) = [m["content"] for m in Outline(page).named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy.partition("script-src")[2]


def test_text_from_the_record_never_becomes_markup() -> None:
    page = render(LoopRecord.from_json(hostile_json()))
    outline = Outline(page)
    assert outline.open == []
    assert outline.named("img") == []
    assert len(outline.named("script")) == 3
    assert HOSTILE in "".join(outline.words)


def test_tables_have_captions_and_headers(page: str) -> None:
    outline = Outline(page)
    assert len(outline.named("table")) == len(outline.named("caption")) == 7
    assert {th.get("scope") for th in outline.named("th")} == {"col", "row"}


def test_episodes_are_told_in_plain_words(page: str) -> None:
    told = " ".join(Outline(page).words)
    assert "cooldown after the last episode lasts until 2013-06-15T00:00:00Z" in told
    assert "step Train failed: CapacityError: no ml.m5.large is free" in told
    assert re.search(r"version 2 serves; log-loss 0\.\d{4} before, 0\.\d{4} now on the same holdout", told)
    assert "temp is missing in 100% of rows" in told


def test_without_the_ledgers_words_a_rejection_is_told_by_the_gate() -> None:
    values = json.loads(record_json())
    for episode in values["summary"]["episodes"]:
        del episode["outcome"]
    rejected = next(e for e in values["summary"]["episodes"] if e["status"] == "rejected")
    for evaluation in values["evaluations"]:
        if evaluation["episode_id"] == rejected["id"]:
            evaluation["evaluation"]["gate"]["reason"] = "worse in every slice"
    told = " ".join(Outline(render(LoopRecord.from_json(json.dumps(values)))).words)
    assert told.count("worse in every slice") == 2  # among the episodes and among the evaluations
    assert "the pipeline failed; the champion went on serving" in told


def test_best_and_worst_slice_follow_the_metric(record: LoopRecord) -> None:
    values = record.evaluations[-1].model_dump()
    values["evaluation"]["slices"] = {
        "origin": {
            "EWR": {"rows": 10, "challenger": 0.4, "champion": 0.6},
            "JFK": {"rows": 20, "challenger": 0.5, "champion": 0.4},
            "LGA": {"rows": 30, "challenger": None, "champion": 0.4},
        }
    }
    for metric, expected in (("log_loss", ("EWR", "JFK")), ("auc", ("JFK", "EWR"))):
        values["evaluation"]["metric"] = metric
        best, worst = best_and_worst(type(record.evaluations[-1]).model_validate(values))
        assert (expected[0] in str(best), expected[1] in str(worst)) == (True, True)


def test_nothing_has_happened_yet(empty: LoopRecord) -> None:
    told = " ".join(Outline(render(empty)).words)
    for sentence in (
        "No drift reports: no complete window has been judged yet.",
        "No quality windows: no labels have come back yet.",
        "No episodes: nothing has asked for a retraining.",
        "No evaluations: no challenger has reached the gate.",
        "No features: no window held any rows.",
        "No stacks were recorded.",
    ):
        assert sentence in told


def test_the_first_day(first_day: LoopRecord) -> None:
    page = render(first_day)
    told = " ".join(Outline(page).words)
    assert "no difference on the same 600 rows; no retraining." in told
    assert "No alarm changed its state." in told
    assert "AUC, served against first version" in told
