"""What is captured here is read like what SageMaker captures."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from driftloop.data.capture import decode_capture
from driftloop.data.records import Body, Encodings, capture_key, capture_record
from driftloop.loop.sources import Source
from tests.fakes.examples import BASE, NAME, SCHEMA, record

AT = datetime(2026, 3, 2, 10, 5, 7, 89_000, tzinfo=UTC)
ROWS, ANSWER = "t1,2026-03-02T10:00:00Z,north,1.5", "0.25\n"
EVENT = "6e8d62c3-1111-2222-3333-444455556666"


def _line(encodings: Encodings, inference_id: str = "") -> bytes:
    bodies = Body("text/csv", ROWS.encode()), Body("text/csv; charset=utf-8", ANSWER.encode())
    return capture_record(*bodies, encodings, EVENT, AT, inference_id)


def test_a_record_has_sagemakers_form() -> None:
    expected = json.loads(record(ROWS, ANSWER))
    expected["captureData"]["endpointOutput"]["observedContentType"] = "text/csv; charset=utf-8"
    expected["eventMetadata"]["inferenceTime"] = "2026-03-02T10:05:07Z"
    assert json.loads(_line(Encodings())) == expected


def test_it_is_counted_whatever_its_encoding() -> None:
    for encodings in (Encodings(), Encodings(csv=())):
        [decoded] = decode_capture(SCHEMA, [_line(encodings)])
        assert decoded.columns["score"].tolist() == [0.25]


def test_the_inference_id_goes_along() -> None:
    assert json.loads(_line(Encodings(), "id-7"))["eventMetadata"]["inferenceId"] == "id-7"


def test_its_key_names_endpoint_variant_and_hour() -> None:
    key = capture_key("capture", BASE, "AllTraffic", AT, EVENT)
    assert key == f"capture/{BASE}/AllTraffic/2026/03/02/10/05-07-089-{EVENT}.jsonl"
    assert Source("b", key, None, "e", 1).capture_model() == NAME
