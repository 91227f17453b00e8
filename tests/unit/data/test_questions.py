"""What clients send is asked, or refused with the row, the column and the reason."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data.parsing import parse_row
from driftloop.data.questions import MAX_PROBLEMS, BadQuestionError, Problem, Question, read_csv, read_json
from tests.fakes.examples import SCHEMA

NOW = "2026-03-02T10:00:00Z"
ROW = {"trip": "t1", "departure": "2026-03-02T09:00:00Z", "line": "north", "delay": 1.5}


def _json(*rows: Any) -> Question:
    numbers = count(1)
    return read_json(SCHEMA, json.dumps({"rows": rows}).encode(), NOW, lambda: f"new-{next(numbers)}")


def _refused(*rows: Any) -> list[dict[str, Any]]:
    with pytest.raises(BadQuestionError) as error:
        _json(*rows)
    return [problem.to_dict() for problem in error.value.problems]


def test_objects_become_rows_in_the_order_of_the_model_file() -> None:
    question = _json(dict(reversed(ROW.items())), ROW | {"trip": 7, "line": 'a "quoted", name', "delay": None})
    assert question.ids == ("t1", "7")
    assert question.rows.decode().splitlines() == [
        "t1,2026-03-02T09:00:00Z,north,1.5",
        '7,2026-03-02T09:00:00Z,"a ""quoted"", name",',
    ]


def test_id_and_time_can_be_left_out() -> None:
    question = _json({"line": "north", "delay": 2}, {"line": None, "delay": 3, "trip": None})
    assert question.ids == ("new-1", "new-2")
    assert question.rows.decode().splitlines() == [f"new-1,{NOW},north,2", f"new-2,{NOW},,3"]


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"dela": 1}, "dela", "is no column of this model; do you mean 'delay'?"),
        ({"xyz": 1}, "xyz", "is no column of this model"),
        ({"delay": "1.5"}, "delay", 'delay "1.5" is not a number'),
        ({"delay": True}, "delay", "delay true is not a number"),
        ({"delay": [1]}, "delay", "delay [1] is not a number"),
        ({"line": 7}, "line", "line 7 is not text"),
        ({"line": "x" * 300}, "line", "longer than 256 characters"),
        ({"line": "a\nb"}, "line", "not printable"),
        ({"trip": ""}, "trip", "is empty, too long or not printable"),
        ({"departure": "noon"}, "departure", "'noon' is not ISO-8601"),
        ({"departure": 5}, "departure", "time 5 is not text"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change: dict[str, Any], column: str, reason: str) -> None:
    [problem] = _refused(ROW, ROW | change)
    assert (problem["row"], problem["column"]) == (2, column)
    assert reason in problem["reason"]


def test_a_feature_that_is_missing_is_told_from_one_that_is_not_known() -> None:
    assert _refused({"line": "north"}) == [
        {"row": 1, "column": "delay", "reason": "is missing; send null if it is not known"}
    ]


def test_all_problems_are_told_up_to_a_number() -> None:
    assert len(_refused(*[ROW | {"delay": "x", "line": 1} for _ in range(3)])) == 6
    assert len(_refused(*[7 for _ in range(100)])) == MAX_PROBLEMS


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "there are no rows"),
        (b"{}", "there are no rows"),
        (b'{"rows": []}', "there are no rows"),
        (b'{"rows": {"line": "a"}}', "there are no rows"),
        (b'{"rows": [{"line": "a", "delay": NaN}]}', "NaN is no number; send null"),
        (b'{"rows": [{"line": "a", "line": "b", "delay": 1}]}', "has a name twice"),
        (b'{"rows": [{"line": "a", "delay": 1e999}]}', "is not finite"),
    ],
)
def test_bodies_that_are_no_question(body: bytes, reason: str) -> None:
    with pytest.raises(BadQuestionError, match=reason):
        read_json(SCHEMA, body, NOW, str)


def test_many_wrong_names_are_not_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    class Name(str):
        def __len__(self) -> int:
            looked.append(self)
            return super().__len__()

    rows = [{Name(f"wrong{n}"): 1 for n in range(100)} for _ in range(100)]
    monkeypatch.setattr("driftloop.data.questions._rows", lambda _: rows)
    with pytest.raises(BadQuestionError) as error:
        read_json(SCHEMA, b"", NOW, str)
    assert len(error.value.problems) == MAX_PROBLEMS
    assert len(set(looked)) <= MAX_PROBLEMS + 1


def test_csv_is_checked_row_by_row() -> None:
    good = b"t1,2026-03-02T10:00:00Z,north,1.5\n\nt2,2026-03-02T10:00:00Z,,\n"
    assert read_csv(SCHEMA, good) == Question(good, ("t1", "t2"))
    with pytest.raises(BadQuestionError) as error:
        read_csv(SCHEMA, good + b"t3,noon,north,1\nt4,2026-03-02T10:00:00Z,north\n")
    assert error.value.problems == (
        Problem("time 'noon' is not ISO-8601", 3),
        Problem("has 3 cells where the model file declares 4", 4),
    )


@pytest.mark.parametrize(
    ("body", "reason"), [(b"", "no rows"), (b"\n\n", "no rows"), (b'"', "not CSV"), (b"\xff", "not CSV")]
)
def test_bodies_that_are_no_csv(body: bytes, reason: str) -> None:
    with pytest.raises(BadQuestionError, match=reason):
        read_csv(SCHEMA, body)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@given(st.lists(st.dictionaries(st.sampled_from([*ROW, "other"]), JSON_VALUES), max_size=3))
def test_whatever_is_sent_is_refused_or_read_by_the_model(rows: list[dict[str, Any]]) -> None:
    try:
        question = _json(*rows)
    except BadQuestionError:
        return
    again = read_csv(SCHEMA, question.rows)
    assert again.ids == tuple(row_id.strip() for row_id in question.ids)
    assert len(again.ids) == len(rows)


def test_numbers_are_the_same_on_both_ways() -> None:
    [line] = _json(ROW | {"delay": 0.1 + 0.2}).rows.decode().splitlines()
    assert parse_row(SCHEMA, line.split(","))[3] == 0.1 + 0.2
