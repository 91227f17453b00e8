"""Bad records, repeated deliveries, and labels that come late, twice or never: every good row counts once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from driftloop.data.capture import MAX_LINE
from driftloop.names import VARIANT, ModelNames

from .examples import BEGIN, TRAIN, trips
from .kit import Kit

DAY = BEGIN.replace(hour=0) + timedelta(days=1)
NEXT, AFTER = DAY + timedelta(days=1), DAY + timedelta(days=2)
SENT, PUT = trips(DAY, 60, seed=7), [(f"X{line}", label) for line, label in trips(DAY, 12, seed=8)]
AT = f"{DAY:%Y-%m-%dT08:00:00Z}"


def record(lines: Iterable[str], scores: Iterable[object]) -> bytes:
    """One line of a capture object."""
    capture = {
        "captureData": {
            "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "encoding": "CSV", "data": "\n".join(lines)},
            "endpointOutput": {
                "observedContentType": "text/csv", "mode": "OUTPUT", "encoding": "CSV", "data": "\n".join(map(str, scores)),
            },
        },
        "eventMetadata": {"eventId": "e", "inferenceTime": AT},
        "eventVersion": "0",
    }  # fmt: skip
    return json.dumps(capture).encode() + b"\n"


GOOD = record([line for line, _ in PUT], [0.25] * len(PUT))
BAD = {
    "no JSON": b"this is not JSON\n",
    "truncated": GOOD[:200] + b"\n",
    "empty object": b"{}\n",
    "not UTF-8": b'{"captureData": "\xff\xfe"}\n',
    "nested too deep": b"[" * 100_000 + b"\n",
    "too long": record(["a" * MAX_LINE], [0.5]),
    "fewer answers than rows": record([f"A,{AT},west,1,2", f"B,{AT},west,1,2"], [0.5]),
    "no rows": record([], []),
    "no probability": record([f"A,{AT},west,1,2"], [1.5]),
    "no finite number": record([f"A,{AT},west,1e999,2"], [0.5]),
    "a number in Python only": record([f"A,{AT},west,1_0,2"], [0.5]),
    "another calendar": record(["A,99999-01-01T00:00:00Z,west,1,2"], [0.5]),
    "control characters": record([f"A\x1b[31m,{AT},west,1,2"], [0.5]),
    "a category that breaks lines": record([f'A,{AT},"we\r\nst",1,2'], [0.5]),
    "a cell too many": record([f"A,{AT},west,1,2,3"], [0.5]),
    "an endless category": record([f"A,{AT},{'w' * 10_000},1,2"], [0.5]),
}


@dataclass(frozen=True)
class Put:
    """An object in the live bucket."""

    key: str
    version: str
    size: int

    def notification(self, bucket: str) -> dict[str, object]:
        """What S3 says of it."""
        thing = {"key": self.key, "versionId": self.version, "size": self.size, "eTag": ""}
        return {"Records": [{"s3": {"bucket": {"name": bucket}, "object": thing}}]}


@pytest.fixture(scope="module")
def hostile(served: Kit) -> Put:
    """Good and bad records in one object, an empty object beside it, and honest traffic of the same day."""
    served.move(DAY + timedelta(hours=10))
    served.predict(TRAIN, [line for line, _ in SENT])
    served.settle()
    folder = f"capture/{ModelNames(TRAIN).base}/{VARIANT}/{DAY:%Y/%m/%d}/10"
    served.put(f"{folder}/empty.jsonl", b"")
    bad = list(BAD.values())
    content = b"".join([*bad[:8], b"\n", GOOD, *bad[8:]])
    put = Put(f"{folder}/hostile.jsonl", served.put(f"{folder}/hostile.jsonl", content), len(content))
    served.settle()
    return put


def test_bad_records_are_quarantined_with_reasons_and_the_rest_counts(served: Kit, hostile: Put) -> None:
    refused = [item for item in served.quarantined("capture", TRAIN) if item["source"] == hostile.key]
    assert len(refused) == len(BAD)
    assert all(item["reason"] for item in refused)
    assert served.metric(TRAIN, "RowsQuarantined") == len(BAD)
    ids = {
        line.split(b",")[1]
        for key in served.keys(f"rows/{TRAIN}/{DAY:%Y-%m-%d}/")
        for line in served.read(key).splitlines()[1:]
    }
    assert ids == {line.split(",")[0].encode() for line, _ in (*SENT, *PUT)}
    assert served.waiting("capture") == served.waiting("capture-dlq") == 0


def test_object_that_is_delivered_twice_counts_once(served: Kit, hostile: Put) -> None:
    counted = served.metric(TRAIN, "RowsCounted")
    served.send("capture", hostile.notification(served.bucket("live")))
    served.settle()
    assert served.metric(TRAIN, "RowsCounted") == counted + len(PUT), "the second delivery was not read"
    served.move(NEXT + timedelta(hours=1))
    assert served.report(TRAIN, DAY)["rows"] == len(SENT) + len(PUT)


def test_decisions_can_see_what_detect_drift_saw(served: Kit, hostile: Put) -> None:
    watch = served.ledger.watch(TRAIN)
    assert watch is not None
    assert (watch.window_end, watch.version) == (NEXT, 1)
    assert watch.verdict == served.report(TRAIN, DAY)["verdict"]


def labels(pairs: Iterable[tuple[str, object]]) -> bytes:
    """A label object."""
    records = (
        {
            "groundTruthData": {"data": str(label), "encoding": "CSV"},
            "eventMetadata": {"eventId": line.split(",")[0]},
            "eventVersion": "0",
        }
        for line, label in pairs
    )
    return "".join(json.dumps(item) + "\n" for item in records).encode()


def test_labels_late_twice_unknown_and_never(served: Kit, hostile: Put) -> None:
    folder, never = f"labels/{TRAIN}", 5
    served.put(f"{folder}/first.jsonl", labels(SENT[never + 1 :]))
    served.settle()
    served.put(f"{folder}/again.jsonl", labels(SENT[-3:]))
    served.put(f"{folder}/unknown.jsonl", labels([SENT[never], ("nobody", 1), ("no one", 0)]))
    served.settle()
    assert served.waiting("labels") == 1, "labels without a prediction wait"
    assert served.quarantined("labels", TRAIN) == []
    served.move(served.now() + timedelta(hours=3))
    served.settle()
    assert served.waiting("labels") == served.waiting("labels-dlq") == 0
    assert [(q["reason"], q["content"]) for q in served.quarantined("labels", TRAIN)] == [
        ("no prediction has this id", "nobody"),
        ("no prediction has this id", "no one"),
    ]
    served.move(AFTER + timedelta(hours=1))
    assert served.report(TRAIN, NEXT)["labelled_rows"] == len(SENT) - never
