"""Pure parts of hosting: shares, plans, and capture records as SageMaker writes them."""

from __future__ import annotations

import base64
import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.twin.capture import capture_record, is_sampled
from driftloop.twin.errors import ApiError
from driftloop.twin.model_process import Reply
from driftloop.twin.rollouts import Plan, plan_of

CAPTURE: dict[str, Any] = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://b/capture",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
}
ANSWER = Reply(200, "text/csv; charset=utf-8", b"0.25\n")


def record(capture: dict[str, Any] = CAPTURE, kind: str = "text/csv", body: bytes = b"1,2", reply: Reply = ANSWER) -> Any:  # fmt: skip
    line = capture_record(capture, kind, body, reply, "id-7")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return json.loads(line)


@given(st.integers(0, 100), st.integers(0, 50))
def test_a_share_holds_in_every_hundred_requests(percent: int, hundreds: int) -> None:
    begin = hundreds * 100
    assert sum(is_sampled(count, percent) for count in range(begin + 1, begin + 101)) == percent


@given(st.integers(1, 100))
def test_a_share_is_spread_evenly(percent: int) -> None:
    hits = [count for count in range(1, 1001) if is_sampled(count, percent)]
    gaps = {after - before for before, after in itertools.pairwise(hits)}
    assert max(gaps) - min(gaps) <= 1


def rollout(routing: dict[str, Any], **more: Any) -> dict[str, Any]:
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 120}
    return {"BlueGreenUpdatePolicy": policy, **more}


def test_plans() -> None:
    canary = {"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10}, "WaitIntervalInSeconds": 600}
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}]}}
    assert plan_of(rollout(canary, **alarms)) == Plan(10, 100, 600, 120, frozenset({"a", "b"}))
    linear = {
        "Type": "LINEAR",
        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 30},
        "WaitIntervalInSeconds": 60,
    }
    assert plan_of(rollout(linear)) == Plan(30, 30, 60, 120)
    at_once = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 60}
    assert plan_of(rollout(at_once)) == Plan(100, 100, 60, 120, frozenset())
    assert plan_of({}) == Plan()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (rollout({"Type": "ROLLING", "WaitIntervalInSeconds": 1}), "TrafficRoutingConfiguration ROLLING"),
        (
            rollout({"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}, "WaitIntervalInSeconds": 1}),
            "CanarySize INSTANCE_COUNT",
        ),
        ({"RollingUpdatePolicy": {"WaitIntervalInSeconds": 1}}, "RollingUpdatePolicy"),
        ({"AutoRollbackConfiguration": {"Alarms": []}}, "without BlueGreenUpdatePolicy"),
    ],
)  # fmt: skip
def test_rollouts_that_the_twin_cannot_do_are_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError, match=said):
        plan_of(config)


def test_a_record_is_as_sagemaker_writes_it() -> None:
    found = record()
    metadata = found.pop("eventMetadata")
    assert found == {
        "captureData": {
            "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": "1,2", "encoding": "CSV"},
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8", "mode": "OUTPUT", "data": "0.25\n", "encoding": "CSV",
            },
        },
        "eventVersion": "0",
    }  # fmt: skip
    assert metadata["inferenceId"] == "id-7"
    assert re.fullmatch(r"[0-9a-f-]{36}", metadata["eventId"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["inferenceTime"])


def test_the_keys_order_is_sagemakers() -> None:
    assert list(record()) == ["captureData", "eventMetadata", "eventVersion"]
    assert "inferenceId" not in json.loads(capture_record(CAPTURE, "text/csv", b"1", ANSWER, ""))["eventMetadata"]


@pytest.mark.parametrize(
    ("kind", "body", "encoding", "data"),
    [
        ("text/csv", b"1,2", "CSV", "1,2"),
        ("text/csv; header=present", b"1,2", "CSV", "1,2"),
        ("application/json", b'{"a": 1}', "JSON", '{"a": 1}'),
        ("application/x-npy", b"\x93NUMPY", "BASE64", base64.b64encode(b"\x93NUMPY").decode()),
        ("", b"1", "BASE64", "MQ=="),
    ],
)
def test_the_encoding_follows_the_content_type(kind: str, body: bytes, encoding: str, data: str) -> None:
    found = record(kind=kind, body=body)["captureData"]["endpointInput"]
    assert (found["encoding"], found["data"], found["observedContentType"]) == (encoding, data, kind)


def test_without_content_types_all_is_base64() -> None:
    bare = {key: value for key, value in CAPTURE.items() if key != "CaptureContentTypeHeader"}
    assert {part["encoding"] for part in record(bare)["captureData"].values()} == {"BASE64"}


@pytest.mark.parametrize(
    ("modes", "sides"),
    [
        (["Input"], ["endpointInput"]),
        (["Output"], ["endpointOutput"]),
        (["InputAndOutput"], ["endpointInput", "endpointOutput"]),
    ],
)
def test_only_the_sides_that_are_asked_for(modes: list[str], sides: list[str]) -> None:
    capture = CAPTURE | {"CaptureOptions": [{"CaptureMode": mode} for mode in modes]}
    assert list(record(capture)["captureData"]) == sides
