"""How files are cut into requests, and how records and answers are put together."""

from __future__ import annotations

from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.twin.batches import MB, BadFileError, Cut, answers_of, columns_of, joined, requests
from driftloop.twin.errors import ApiError


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[place : place + size] for place in range(0, len(content), size)]


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=40), st.integers(1, 50), st.booleans())  # fmt: skip
def test_nothing_is_lost_and_every_request_is_as_full_as_it_can_be(lines: list[bytes], size: int, end: bool) -> None:
    content = b"\n".join(lines) + (b"\n" if end and lines else b"")
    cut = list(requests(pieces(content, size), Cut(limit=30)))
    assert b"".join(chain(*cut)) == content
    assert all(record.endswith(b"\n") for record in list(chain(*cut))[:-1])
    assert all(0 < len(b"".join(records)) <= 30 for records in cut)
    for records, following in pairwise(cut):
        assert len(b"".join([*records, following[0]])) > 30


def test_records_one_by_one_and_a_whole_file() -> None:
    content = [b"a\nb", b"\nc"]
    assert list(requests(content, Cut(10, single=True))) == [[b"a\n"], [b"b\n"], [b"c"]]
    assert list(requests(content, Cut(10, by_line=False))) == [[b"a\nb\nc"]]
    assert list(requests([], Cut(10))) == list(requests([b""], Cut(10, by_line=False))) == []


@pytest.mark.parametrize("cut", [Cut(MB), Cut(MB, by_line=False)])
def test_a_record_that_does_not_fit_is_found_out_before_all_of_it_is_read(cut: Cut) -> None:
    def endless() -> object:
        yield b"a\n"
        while True:
            yield b"x" * 1000

    with pytest.raises(BadFileError, match="larger than MaxPayloadInMB, which is 1"):
        list(requests(endless(), cut))  # type: ignore[arg-type]


def test_columns() -> None:
    assert columns_of("$") is None
    assert columns_of("$[0]") == (0,)
    assert columns_of("$[0,-1]") == columns_of("$[ 0, -1 ]") == (0, -1)
    for path in ("$[1:]", "$[0", "$.id", "$['id']", "$[*]", "$[]", "[0]", "$[0][1]", ""):
        with pytest.raises(ApiError, match="the filter"):
            columns_of(path)


def test_answers() -> None:
    assert answers_of(b"1\r\n2\n", [b"a\n", b"b\n"]) == answers_of(b"1\n2", [b"a", b"b"]) == [b"1", b"2"]
    assert answers_of(b"\n", [b"a"]) == [b""]
    for body in (b"", b"1\n", b"1\n2\n3\n", b"1\n\n2"):
        with pytest.raises(BadFileError, match=r"answered 2 records with \d lines"):
            answers_of(body, [b"a\n", b"b\n"])


def test_rows_are_joined_and_columns_selected() -> None:
    records, answers = [b'1,"a, ""b""",x\r\n', b"2,c,y"], [b"0.5", b"0.25"]
    assert joined(records, answers, None) == b'1,"a, ""b""",x,0.5\n2,c,y,0.25\n'
    assert joined(records, answers, (0, -1)) == b"1,0.5\n2,0.25\n"
    assert joined(records, answers, (-1, 1, 1)) == b'0.5,"a, ""b""","a, ""b"""\n0.25,c,c\n'
    with pytest.raises(BadFileError, match="a row of 4 columns lacks"):
        joined(records, answers, (4,))


@pytest.mark.parametrize("line", [b'"a\n', b'a"b"c\rd\n', b"\xff\n"])
def test_what_is_no_row_of_its_own_is_refused(line: bytes) -> None:
    with pytest.raises(BadFileError, match="not CSV"):
        joined([line], [b"1"], None)
