"""Capture files: everything is counted or quarantined, whatever somebody wrote into them."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data.capture import MAX_LINE, Decoded, decode_capture
from driftloop.data.decoded import join_decoded
from tests.fakes.examples import SCHEMA, capture, payload, record, traffic

GOOD = record("t1,2026-03-02T10:00:00Z,north,1.5\nt2,2026-03-02T11:00:00Z,,\n", "0.25\n0.75\n")
ROW = "t1,2026-03-02T10:00:00Z,north,1.5"


def _decode(*lines: bytes) -> Decoded:
    return join_decoded(list(decode_capture(SCHEMA, lines)))


def _reason(line: bytes) -> str:
    """The one reason for which a line is refused as a whole."""
    decoded = _decode(line)
    assert decoded.rows == 0
    (refused,) = decoded.quarantined
    return refused.reason


@pytest.mark.parametrize("encoding", ["CSV", "BASE64"])
def test_a_good_record(encoding: str) -> None:
    inputs = "t1,2026-03-02T10:00:00Z,north,1.5\nt2,2026-03-02T11:00:00+02:00,,NaN"
    columns = _decode(record(inputs, "0.25\n0.75", encoding)).columns
    assert columns["trip"].tolist() == ["t1", "t2"]
    assert columns["departure"].astype(str).tolist() == ["2026-03-02T10:00:00", "2026-03-02T09:00:00"]
    assert columns["line"].tolist() == ["north", ""]
    np.testing.assert_array_equal(columns["delay"], [1.5, np.nan])
    assert columns["score"].tolist() == [0.25, 0.75]


def test_blank_lines_give_typed_columns_of_length_zero() -> None:
    decoded = _decode(b"\n", b"  \r\n")
    assert decoded.quarantined == []
    assert {name: values.dtype.kind for name, values in decoded.columns.items()} == {
        "trip": "O", "departure": "M", "line": "O", "delay": "f", "score": "f",
    }  # fmt: skip


def test_an_object_without_anything_has_no_part() -> None:
    assert list(decode_capture(SCHEMA, [])) == list(decode_capture(SCHEMA, [b""])) == []


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"not json", id="malformed"),
        pytest.param(GOOD[:90], id="truncated"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"captureData": null}', id="null-capture"),
        pytest.param(b'{"captureData": {"endpointInput": {}, "endpointOutput": {}}}', id="empty-parts"),
        pytest.param(b'{"captureData": {"endpointInput": 5, "endpointOutput": 5}}', id="numbers-for-parts"),
        pytest.param(GOOD.replace(b'"0.25\\n0.75\\n"', b"0.25"), id="data-not-text"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep-list"),
        pytest.param(b'{"captureData":' * 20_000 + b"1" + b"}" * 20_000, id="deep-object"),
        pytest.param(b'{"captureData": ' + b"9" * 10_000 + b"}", id="huge-number"),
        pytest.param(b'{"captureData": "\xff\xfe"}', id="invalid-utf-8"),
        pytest.param(b"\xff\xfe{\x00}\x00", id="utf-16-garbage"),
        pytest.param(record(ROW, "0.5", "BASE64").replace(b'"dDE', b'"*!*'), id="base64-garbage"),
        pytest.param(record(ROW, "0.5", "BASE64").replace(b'"dDE', b'"/w=='), id="base64-padding-inside"),
        pytest.param(GOOD.replace(b'"CSV"', b'"EXCEL"'), id="other-encoding"),
        pytest.param(GOOD.replace(b'"mode"', b'"data"', 1), id="data-twice"),
        pytest.param(GOOD.replace(b'"CSV"', b'["CSV"]'), id="encoding-not-text"),
        pytest.param(record('t1,"2026', "0.5"), id="open-quote"),
        pytest.param(record("t1," + "x" * 200_000, "0.5"), id="cell-longer-than-csv-allows"),
    ],
)
def test_what_is_no_capture_record(line: bytes) -> None:
    assert _reason(line).startswith("not a capture record: ")


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        (ROW, "0.1\n0.2", "1 input rows and 2 predictions"),
        (f"{ROW}\n{ROW}", "0.1", "2 input rows and 1 predictions"),
        ("", "", "no rows"),
        ("t1,2026-03-02T10:00:00Z,north", "0.5", "has 3 cells where the model file declares 4"),
        (f"{ROW},9", "0.5", "has 5 cells"),
        (",2026-03-02T10:00:00Z,north,1", "0.5", "id '' is empty"),
        ("i" * 257 + ",2026-03-02T10:00:00Z,north,1", "0.5", "too long"),
        ("a\u202eb,2026-03-02T10:00:00Z,north,1", "0.5", "not printable"),
        ('"a\nb",2026-03-02T10:00:00Z,north,1', "0.5", "not printable"),
        ("t1,yesterday,north,1", "0.5", "time 'yesterday' is not ISO-8601"),
        ("t1,1969-12-31T23:59:59Z,north,1", "0.5", "outside 1970 to 2200"),
        ("t1,0001-01-01T00:00:00+23:00,north,1", "0.5", "not ISO-8601"),
        ("t1,9999-12-31T23:59:59-23:00,north,1", "0.5", "not ISO-8601"),
        (f"t1,2026-03-02T10:00:00Z,{'x' * 257},1", "0.5", "line 'xxx"),
        ("t1,2026-03-02T10:00:00Z,a\x00b,1", "0.5", "not printable"),
        ("t1,2026-03-02T10:00:00Z,\ud800,1", "0.5", "not printable"),
        ("t1,2026-03-02T10:00:00Z,north,ten", "0.5", "delay 'ten' is not a number"),
        ("t1,2026-03-02T10:00:00Z,north,1_0", "0.5", "delay '1_0' is not a number"),
        ("t1,2026-03-02T10:00:00Z,north,\u0661", "0.5", "is not a number"),
        ("t1,2026-03-02T10:00:00Z,north,1e999", "0.5", "not finite"),
        ("t1,2026-03-02T10:00:00Z,north,-inf", "0.5", "not finite"),
        (ROW, "late", "prediction 'late' is not a number"),
        (ROW, "NaN", "prediction 'NaN' is not a probability"),
        (ROW, "1.0001", "not a probability"),
        (ROW, "-1e-9", "not a probability"),
        (ROW, "[0.5]", "prediction '[0.5]' is not a number"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(inputs: str, outputs: str, reason: str) -> None:
    assert reason in _reason(record(inputs, outputs))


@pytest.mark.parametrize("text", ["", "nan", "NaN", "NA", "null", "None", "  "])
def test_ways_to_write_a_missing_value(text: str) -> None:
    columns = _decode(record(f"t1,2026-03-02T10:00:00Z,{text},{text}", "0.5")).columns
    assert columns["line"].tolist() == [""]
    assert np.isnan(columns["delay"]).all()


def test_a_bad_row_costs_its_record_nothing_else() -> None:
    inputs = f"{ROW}\nt2,2026-03-02T10:00:00Z,north,ten\nt3,2026-03-02T10:00:00Z,north,3"
    decoded = _decode(record(inputs, "0.1\n0.2\n0.3"))
    assert decoded.columns["trip"].tolist() == ["t1", "t3"]
    assert decoded.columns["score"].tolist() == [0.1, 0.3]
    assert [q.content for q in decoded.quarantined] == ["t2,2026-03-02T10:00:00Z,north,ten"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_and_offset_lead_back_to_what_was_refused(end: bytes) -> None:
    lines = [GOOD.strip() + end, end, b"garbage one" + end, GOOD.strip() + end, b"garbage two"]
    content = b"".join(lines)
    decoded = _decode(*content.splitlines(keepends=True))
    assert [q.line for q in decoded.quarantined] == [3, 5]
    assert [content[q.offset :].splitlines()[0] for q in decoded.quarantined] == [b"garbage one", b"garbage two"]
    assert decoded.rows == 4


@pytest.mark.parametrize("block", [100_000, 1 << 20, 1 << 26])
def test_an_oversized_record_is_refused_alone(block: int) -> None:
    line = record(ROW + " " * (2 * MAX_LINE), "0.5")
    content = GOOD + line + b"garbage\n" + GOOD
    decoded = _decode(*(content[place : place + block] for place in range(0, len(content), block)))
    assert decoded.rows == 4
    refused, other = decoded.quarantined
    assert (other.line, other.offset) == (3, len(GOOD + line))
    assert refused.reason == f"record of {len(line)} bytes is larger than {MAX_LINE}"
    assert (refused.line, refused.offset, refused.content) == (2, len(GOOD), line[:500].decode())


def test_what_never_ends_is_not_held_in_memory() -> None:
    block = bytes(1 << 20).replace(b"\0", b"x")
    tracemalloc.start()
    try:
        decoded = _decode(*(block for _ in range(100)))
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_LINE
    finally:
        tracemalloc.stop()
    assert [q.reason for q in decoded.quarantined] == [f"record of {100 << 20} bytes is larger than {MAX_LINE}"]


def test_quarantine_keeps_only_the_start_of_what_was_refused() -> None:
    decoded = _decode(b"x" * 5000)
    assert decoded.quarantined[0].content == "x" * 500
    json.dumps(decoded.quarantined[0].content)


def test_a_whole_file() -> None:
    columns = traffic(100)
    decoded = _decode(capture(columns))
    assert decoded.quarantined == []
    for name in (*SCHEMA.payload, "score"):
        np.testing.assert_array_equal(decoded.columns[name], columns[name])


def _mixtures() -> st.SearchStrategy[list[bytes]]:
    good = st.integers(1, 5).map(lambda n: record("\n".join([ROW] * n), "\n".join(["0.5"] * n)))
    json_lines = st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["captureData", "endpointInput", "endpointOutput", "data"]), inner)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
    hostile = st.builds(record, st.text(max_size=60), st.text(max_size=20), st.sampled_from(["CSV", "BASE64", "X"]))
    junk = st.binary(min_size=1, max_size=40).map(lambda text: text.replace(b"\n", b"").replace(b"\r", b"") or b"x")
    return st.lists(good | json_lines | hostile | junk, max_size=8)


@given(_mixtures())
def test_nothing_is_lost_whatever_is_captured(lines: list[bytes]) -> None:
    """Every line that is not blank is counted, quarantined, or both; and what is counted can be kept."""
    decoded = _decode(*(line.rstrip(b"\n") + b"\n" for line in lines), b"\n")
    told = {q.line for q in decoded.quarantined}
    silent = [n for n, line in enumerate(lines, start=1) if line.strip() and n not in told]
    assert decoded.rows >= len(silent)
    assert {len(values) for values in decoded.columns.values()} == {decoded.rows}
    for text in (*decoded.columns["trip"], *decoded.columns["line"]):
        text.encode()


@given(st.lists(st.sampled_from(["good", "bad"]), min_size=1, max_size=30))
def test_captured_is_counted_plus_quarantined(kinds: list[str]) -> None:
    rows = [ROW if kind == "good" else "t9,never,north,1" for kind in kinds]
    decoded = _decode(record("\n".join(rows), "\n".join("0.5" for _ in rows)))
    assert decoded.rows == kinds.count("good")
    assert len(decoded.quarantined) == kinds.count("bad")


def test_payload_helper_writes_what_the_schema_declares() -> None:
    assert payload(traffic(1), [0]).count(",") == len(SCHEMA.payload) - 1
