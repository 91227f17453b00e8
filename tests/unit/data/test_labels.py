"""Ground truth files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data import labels as module
from driftloop.data.decoded import LISTED
from driftloop.data.labels import decode_labels
from tests.fakes.examples import label_line


def _line(row_id: object, data: object) -> bytes:
    return json.dumps({"groundTruthData": {"data": data}, "eventMetadata": {"eventId": row_id}}).encode()


@pytest.mark.parametrize(("data", "label"), [("0", 0), ("1", 1), ("1.0", 1), ("0.0", 0), (1, 1), (0.0, 0), (" 1 ", 1)])
def test_ways_to_write_a_label(data: object, label: int) -> None:
    assert decode_labels([_line("t1", data)]) == ({"t1": label}, [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (_line("t1", "2"), "label '2' is not 0 or 1"),
        (_line("t1", ""), "label '' is not 0 or 1"),
        (_line("t1", True), "label 'True' is not 0 or 1"),
        (_line("t1", None), "label 'NoneType' is not 0 or 1"),
        (_line("t1", [1]), "label 'list' is not 0 or 1"),
        (_line(5, "1"), "eventId is not text but int"),
        (_line("", "1"), "id '' is empty"),
        (b"{}", "not a ground truth record: KeyError"),
        (b"[]", "not a ground truth record: TypeError"),
        (b"\xff", "not a ground truth record: UnicodeDecodeError"),
        (b"[" * 100_000, "not a ground truth record: RecursionError"),
        (_line("t1", 1).replace(b"1}", b"1" * 5000 + b"}", 1), "not a ground truth record: ValueError"),
    ],
)
def test_what_is_no_label(line: bytes, reason: str) -> None:
    labels, (refused,) = decode_labels([line])
    assert labels == {}
    assert reason in refused.reason


def test_nested_data_is_refused_at_any_depth() -> None:
    for depth in range(1, 1200, 7):
        line = _line("t1", 1).replace(b'"data": 1', b'"data": ' + b"[" * depth + b"]" * depth)
        labels, (refused,) = decode_labels([line])
        assert labels == {}
        assert refused.line == 1


def test_a_label_given_twice_must_agree_with_itself() -> None:
    labels, refused = decode_labels([label_line("a", 1), label_line("a", 1), label_line("a", 0), label_line("b", 0)])
    assert labels == {"a": 1, "b": 0}
    assert [(q.line, q.reason) for q in refused] == [(3, "label of 'a' contradicts an earlier line of the same object")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_and_offset_lead_back_to_what_was_refused(end: bytes) -> None:
    content = end.join([label_line("a", 1).strip(), b"", b"garbage", label_line("b", 0).strip(), b"rubbish"])
    _, refused = decode_labels(content.splitlines(keepends=True))
    assert [content[q.offset :].splitlines()[0] for q in refused] == [b"garbage", b"rubbish"]
    assert [q.line for q in refused] == [3, 5]


def test_an_oversized_record_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 100)
    _, (refused,) = decode_labels([_line("t" * 200, 1)])
    assert "is larger than 100" in refused.reason


@given(st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"") + b"\n"), max_size=6))
def test_every_line_is_a_label_or_quarantined(lines: list[bytes]) -> None:
    labels, refused = decode_labels(lines)
    assert len(labels) + len(refused) == sum(1 for line in lines if line.strip())


def test_what_is_told_of_garbage_is_bounded_and_counted_in_full() -> None:
    _, quarantined = decode_labels([b"x\n"] * 5000)
    assert len(quarantined) == LISTED + 1
    assert sum(item.rows for item in quarantined) == 5000


@pytest.mark.parametrize(
    "line",
    [
        b'{"groundTruthData": {"data": "1", "data": "0"}, "eventMetadata": {"eventId": "a"}}',
        b'{"groundTruthData": {"data": "1"}, "eventMetadata": {"eventId": "a", "eventId": "b"}}',
    ],
)
def test_a_key_that_is_there_twice_is_refused(line: bytes) -> None:
    labels, (refused,) = decode_labels([line])
    assert labels == {}
    assert refused.reason.endswith("is there twice")
