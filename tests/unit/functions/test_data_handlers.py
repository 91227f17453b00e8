"""profile_traffic, join_labels and detect_drift, called as Lambda calls them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from driftloop.aws.objects import S3Objects
from driftloop.names import Metric
from functions.detect_drift.handler import handler as detect_drift
from functions.join_labels.handler import handler as join_labels
from functions.profile_traffic.handler import handler as profile_traffic
from tests.events import batch, event, record
from tests.fakes import examples as ex
from tests.unit.functions.conftest import NOW, Account, Context

CAPTURE = f"capture/{ex.BASE}/AllTraffic/2026/03/02/10/00 a+b=1.jsonl"


@pytest.fixture
def serving(account: Account) -> Account:
    account.ledger.set_champion(ex.NAME, ex.champion())
    return account


def _metrics(output: str) -> dict[str, float]:
    """Metrics in CloudWatch's embedded format among the lines of a function's log."""
    found: dict[str, float] = {}
    for line in output.splitlines():
        value: dict[str, Any] = json.loads(line)
        if "_aws" not in value:
            continue
        (directive,) = value["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "driftloop"
        assert directive["Dimensions"] == [["Model"]]
        assert value["Model"] == ex.NAME
        assert abs(value["_aws"]["Timestamp"] / 1000 - NOW.timestamp()) < 600
        for metric in directive["Metrics"]:
            (number,) = value[metric["Name"]]
            found[metric["Name"]] = number
    return found


def test_the_loop_of_data(serving: Account, context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    columns = ex.traffic(200)
    captured = serving.put(CAPTURE, ex.capture(columns) + b"garbage\n")
    assert captured["Records"][0]["s3"]["object"]["key"].endswith("/00+a%2Bb%3D1.jsonl")
    assert profile_traffic(batch(captured), context) == {"batchItemFailures": []}
    assert _metrics(capsys.readouterr().out) == {Metric.ROWS_COUNTED: 200, Metric.ROWS_QUARANTINED: 1}
    assert len(serving.keys(f"shards/{ex.NAME}/{ex.baseline().id}/2026-03-02/")) == 1
    assert len(serving.keys("quarantine/capture/")) == 1

    labels = serving.put(f"labels/{ex.NAME}/a.jsonl", ex.labels(columns))
    assert join_labels(batch(labels), context) == {"batchItemFailures": []}
    assert _metrics(capsys.readouterr().out) == {Metric.LABELS_JOINED: 200, Metric.LABELS_QUARANTINED: 0}
    assert len(serving.keys(f"labelled/{ex.NAME}/2026-03-02/")) == 1

    answer = detect_drift({"model": ex.NAME}, context)
    assert answer == {"verdict": "stable", "reasons": ["every score is below its limit"]}
    scores = _metrics(capsys.readouterr().out)
    assert set(scores) == {Metric.INPUT_DRIFT, Metric.PREDICTION_DRIFT, Metric.ESTIMATED_LOSS}
    assert all(0 < score < 1 for score in scores.values())
    assert serving.keys("reports/") == [f"reports/{ex.NAME}/2026-03-02T00:00:00Z.json"]


def test_drift_is_published_as_a_score_over_one(
    serving: Account, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    profile_traffic(batch(serving.put(CAPTURE, ex.capture(ex.traffic(200, shift=10)))), context)
    capsys.readouterr()
    assert detect_drift({"model": ex.NAME}, context)["verdict"] == "shifted"
    assert _metrics(capsys.readouterr().out)[Metric.INPUT_DRIFT] > 1


def test_what_cannot_be_said_is_not_published(
    serving: Account, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ex.traffic(200)
    columns["delay"] = np.full(200, np.nan)
    profile_traffic(batch(serving.put(CAPTURE, ex.capture(columns))), context)
    capsys.readouterr()
    assert detect_drift({"model": ex.NAME}, context)["verdict"] == "broken upstream"
    assert _metrics(capsys.readouterr().out) == {}
    assert detect_drift({"model": ex.NAME}, context)["verdict"] == "broken upstream"
    assert serving.told() == ["[driftloop] late_train: broken upstream"]


def test_before_the_first_version(account: Account, context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect_drift({"model": ex.NAME}, context) == {"verdict": None}
    captured = account.put(CAPTURE, ex.capture(ex.traffic(5)))
    assert profile_traffic(batch(captured), context) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert _metrics(capsys.readouterr().out) == {}


def test_a_bad_message_goes_back_alone(serving: Account, context: Context) -> None:
    good = serving.put(CAPTURE, ex.capture(ex.traffic(5)))
    gone = event("s3_object_created")  # an object that does not exist
    foreign = json.loads(json.dumps(gone).replace("capture/driftloop-late-train", "elsewhere"))
    answer = profile_traffic(batch("not json", good, gone, foreign, event("s3_test_event"), {"Records": [1]}), context)
    assert answer == {"batchItemFailures": [{"itemIdentifier": f"m{number}"} for number in (0, 2, 3, 5)]}
    assert len(serving.keys("rows/")) == 1


def test_labels_wait_for_their_predictions(serving: Account, context: Context) -> None:
    labels = serving.put(f"labels/{ex.NAME}/a.jsonl", ex.labels(ex.traffic(5)))
    waits = {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert join_labels({"Records": [record(labels)]}, context) == waits
    assert join_labels({"Records": [record(labels, deliveries=3)]}, context) == {"batchItemFailures": []}
    assert len(serving.keys("quarantine/labels/")) == 1


def test_results_that_cannot_be_written_bring_the_whole_batch_back(
    serving: Account, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured = serving.put(CAPTURE, ex.capture(ex.traffic(5)))

    def fail(*_: object) -> None:
        raise ConnectionError("no way to S3")

    monkeypatch.setattr(S3Objects, "write", fail)
    with pytest.raises(ConnectionError):
        profile_traffic(batch(captured), context)
