from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from driftloop.reports.record import LoopRecord, RecordError
from tests.unit.reports.records import record_json


def test_json_goes_there_and_back(record: LoopRecord) -> None:
    assert LoopRecord.from_json(record.to_json()) == record


def test_plain_values_are_accepted_too(record: LoopRecord) -> None:
    assert LoopRecord(**json.loads(record_json())) == record


def test_times_are_utc_whatever_their_zone() -> None:
    values = json.loads(record_json())
    values["summary"]["episodes"][0]["opened_at"] = "2013-06-01T02:00:00+02:00"
    values["summary"]["episodes"][1]["opened_at"] = "2013-06-02T00:00:00"
    first, second = LoopRecord.from_json(json.dumps(values)).summary.episodes[:2]
    assert first.opened_at == datetime(2013, 6, 1, tzinfo=UTC)
    assert second.opened_at == datetime(2013, 6, 2, tzinfo=UTC)


def test_null_texts_are_empty() -> None:
    values = json.loads(record_json())
    values["summary"]["episodes"][0] |= {"pipeline_execution_arn": None, "model_package_arn": None}
    episode = LoopRecord.from_json(json.dumps(values)).summary.episodes[0]
    assert (episode.pipeline_execution_arn, episode.model_package_arn) == ("", "")


def test_a_fault_is_named_with_source_place_and_reason() -> None:
    values = json.loads(record_json())
    values["summary"]["episodes"][3]["status"] = "vanished"
    del values["reports"][2]["verdict"]
    with pytest.raises(RecordError) as caught:
        LoopRecord.from_json(json.dumps(values), "run.json")
    first, second = str(caught.value).splitlines()
    assert first.startswith("run.json: summary.episodes.3.status: Input should be 'requested'")
    assert second == "run.json: reports.2.verdict: Field required"


@pytest.mark.parametrize(
    ("text", "reason"), [("", "Invalid JSON"), ("[]", "should be an object"), ("{}", "Field required")]
)
def test_text_that_is_no_record(text: str, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        LoopRecord.from_json(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_losses_must_be_finite(number: str) -> None:
    values = json.loads(record_json())
    values["summary"]["quality"][0]["served"]["log_loss"] = float(number)
    with pytest.raises(RecordError, match=r"quality\.0\.served\.log_loss: Input should be a finite number"):
        LoopRecord.from_json(json.dumps(values))
