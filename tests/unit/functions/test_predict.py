"""The function that answers over HTTP, as a function URL calls it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from driftloop.aws import predictions
from driftloop.aws.afterwards import Afterwards
from functions.predict import handler as predict
from tests.contract.test_services import put_parameter
from tests.fakes import examples as ex
from tests.unit.functions.conftest import Account, Context

ROW = {"trip": "t1", "departure": "2026-03-02T09:00:00Z", "line": "north", "delay": 1.5}


class Runtime:
    """SageMaker's runtime: moto answers nothing that could be a prediction."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        return {"Body": self, "ContentType": "text/csv"}

    def read(self) -> bytes:
        return b"0.250000\n"


@pytest.fixture
def runtime(account: Account, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    runtime = Runtime()
    monkeypatch.setenv("MODEL", ex.NAME)
    monkeypatch.setenv("REVISION", "1")
    put_parameter(account.client("ssm"), serving={"mode": "serverless"})
    known = predictions.client
    monkeypatch.setattr(
        predictions, "client", lambda name, **more: runtime if "runtime" in name else known(name, **more)
    )
    predict._predictions.cache_clear()
    return runtime


def _event(body: str, path: str = "/predictions", method: str = "POST", **more: Any) -> dict[str, Any]:
    return {
        "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "body": body, "isBase64Encoded": False, **more,
    }  # fmt: skip


def test_a_prediction_and_its_capture(account: Account, context: Context, runtime: Runtime) -> None:
    answer = predict.handler(_event(json.dumps({"rows": [ROW]})), context)
    assert answer["statusCode"] == 200
    told = json.loads(answer["body"])
    assert told["predictions"] == [{"id": "t1", "probability": 0.25}]
    [asked] = runtime.asked
    assert asked["EndpointName"] == ex.BASE
    assert asked["InferenceId"] == answer["headers"]["X-Amzn-SageMaker-Inference-Id"]
    [key] = account.keys("capture/")
    body = account.client("s3").get_object(Bucket=ex.LIVE, Key=key)["Body"].read()
    assert json.loads(body)["captureData"]["endpointInput"]["data"] == "t1,2026-03-02T09:00:00Z,north,1.5\n"


def test_a_body_may_come_as_base64(context: Context, runtime: Runtime) -> None:
    body = base64.b64encode(json.dumps({"rows": [ROW]}).encode()).decode()
    assert predict.handler(_event(body, isBase64Encoded=True), context)["statusCode"] == 200


def test_a_capture_that_fails_costs_the_client_nothing_and_is_counted(
    account: Account, context: Context, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("LIVE_BUCKET", "gone-bucket")
    assert predict.handler(_event(json.dumps({"rows": [ROW]})), context)["statusCode"] == 200
    [metric] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "CapturesLost" in line]
    assert (metric["CapturesLost"], metric["Model"]) == ([1.0], ex.NAME)


@pytest.mark.parametrize(("path", "method"), [("/", "POST"), ("/predictions", "GET"), ("/other", "DELETE")])
def test_there_is_one_path(context: Context, runtime: Runtime, path: str, method: str) -> None:
    answer = predict.handler(_event("", path, method), context)
    assert answer["statusCode"] == 404
    assert "POST /predictions only" in answer["body"]


def test_what_is_refused_is_told(context: Context, runtime: Runtime) -> None:
    answer = predict.handler(_event('{"rows": [{"line": "north"}]}'), context)
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["errors"][0]["column"] == "delay"


def _answer(later: Afterwards, *work: Callable[[], None]) -> None:
    with later.answering():
        for task in work:
            later.do(task)
        raise LookupError("there is no answer")


def _fail() -> None:
    raise OSError("no room")


def test_work_for_later_is_done_once_whatever_became_of_the_answer_and_of_other_work() -> None:
    done: list[str] = []
    later = Afterwards(None, "test")
    with pytest.raises(LookupError):
        _answer(later, _fail, lambda: done.append("captured"))
    assert done == ["captured"]
    with later.answering():
        pass
    assert done == ["captured"]
