"""rebuild_shards, called as Lambda calls it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from driftloop.aws.backfill import body
from driftloop.loop.backfill import Task, hour_prefix
from functions.profile_traffic.handler import handler as profile_traffic
from functions.rebuild_shards.handler import handler
from tests.events import batch
from tests.fakes import examples as ex
from tests.unit.functions.conftest import Account, Context

HOUR = datetime(2026, 3, 2, 10, tzinfo=UTC)
TASK = Task("r1", ex.NAME, ex.BASELINE_URI, HOUR)


def _results(account: Account) -> dict[str, bytes]:
    keys = [key for prefix in ("shards/", "rows/", "quarantine/") for key in account.keys(prefix)]
    return {key: account.client("s3").get_object(Bucket=ex.LIVE, Key=key)["Body"].read() for key in keys}


def test_what_arrived_is_written_again_as_it_was(account: Account, context: Context) -> None:
    account.ledger.set_champion(ex.NAME, ex.champion())
    sent = [account.put(f"{hour_prefix(ex.BASE, HOUR)}{n}.jsonl", ex.capture(ex.traffic(9, seed=n))) for n in range(3)]
    bad = account.put(f"{hour_prefix(ex.BASE, HOUR)}bad.jsonl", b"no JSON\n")
    profile_traffic(batch(*sent, bad), context)
    written = _results(account)
    assert len(written) == 3
    for key in written:
        account.client("s3").delete_object(Bucket=ex.LIVE, Key=key)
    assert handler(batch(body(TASK)), context) == {"batchItemFailures": []}
    assert _results(account) == written, "the ids of the objects differ from those of their notifications"
    (receipt,) = account.keys(f"backfills/{ex.NAME}/r1/")
    content = account.client("s3").get_object(Bucket=ex.LIVE, Key=receipt)["Body"].read()
    assert json.loads(content) == {"objects": 4, "rows": 27, "quarantined": 1}


def test_nothing_is_published_as_a_metric(
    account: Account, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    account.ledger.set_champion(ex.NAME, ex.champion())
    sent = account.put(f"{hour_prefix(ex.BASE, HOUR)}a.jsonl", ex.capture(ex.traffic(9)))
    profile_traffic(batch(sent), context)
    assert "RowsCounted" in capsys.readouterr().out
    assert handler(batch(body(TASK)), context) == {"batchItemFailures": []}
    assert "RowsCounted" not in capsys.readouterr().out


def test_deleted_captures_are_gone(account: Account, context: Context) -> None:
    account.put(f"{hour_prefix(ex.BASE, HOUR)}a.jsonl", ex.capture(ex.traffic(9)))
    account.client("s3").delete_object(Bucket=ex.LIVE, Key=f"{hour_prefix(ex.BASE, HOUR)}a.jsonl")
    assert handler(batch(body(TASK)), context) == {"batchItemFailures": []}
    assert _results(account) == {}


@pytest.mark.parametrize(
    "message",
    [
        "x",
        {},
        {"run": "r1", "model": "../x", "baseline": ex.BASELINE_URI, "hour": HOUR.isoformat()},
        {"run": "../r", "model": ex.NAME, "baseline": ex.BASELINE_URI, "hour": HOUR.isoformat()},
        {"run": "r1", "model": ex.NAME, "baseline": "http://example.com/x", "hour": HOUR.isoformat()},
        {"run": "r1", "model": ex.NAME, "baseline": ex.BASELINE_URI, "hour": "2026-03-02T10:00:00"},
        {"run": "r1", "model": "gone", "baseline": ex.BASELINE_URI, "hour": HOUR.isoformat()},
        {"run": "r1", "model": ex.NAME, "baseline": f"s3://{ex.ARTIFACTS}/gone.json", "hour": HOUR.isoformat()},
    ],
)
def test_a_message_that_cannot_be_done_goes_back_alone(account: Account, context: Context, message: object) -> None:
    account.put(f"{hour_prefix(ex.BASE, HOUR)}a.jsonl", ex.capture(ex.traffic(9)))
    answer = handler(batch(message, body(TASK)), context)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert len(_results(account)) == 2
