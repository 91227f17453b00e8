"""capture_answers, called as Lambda calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.capture_answers.handler import handler
from tests.events import batch, event
from tests.fakes import examples as ex
from tests.unit.functions.conftest import Account, Context

DONE: dict[str, Any] = {"batchItemFailures": []}
FAILED = {"batchItemFailures": [{"itemIdentifier": "m0"}]}
ROOT = f"asynchronous/{ex.NAME}"
TOLD = event("inference_result")
TEST = {"eventVersion": "1.0", "eventSource": "aws:sagemaker", "eventName": "TestNotification"}


@pytest.fixture
def answered(account: Account) -> Account:
    """A request and its answer."""
    account.put(f"{ROOT}/requests/a.csv", b"t1,2026-03-02T10:00:00Z,north,1\nt2,2026-03-02T10:00:00Z,south,2\n")
    account.put(f"{ROOT}/answers/8a7b6c5d.out", b"0.25\n0.5\n")
    return account


def test_an_answer_becomes_one_capture_however_often_it_is_told(answered: Account, context: Context) -> None:
    for _ in range(2):
        assert handler(batch(TOLD), context) == DONE
    (key,) = answered.keys("capture/")
    assert key.startswith(f"capture/{ex.BASE}/AllTraffic/2026/03/03/10/00-12-345-")
    record = json.loads(answered.client("s3").get_object(Bucket=ex.LIVE, Key=key)["Body"].read())
    assert record["captureData"]["endpointOutput"]["data"] == "0.25\n0.5"
    assert record["eventMetadata"]["inferenceId"] == TOLD["inferenceId"]


def test_the_message_with_which_sagemaker_tries_the_topic_is_no_answer(account: Account, context: Context) -> None:
    assert handler(batch(TEST), context) == DONE
    assert account.keys("capture/") == []


def _with(**parts: Any) -> dict[str, Any]:
    return {**TOLD, **parts}


@pytest.mark.parametrize(
    "body",
    [
        "not JSON",
        {},
        _with(invocationStatus="Failed", responseParameters=None),
        _with(requestParameters={**TOLD["requestParameters"], "inputLocation": "https://example.com/a.csv"}),
        _with(requestParameters={**TOLD["requestParameters"], "endpointName": "somebody-elses"}),
        _with(requestParameters={**TOLD["requestParameters"], "endpointName": "driftloop-gone"}),
        _with(responseParameters={"outputLocation": f"s3://{ex.LIVE}/{ROOT}/answers/gone.out"}),
    ],
)
def test_what_it_cannot_do_goes_back_to_the_queue(answered: Account, context: Context, body: object) -> None:
    assert handler(batch(body, TOLD), context) == FAILED
    assert len(answered.keys("capture/")) == 1, "the other message of the batch is handled"
