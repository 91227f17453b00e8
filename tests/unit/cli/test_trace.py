"""From the id of a request to the rows that it asked; what its version was made from is in tests/integration."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from driftloop.data.lines import MAX_LINE
from driftloop.data.records import Body, Encodings, capture_key, capture_record
from driftloop.data.rows import write_rows
from driftloop.names import bucket
from tests.fakes.examples import BASE, NAME, SCHEMA, traffic

from .conftest import ACCOUNT, REGION, Account, Run, refusal

AT = datetime(2026, 3, 2, 10, 59, 58, tzinfo=UTC)
ROWS = "t1,2026-03-02T10:00:00Z,north,1.5\nt2,2026-03-02T11:00:00Z,south,2.5"
LIVE = bucket("live", ACCOUNT, REGION)
ON = ("--date", f"{AT:%Y-%m-%d}")


def captured(event: str, inference: str = "", rows: str = ROWS, at: datetime = AT, encodings: Any = None) -> bytes:
    told = "".join(f"0.{place + 1}\n" for place in range(rows.count("\n") + 1))
    bodies = Body("text/csv", rows.encode()), Body("text/csv", told.encode())
    return capture_record(*bodies, encodings or Encodings(), event, at, inference)


def put(account: Account, *records: bytes, at: datetime = AT, name: str = "0") -> str:
    key = capture_key("capture", BASE, "AllTraffic", at, name)
    account.s3.put_object(Bucket=LIVE, Key=key, Body=b"".join(records))
    return key


@pytest.mark.parametrize("encodings", [Encodings(), Encodings(csv=())])
@pytest.mark.parametrize("id_", ["order-7", "e2"])
def test_a_request_is_found_by_either_id_with_each_of_its_rows(
    account: Account, run: Run, id_: str, encodings: Encodings
) -> None:
    other = "t9,2026-03-02T10:00:00Z,order-7,1"  # the id of a request in a row is not that of a request
    key = put(account, captured("e1", "order-8", other), captured("e2", "order-7", encodings=encodings))
    told = json.loads(run("trace", id_, *ON, "--json").output)
    assert told["rows"] == [
        {"id": "t1", "time": "2026-03-02T10:00:00Z", "score": 0.1, "label": None},
        {"id": "t2", "time": "2026-03-02T11:00:00Z", "score": 0.2, "label": None},
    ]
    assert (told["model"], told["inference_id"], told["refused"], told["unreadable_records"]) == (
        NAME, "order-7", [], 0,
    )  # fmt: skip
    place = {name: told["capture"][name] for name in ("uri", "event_id", "inference_time")}
    assert place == {"uri": f"s3://{LIVE}/{key}", "event_id": "e2", "inference_time": f"{AT:%Y-%m-%dT%H:%M:%SZ}"}
    assert (told["served_since"], told["version"]) == (None, None)


def test_it_is_told_in_words_with_labels(account: Account, run: Run) -> None:
    for number, label in enumerate((0, 1)):
        columns = {**traffic(1), "trip": np.array(["t1"]), "late": np.array([label])}
        content = write_rows(SCHEMA, {f"2026-03-0{number + 3}/x": columns}, label=True)
        account.s3.put_object(Bucket=LIVE, Key=f"labelled/{NAME}/2026-03-02/{number}.csv", Body=content)
    put(account, captured("e1", "order-7", ROWS + "\nt3,2026-03-02T12:00:00Z,north,many"))
    lines = run("trace", "order-7", *ON, "--hour", 10).output.splitlines()
    assert lines[0] == f"request     inference id order-7, event e1 of {NAME}"
    assert lines[3:5] == [
        "rows        t1, event at 2026-03-02T10:00:00Z: 0.100000; the label is 1",
        "            t2, event at 2026-03-02T11:00:00Z: 0.200000; no label yet",
    ]
    assert lines[5].startswith("refused     ")
    assert "many" in lines[5]


def test_the_latest_of_one_id_counts(account: Account, run: Run) -> None:
    put(account, captured("early", "again"), captured("late", "again", at=AT + timedelta(seconds=1)))
    put(account, captured("middle", "again"), name="1")
    # What an earlier hour has is not looked at.
    put(account, captured("first", "again", at=AT - timedelta(hours=1)), at=AT - timedelta(hours=1))
    assert json.loads(run("trace", "again", *ON, "--json").output)["capture"]["event_id"] == "late"


def test_a_record_that_is_kept_with_those_of_the_next_hour_is_found(account: Account, run: Run) -> None:
    put(account, captured("e1"), at=AT + timedelta(minutes=1))
    assert run("trace", "e1", *ON, "--hour", 10).exit_code == 0
    assert "no request of this id is among the 0 objects" in refusal(run("trace", "e1", *ON, "--hour", 9))


def test_without_a_date_the_last_day_is_searched(account: Account, run: Run) -> None:
    now = datetime.now(UTC)
    put(account, captured("old"), at=now - timedelta(hours=26))
    put(account, captured("new"), at=now - timedelta(hours=23))
    assert run("trace", "new").exit_code == 0
    assert "--hour" in refusal(run("trace", "old"))


def test_what_cannot_be_read_is_passed_over_and_told(account: Account, run: Run) -> None:
    bad = [
        b"{\n", b'{"eventMetadata": {"eventId": "e1"}}\n', b'{"eventMetadata": "e1"}\n', b"x" * (MAX_LINE + 1) + b"\n",
        b'{"eventMetadata": {"eventId": "e1", "inferenceTime": "2026-03-02T10:00:00"}}\n', b"\n",
    ]  # fmt: skip
    put(account, *bad)
    assert "; 5 records there cannot be read; say when" in refusal(run("trace", "e1", *ON))
    put(account, *bad, captured("e1"))
    assert run("trace", "e1", *ON).output.splitlines()[-1] == "skipped     5 records that cannot be read"
    assert json.loads(run("trace", "e1", *ON, "--json").output)["unreadable_records"] == 5


def test_a_row_comes_before_a_request(account: Account, run: Run) -> None:
    content = write_rows(SCHEMA, {"0123": {**traffic(1), "trip": np.array(["same"])}})
    account.s3.put_object(Bucket=LIVE, Key=f"rows/{NAME}/2026-03-02/0.csv", Body=content)
    put(account, captured("same"))
    assert run("trace", "same", *ON).output.startswith(f"row         same of {NAME}")


def test_an_hour_belongs_to_a_date(account: Account, run: Run) -> None:
    assert run("trace", "e1", "--hour", 3).exit_code == 2
