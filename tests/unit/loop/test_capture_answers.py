"""Answers of an asynchronous endpoint: what is captured of them, once, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from driftloop.data.answers import RECORDS_AN_OBJECT, ROWS_A_RECORD
from driftloop.data.capture import decode_capture
from driftloop.loop.capture_answers import AnswerCapture, Answered
from driftloop.ports import NotFoundError, TerminalError
from driftloop.simulation.fakes import FakeModels, FakeObjects
from tests.fakes import examples as ex

ROOT = f"asynchronous/{ex.NAME}"
REQUEST, ANSWER = (ex.LIVE, f"{ROOT}/requests/a.csv"), (ex.LIVE, f"{ROOT}/answers/1.out")
TOLD = Answered(ex.BASE, REQUEST, ANSWER, "id-1", ex.START + timedelta(hours=3))


@dataclass
class Account:
    """One model whose requests wait in objects."""

    serving: dict[str, Any] = field(default_factory=dict)
    objects: FakeObjects = field(default_factory=FakeObjects)

    def __post_init__(self) -> None:
        self.models = FakeModels(ex.model(serving={"mode": "asynchronous", **self.serving}))

    def asked(self, rows: int, answers: int | None = None) -> None:
        lines = "\n".join(f"t{n},2026-03-02T10:00:00Z,north,{n % 100}" for n in range(rows))
        self.objects.put(*REQUEST, lines.encode())
        told = "\n".join(str(n % 100 / 100) for n in range(rows if answers is None else answers))
        self.objects.put(*ANSWER, told.encode())

    def capture(self, answered: Answered = TOLD) -> str:
        return AnswerCapture(self.models, self.objects, ex.LIVE).capture(answered)

    def captures(self) -> list[bytes]:
        keys = self.objects.keys(ex.LIVE, f"capture/{ex.BASE}/AllTraffic/")
        return [self.objects.read(ex.LIVE, key) for key in keys]

    def rows(self) -> int:
        return sum(part.rows for content in self.captures() for part in decode_capture(ex.SCHEMA, [content]))


@pytest.fixture
def account() -> Account:
    return Account()


def test_rows_and_answers_are_paired_in_their_order(account: Account) -> None:
    account.asked(3)
    assert account.capture() == f"3 rows of {ex.NAME} in 1 new captures"
    (content,) = account.captures()
    [part] = decode_capture(ex.SCHEMA, [content])
    assert part.columns["trip"].tolist() == ["t0", "t1", "t2"]
    assert part.columns["score"].tolist() == [0, 0.01, 0.02]
    metadata = json.loads(content)["eventMetadata"]
    assert metadata["inferenceId"] == "id-1"
    assert metadata["inferenceTime"] == f"{TOLD.at:%Y-%m-%dT%H:%M:%SZ}"


def test_what_is_told_twice_is_captured_once(account: Account) -> None:
    account.asked(3)
    account.capture()
    assert account.capture() == f"3 rows of {ex.NAME} in 0 new captures"
    assert account.rows() == 3


def test_a_run_that_died_half_way_is_made_up_for(account: Account) -> None:
    account.asked(ROWS_A_RECORD * RECORDS_AN_OBJECT + 1)
    assert account.capture().endswith("in 2 new captures")
    last = account.objects.keys(ex.LIVE, "capture/")[-1]
    content = account.objects.read(ex.LIVE, last)
    account.objects = FakeObjects()
    account.asked(ROWS_A_RECORD * RECORDS_AN_OBJECT + 1)
    account.objects.put(ex.LIVE, last, content)
    assert account.capture().endswith("in 1 new captures")
    assert account.rows() == ROWS_A_RECORD * RECORDS_AN_OBJECT + 1


def test_two_requests_of_one_inference_id_are_two(account: Account) -> None:
    account.asked(3)
    account.capture()
    account.objects.put(ex.LIVE, f"{ROOT}/answers/2.out", b"0.1\n0.2\n0.3")
    account.capture(replace(TOLD, answer=(ex.LIVE, f"{ROOT}/answers/2.out")))
    assert len(account.captures()) == 2


def test_a_share_is_captured_and_the_same_one_each_time() -> None:
    account = Account({"capture": "30%"})
    account.asked(ROWS_A_RECORD)
    told = [replace(TOLD, inference_id=f"id-{n}") for n in range(200)]
    for _ in range(2):
        for answered in told:
            account.capture(answered)
    assert 30 < len(account.captures()) < 90


@pytest.mark.parametrize(
    ("rows", "answers", "reason"), [(3, 2, "more rows than answers"), (2, 3, "more answers than rows")]
)
def test_an_answer_that_does_not_fit_is_told_and_not_captured(
    account: Account, rows: int, answers: int, reason: str
) -> None:
    account.asked(rows, answers)
    with pytest.raises(
        TerminalError, match=rf"answers/1\.out does not answer s3://.*requests/a\.csv: line 3: .*{reason}"
    ):
        account.capture()
    assert account.captures() == []


@pytest.mark.parametrize("gone", [REQUEST, ANSWER])
def test_what_is_gone_is_named(account: Account, gone: tuple[str, str]) -> None:
    account.asked(3)
    account.objects = _without(account.objects, gone)
    with pytest.raises(NotFoundError, match=gone[1]):
        account.capture()
    assert account.captures() == []


def _without(objects: FakeObjects, gone: tuple[str, str]) -> FakeObjects:
    kept = FakeObjects()
    for place in {REQUEST, ANSWER} - {gone}:
        kept.put(*place, objects.read(*place))
    return kept


def test_answers_of_a_model_that_is_gone_are_not_captured(account: Account) -> None:
    account.asked(3)
    with pytest.raises(NotFoundError):
        account.capture(replace(TOLD, endpoint="driftloop-gone"))
