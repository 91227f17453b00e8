"""Payloads in JSON and JSON Lines, and predictions of each kind."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data.capture import Decoded, decode_capture
from driftloop.data.decoded import join_decoded
from tests.fakes.examples import SCHEMA

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
ROW = ["t1", "2026-03-02T10:00:00Z", "north", 1.5]
OBJECT = dict(zip(SCHEMA.payload, ROW, strict=True))
ONE = json.dumps([0.5])


def _side(data: str, kind: str | None, encoding: str) -> dict[str, str]:
    text = base64.b64encode(data.encode("utf-8", "surrogatepass")).decode() if encoding == "BASE64" else data
    side = {"mode": "X", "data": text, "encoding": encoding}
    return side if kind is None else side | {"observedContentType": kind}


def _decode(
    inputs: str, outputs: str = ONE, kind: str | None = JSON, encoding: str = "JSON", output: str = "probability"
) -> Decoded:
    sides = {"endpointInput": _side(inputs, kind, encoding), "endpointOutput": _side(outputs, JSON, "JSON")}
    line = json.dumps({"captureData": sides, "eventMetadata": {}, "eventVersion": "0"}).encode()
    return join_decoded(list(decode_capture(replace(SCHEMA, output=output), [line])))


def _reason(decoded: Decoded) -> str:
    assert decoded.rows == 0
    (refused,) = decoded.quarantined
    return refused.reason


@pytest.mark.parametrize("encoding", ["JSON", "BASE64"])
@pytest.mark.parametrize(
    "inputs",
    [
        [ROW],
        [OBJECT],
        ROW,
        OBJECT,
        {"instances": [ROW]},
        {"instances": [OBJECT]},
        {"instances": [{"features": ROW}]},
        {"instances": [{"features": OBJECT}]},
        [dict(reversed(OBJECT.items()))],
    ],
)
def test_ways_to_write_a_row(inputs: Any, encoding: str) -> None:
    decoded = _decode(json.dumps(inputs), encoding=encoding)
    assert decoded.quarantined == []
    assert [decoded.columns[name].tolist() for name in ("trip", "line", "delay", "score")] == [
        ["t1"], ["north"], [1.5], [0.5],
    ]  # fmt: skip
    assert str(decoded.columns["departure"][0]) == "2026-03-02T10:00:00"


@pytest.mark.parametrize("kind", [JSON, "application/json; charset=utf-8", "Application/JSON", None, "text/x-mine"])
def test_the_content_type_decides_or_else_the_encoding(kind: str | None) -> None:
    assert _decode(json.dumps([ROW]), kind=kind).rows == 1


def test_many_rows_and_null_for_missing() -> None:
    rows = [[f"t{n}", ROW[1], None, None] for n in range(3)]
    decoded = _decode(json.dumps(rows), json.dumps({"predictions": [{"score": 0.1}, 0.2, [0.7, 0.3]]}))
    assert decoded.columns["line"].tolist() == [""] * 3
    assert all(map(math.isnan, decoded.columns["delay"]))
    assert decoded.columns["score"].tolist() == [0.1, 0.2, 0.3]


def test_json_lines_lose_only_the_line_that_is_bad() -> None:
    lines = [json.dumps(ROW), "{", json.dumps(OBJECT), '{"trip": "a", "trip": "b"}', ""]
    decoded = _decode("\n".join(lines), json.dumps([0.1, 0.2, 0.3, 0.4]), LINES)
    assert decoded.columns["score"].tolist() == [0.1, 0.3]
    assert [q.reason.partition(":")[0] for q in decoded.quarantined] == ["not JSON", "key 'trip' is there twice"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (json.dumps(OBJECT | {"speed": 1}), "unknown column 'speed'"),
        (json.dumps({k: v for k, v in OBJECT.items() if k != "delay"}), "column delay is missing; write null"),
        (json.dumps(ROW[:3]), "has 3 cells where the model file declares 4"),
        (json.dumps([*ROW, 1]), "has 5 cells"),
        ('["t1", "2026-03-02T10:00:00Z", "north", NaN]', "delay: NaN is not JSON"),
        ('["t1", "2026-03-02T10:00:00Z", "north", -Infinity]', "delay: -Infinity is not JSON"),
        ('["t1", "2026-03-02T10:00:00Z", NaN, 1]', "line: NaN is not JSON"),
        ('["t1", "2026-03-02T10:00:00Z", "north", 1e999]', "delay 'inf' is not finite"),
        (f'["t1", "2026-03-02T10:00:00Z", "north", 1{"0" * 400}]', "delay is not finite"),
        (json.dumps([*ROW[:3], "1.5"]), "delay is text where a number is declared"),
        (json.dumps([*ROW[:3], True]), "delay is a truth value where a number is declared"),
        (json.dumps([*ROW[:3], [1]]), "delay is a list where a number is declared"),
        (json.dumps([*ROW[:2], 1.5, 1]), "line is a number where text is declared"),
        (json.dumps([*ROW[:2], {}, 1]), "line is an object where text is declared"),
        (json.dumps([*ROW[:2], "\ud800", 1]), "not printable"),
        (json.dumps([None, *ROW[1:]]), "trip is null where text is declared"),
        (json.dumps(["", *ROW[1:]]), "id '' is empty"),
        (json.dumps(["t1", 1772445600, *ROW[2:]]), "departure is a number where text is declared"),
        ('{"trip": "a", "trip": "a"}', "key 'trip' is there twice"),
        ('"text"', "row is neither a list nor an object but str"),
    ],
)
def test_a_bad_row_is_refused_alone(row: str, reason: str) -> None:
    decoded = _decode(f"[{json.dumps(ROW)}, {row}]", json.dumps([0.5, 0.6]))
    assert decoded.columns["score"].tolist() == [0.5]
    (refused,) = decoded.quarantined
    assert reason in refused.reason
    json.dumps(refused.content)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ("[", "JSONDecodeError"),
        ("5", "int where rows are expected"),
        ("[]", "record has 0 input rows and 1 predictions"),
        ("{}", "record has 0 input rows and 1 predictions"),
        ('{"instances": [], "more": 1}', "unknown key 'more' beside 'instances'"),
        ('{"instances": [], "instances": []}', "key 'instances' is there twice"),
        ("[" * 100_000, "RecursionError"),
        ("1" * 5000, "ValueError"),
        ('["\\ud800"', "JSONDecodeError"),
        (json.dumps([ROW, ROW]), "record has 2 input rows and 1 predictions"),
    ],
)
def test_a_payload_without_rows(inputs: str, reason: str) -> None:
    assert reason in _reason(_decode(inputs))


def test_invalid_utf_8_in_base64() -> None:
    assert "BASE64 payload: 'utf-8' codec" in _reason(_decode('["\ud800"]', encoding="BASE64"))


def test_a_content_type_that_nobody_reads() -> None:
    assert "content type 'application/x-npy' is none of" in _reason(
        _decode("x", kind="application/x-npy", encoding="BASE64")
    )


@pytest.mark.parametrize(
    ("output", "outputs", "expected"),
    [
        ("probability", "[[0.25, 0.75]]", 0.75),
        ("probability", "[[0.75]]", 0.75),
        ("probability", "0.5", 0.5),
        ("probability", "1", 1.0),
        ("number", '{"predictions": [{"score": -12.5}]}', -12.5),
        ("number", "[[3]]", 3.0),
        ("class", '{"predictions": [{"predicted_label": 2, "score": 0.4}]}', "2"),
        ("class", '["very late"]', "very late"),
    ],
)
def test_predictions(output: str, outputs: str, expected: object) -> None:
    assert _decode(json.dumps([ROW]), outputs, output=output).columns["score"].tolist() == [expected]


@pytest.mark.parametrize(
    ("output", "outputs", "reason"),
    [
        ("probability", "[1.5]", "prediction '1.5' is not a probability"),
        ("probability", "[NaN]", "prediction: NaN is not JSON"),
        ("probability", '["0.5"]', "prediction is text where a number is declared"),
        ("probability", "[[0.2, 0.3, 0.5]]", "prediction is a list where a number is declared"),
        ("probability", '[{"value": 1}]', "prediction: has no score"),
        ("probability", "[true]", "prediction is a truth value"),
        ("number", "[1e999]", "prediction 'inf' is not finite"),
        ("number", "[[1, 2]]", "prediction is a list"),
        ("class", "[0.5]", "prediction is a number where text is declared"),
        ("class", '[""]', "prediction '' is empty"),
    ],
)
def test_predictions_that_are_none(output: str, outputs: str, reason: str) -> None:
    assert reason in _reason(_decode(json.dumps([ROW]), outputs, output=output))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(ROW),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from([*SCHEMA.payload, "instances", "features", "score", "predictions"]), inner)
    ),
    max_leaves=12,
)


@given(VALUES, VALUES, st.sampled_from([JSON, LINES, CSV, None]), st.sampled_from(["probability", "number", "class"]))
def test_nothing_is_lost_and_nothing_breaks(inputs: Any, outputs: Any, kind: str | None, output: str) -> None:
    decoded = _decode(json.dumps(inputs), json.dumps(outputs), kind, output=output)
    assert decoded.rows or decoded.quarantined
    assert {len(values) for values in decoded.columns.values()} == {decoded.rows}
    json.dumps([refused.content for refused in decoded.quarantined])
