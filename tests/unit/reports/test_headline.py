from __future__ import annotations

import json

import pytest

from driftloop.reports.headline import certainty, headline
from driftloop.reports.record import LoopRecord
from tests.unit.reports.records import record_json


def _with(scale: float, statuses: list[str]) -> LoopRecord:
    values = json.loads(record_json())
    summary = values["summary"]
    for window in summary["quality"]:
        window["static"]["log_loss"], window["served"]["log_loss"] = 0.5, 0.5 * scale
    first, pattern = summary["episodes"][0], summary["episodes"][1]
    summary["episodes"] = [first, *({**pattern, "id": str(n), "status": status} for n, status in enumerate(statuses))]
    return LoopRecord.from_json(json.dumps(values))


@pytest.mark.parametrize(
    ("scale", "statuses", "expected"),
    [
        (
            0.942,
            ["promoted"] * 3 + ["rejected"],
            "Served log-loss 0.471 against 0.500 without retraining: 5.8% better on the same 128,400 rows; "
            "4 retrainings, 3 promoted, 1 rejected.",
        ),
        (
            1.1,
            ["failed", "rolled_back", "started", "refused", "refused"],
            "Served log-loss 0.550 against 0.500 without retraining: 10.0% worse on the same 128,400 rows; "
            "3 retrainings, 1 failed, 1 rolled back, 1 still open; 2 further requests refused.",
        ),
        (
            1.1,
            ["started", "approved", "refused", "deferred", "merged", "merged"],
            "Served log-loss 0.550 against 0.500 without retraining: 10.0% worse on the same 128,400 rows; "
            "2 retrainings, 2 still open; 4 further requests: 1 refused, 1 deferred, 2 merged.",
        ),
        (
            1.1,
            ["promoted", "deferred"],
            "Served log-loss 0.550 against 0.500 without retraining: 10.0% worse on the same 128,400 rows; "
            "1 retraining, 1 promoted; 1 further request deferred.",
        ),
        (
            1.0,
            [],
            "Served log-loss 0.500 against 0.500 without retraining: no difference on the same 128,400 rows; no retraining.",
        ),
        (
            0.9,
            ["promoted"],
            "Served log-loss 0.450 against 0.500 without retraining: 10.0% better on the same 128,400 rows; "
            "1 retraining, 1 promoted.",
        ),
    ],
)  # fmt: skip
def test_headline(scale: float, statuses: list[str], expected: str) -> None:
    assert headline(_with(scale, statuses)) == expected


def test_headline_without_labels(empty: LoopRecord) -> None:
    assert headline(empty) == "No labelled rows yet, so nothing can be said about quality; no retraining."


def test_certainty_is_said_only_with_enough_weeks(record: LoopRecord, first_day: LoopRecord) -> None:
    assert certainty(record).startswith("Drawing whole weeks again puts the improvement between ")
    assert certainty(first_day) == ""
