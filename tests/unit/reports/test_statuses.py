"""Every status and every trigger has its words and its sign."""

from __future__ import annotations

import json

import pytest

from driftloop.reports import words
from driftloop.reports.headline import headline
from driftloop.reports.outcomes import outcome_of
from driftloop.reports.record import LoopRecord
from driftloop.reports.tables import SIGNS
from driftloop.reports.timeline import MARKERS, timeline
from driftloop.retraining.episode import NEVER_RAN, Status, Trigger
from tests.unit.reports.records import record_json

FINAL = [status for status in Status if status.is_final]


def _record(status: Status, outcome: str = "") -> LoopRecord:
    """A record whose last episode has a status."""
    values = json.loads(record_json())
    values["summary"]["episodes"][-1] |= {"id": "last", "status": str(status), "outcome": outcome}
    values["evaluations"] = []
    return LoopRecord.from_json(json.dumps(values))


def _outcome(record: LoopRecord) -> str:
    (episode,) = (episode for episode in record.summary.episodes if episode.id == "last")
    return outcome_of(episode, record)


def test_every_end_has_a_sign_and_a_marker_of_its_own() -> None:
    for signs in (SIGNS, MARKERS):
        assert set(signs) == set(FINAL)
        assert len(set(signs.values())) == len(FINAL)


@pytest.mark.parametrize("trigger", list(Trigger))
def test_triggers_in_words(trigger: Trigger) -> None:
    assert words.trigger(trigger) == {
        "drift": "drift alarm", "quality": "quality alarm", "schedule": "schedule", "data": "new data",
        "code": "new code or settings", "manual": "by hand",
    }[trigger]  # fmt: skip


@pytest.mark.parametrize("status", list(Status))
def test_statuses_in_words(status: Status) -> None:
    assert words.status(status) == str(status).replace("_", " ")


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (Status.REFUSED, "no retraining was started"),
        (Status.DEFERRED, "it was too early; the request is made again while its cause lasts"),
        (Status.MERGED, "the retraining that was under way answers this request"),
        (Status.APPROVED, "the episode is approved"),
    ],
)
def test_what_became_of_it_where_the_ledger_has_no_words(status: Status, meaning: str) -> None:
    assert _outcome(_record(status)) == meaning
    assert _outcome(_record(status, "cooldown until Monday")) == "cooldown until Monday"


@pytest.mark.parametrize("status", list(Status))
def test_the_timeline_shows_it(status: Status) -> None:
    symbols = {
        trace["marker"]["symbol"]
        for trace in timeline(_record(status))["data"]
        if trace.get("name") == words.status(status)
    }
    assert symbols == {MARKERS[status][0] if status in MARKERS else "square-open"}


@pytest.mark.parametrize("status", sorted(NEVER_RAN))
def test_a_request_without_a_retraining_is_not_counted_as_one(status: Status) -> None:
    assert "still open" in headline(_record(Status.APPROVED))
    assert "still open" not in headline(_record(status))
    assert f"{status}" in headline(_record(status))
