"""A request over HTTP: checked, asked, answered, and captured when the answer is on its way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from driftloop.data.capture import decode_capture
from driftloop.loop.predict import MAX_BYTES, Answer, Predictions
from driftloop.ports import NotFoundError, RetryableError, TerminalError
from driftloop.simulation.fakes import FakeClock, FakeObjects
from tests.fakes import examples as ex

ROW = {"trip": "t1", "departure": "2026-03-02T09:00:00Z", "line": "north", "delay": 1.5}
LINE = b"t1,2026-03-02T09:00:00Z,north,1.5\n"


@dataclass
class Endpoint:
    """Answers each row with a quarter, or not at all."""

    failure: Exception | None = None
    told: bytes = b""
    asked: list[tuple[str, bytes, str]] = field(default_factory=list)

    def ask(self, endpoint: str, rows: bytes, inference_id: str) -> bytes:
        self.asked.append((endpoint, rows, inference_id))
        if self.failure:
            raise self.failure
        return self.told or b"0.250000\n" * len(rows.splitlines())


@dataclass
class Client:
    """Whoever asks, and what surrounds the function."""

    serving: dict[str, Any] = field(default_factory=lambda: {"mode": "serverless"})
    endpoint: Endpoint = field(default_factory=Endpoint)
    objects: FakeObjects = field(default_factory=FakeObjects)
    later: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = count(1)
        clock = FakeClock(ex.START + timedelta(hours=10))
        self.predictions = Predictions(
            ex.model(serving=self.serving), self.endpoint, self.objects, clock, ex.LIVE,
            lambda: f"id-{next(numbers)}", self.later.append,
        )  # fmt: skip

    def post(self, body: Any, kind: str = "application/json", inference_id: str = "") -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.predictions.answer(kind, content, inference_id)

    def captures(self) -> list[str]:
        return self.objects.keys(ex.LIVE, "capture/")


def test_json_is_answered_with_a_probability_for_each_id() -> None:
    client = Client()
    answer = client.post({"rows": [ROW, ROW | {"trip": "t2"}]}, inference_id="mine")
    assert (answer.status, answer.content_type, answer.inference_id) == (200, "application/json", "mine")
    assert json.loads(answer.text) == {
        "predictions": [{"id": "t1", "probability": 0.25}, {"id": "t2", "probability": 0.25}]
    }
    assert client.endpoint.asked == [(ex.BASE, LINE + LINE.replace(b"t1", b"t2"), "mine")]


def test_csv_is_answered_as_the_endpoint_does() -> None:
    answer = Client().post(LINE, "text/csv; charset=utf-8")
    assert (answer.status, answer.content_type, answer.text) == (200, "text/csv", "0.250000\n")
    assert answer.inference_id == "id-1", "made here if the client has none"


def test_a_prediction_is_captured_after_the_answer_and_once_only() -> None:
    client = Client()
    client.post({"rows": [ROW]})
    assert client.captures() == [], "nobody waits for it"
    [capture] = client.later
    capture()
    capture()
    [key] = client.captures()
    assert key.startswith(f"capture/{ex.BASE}/AllTraffic/2026/03/02/10/")
    [decoded] = decode_capture(ex.SCHEMA, [client.objects.read(ex.LIVE, key)])
    assert decoded.columns["trip"].tolist() == ["t1"]
    assert decoded.columns["score"].tolist() == [0.25]
    assert decoded.quarantined == []


def test_sagemaker_captures_what_runs_on_instances() -> None:
    client = Client({"mode": "realtime", "http": True})
    assert client.post({"rows": [ROW]}).status == 200
    assert client.later == []


def test_the_share_of_captures_is_the_model_files() -> None:
    client = Client({"mode": "serverless", "capture": "20%"})
    for _ in range(1000):
        client.post({"rows": [ROW]})
    assert 150 < len(client.later) < 250


@pytest.mark.parametrize(
    ("failure", "status", "reason"),
    [
        (NotFoundError("x"), 503, "no version of late_train serves yet"),
        (RetryableError("the endpoint is not ready: ThrottlingException"), 503, "ThrottlingException; try again"),
        (TerminalError("the version could not answer: ModelError"), 502, "ModelError"),
    ],
)
def test_an_endpoint_that_does_not_answer(failure: Exception, status: int, reason: str) -> None:
    client = Client(endpoint=Endpoint(failure))
    answer = client.post({"rows": [ROW]})
    assert answer.status == status
    [error] = json.loads(answer.text)["errors"]
    assert reason in error["reason"]
    assert client.later == [], "there is nothing to capture"


@pytest.mark.parametrize("kind", ["application/json", "text/csv"])
@pytest.mark.parametrize("told", [b"0.1\n0.2\n", b"nan\n", b"inf\n", b"abc\n", b"0.1,0.2\n", b"\xff\n"])
def test_an_answer_that_is_no_probability_for_each_row_is_none(kind: str, told: bytes) -> None:
    client = Client(endpoint=Endpoint(told=told))
    answer = client.post(LINE if kind == "text/csv" else {"rows": [ROW]}, kind)
    assert (answer.status, answer.content_type) == (502, "application/json")
    assert len(client.later) == 1, "monitoring has to hear of it"


@pytest.mark.parametrize(
    ("body", "kind", "inference_id", "status", "reason"),
    [
        ({"rows": [ROW | {"delay": "x"}]}, "application/json", "", 400, "is not a number"),
        (b"t1,noon,north,1\n", "text/csv", "", 400, "not ISO-8601"),
        (b"<row/>", "text/xml", "", 415, "'text/xml' is not known; send application/json or text/csv"),
        (b"", "", "", 415, "send application/json"),
        (LINE, "text/csv", "x" * 65, 400, "not 1 to 64 printable ASCII characters"),
        (LINE, "text/csv", "a\nb", 400, "printable ASCII"),
        (LINE, "text/csv", " a", 400, "no blank first"),
        (LINE, "text/csv", "\u00e9", 400, "printable ASCII"),
        (LINE * (MAX_BYTES // len(LINE) + 1), "text/csv", "", 413, "send fewer rows"),
    ],
)
def test_what_cannot_be_asked_is_refused(body: Any, kind: str, inference_id: str, status: int, reason: str) -> None:
    client = Client()
    answer = client.post(body, kind, inference_id)
    assert answer.status == status
    assert reason in answer.text
    assert client.endpoint.asked == client.later == []
