"""From history to a version that serves, and from a request to counted rows."""

from __future__ import annotations

import json
import re
from datetime import timedelta

from driftloop.names import ModelNames

from .examples import BEGIN, TRAIN, trips
from .kit import Kit


def test_first_version_serves(served: Kit) -> None:
    champion = served.ledger.champion(TRAIN)
    assert champion is not None
    assert champion.version == 1
    assert served.endpoint(TRAIN) == ("InService", ModelNames(TRAIN).version(1))
    assert "version 1 serves since" in served.done("episodes", TRAIN)
    assert served.scaled(TRAIN) == [(2, 4)]


def test_request_becomes_shard_rows_and_metric(served: Kit) -> None:
    day = BEGIN.replace(hour=0)
    counted = served.metric(TRAIN, "RowsCounted")
    lines = [line for line, _ in trips(day, 30, seed=100)]
    scores = served.predict(TRAIN, lines)
    served.settle()
    assert len(scores) == 30
    assert all(0 < score < 1 for score in scores)
    [capture] = served.keys(f"capture/{ModelNames(TRAIN).base}/")
    assert f"{served.now():/%Y/%m/%d/}" in capture
    [shard] = served.keys(f"shards/{TRAIN}/")
    hours = json.loads(served.read(shard))[0]["hours"]
    assert sum(profile["rows"] for profile in hours.values()) == 30
    [rows] = served.keys(f"rows/{TRAIN}/{day:%Y-%m-%d}/")
    assert len(served.read(rows).splitlines()) == 31
    assert served.metric(TRAIN, "RowsCounted") - counted == 30
    assert served.metric(TRAIN, "RowsQuarantined") == 0


def test_data_set_holds_the_rows_of_its_windows_and_no_ids(served: Kit) -> None:
    [holdout] = served.keys(f"datasets/{TRAIN}/", "curated")[:1]
    content = served.read(holdout, "curated").decode()
    assert holdout.endswith("/holdout/rows.csv")
    assert len(content.splitlines()) == 4 * 150 + 1
    ids = [line.split(",")[0] for line in content.splitlines()[1:]]
    assert all(re.fullmatch("[0-9a-f]{32}", row_id) for row_id in ids)
    assert f"{BEGIN - timedelta(days=1):%Y-%m-%d}" in content
