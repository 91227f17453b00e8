"""The fast way and the line-by-line way give the same columns and the same quarantine, whatever was captured."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from driftloop.data import capture as module
from driftloop.data import lines
from driftloop.data.capture import decode_capture
from driftloop.data.decoded import LISTED, Decoded, Quarantined, join_decoded, shortened
from driftloop.data.line_by_line import decode_lines
from driftloop.data.plain_rows import plain_rows
from driftloop.data.schema import Schema
from tests.fakes.examples import SCHEMA, capture, record, traffic

ROW = "t1,2026-03-02T10:00:00Z,north,1.5"
SCHEMAS = {output: replace(SCHEMA, output=output) for output in ("probability", "number", "class")}


@pytest.fixture(autouse=True, scope="module")
def _small_pieces() -> Iterator[None]:
    """Small examples are cut as large objects are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FEW", 200)
        patch.setattr(lines, "PIECE", 1_000)
        yield


def _same(schema: Schema, content: bytes, block: int = 777, same_quarantine: bool = True) -> Decoded:
    """What both ways give."""
    blocks = (content[place : place + block] for place in range(0, len(content), block))
    slow, parts = decode_lines(schema, content, len(content)), list(decode_capture(schema, blocks))
    fast = join_decoded(parts) if parts else decode_lines(schema, b"", 0)
    assert fast.columns.keys() == slow.columns.keys()
    for name, values in slow.columns.items():
        assert fast.columns[name].dtype == values.dtype
        # repr tells -0.0 from 0.0.
        assert list(map(repr, fast.columns[name].tolist())) == list(map(repr, values.tolist())), name
    assert not same_quarantine or fast.quarantined == slow.quarantined
    assert fast.refused == slow.refused
    return fast


CELLS = st.sampled_from([
    *"1.5 -2 0 -0.0 +3 .5 5. 1e5 1E-7 1e999 -1e999 5e-324 1_0 nan NaN NAN -nan NA null None inf Infinity 0x1f ten".split(),  # noqa: SIM905
    "", " ", " 1", "1 ", "\t", "9007199254740993", "1" * 400, "0." + "1" * 50, "\u0661", "1\x00", '"1.5"', '""',
    "north", "New York", " south ", "Zürich", "\u3000", "\u202e", "x" * 256, "x" * 257, 'a"b', '"a,b"', '"a\nb"', "'",
])  # fmt: skip
NUMBERS = st.floats(allow_nan=True, width=64).map(repr) | st.from_regex(
    r"[-+]?[0-9]{0,20}\.?[0-9]{0,20}(e[-+]?[0-9]{1,3})?", fullmatch=True
)
TIMES = st.sampled_from(
    [
        "2026-03-02T10:00:00Z",
        "2026-03-02T10:00:00",
        "2026-03-02",
        "2026-03-02T10:00:00+02:00",
        "2026-02-30T10:00:00Z",
        "20260302T100000Z",
        "2026-03-02T24:00:00Z",
        "2026-03-02T10:00:60Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00Z",
        "2199-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-03-02T10:00:00.5Z",
        "2026-03-02T10:00:00z",
        "2026-W10-1",
        "never",
    ]
)
IDS = st.sampled_from(
    ["t1", "t 2", " t3", "", "é", "null", "nan", "a" * 256, "a" * 257, "\u200b", '"t"', "😀"]
) | st.text(max_size=4)
CELL = CELLS | NUMBERS | st.text(max_size=4)
GOOD_ROW = st.builds(
    "t{},2026-03-02T{:02d}:00:00Z,{},{}".format,
    st.integers(0, 99),
    st.integers(0, 23),
    st.sampled_from(["north", "", "Zürich"]),
    st.floats(-9, 9),
)
ANY_ROW = st.builds("{},{},{},{}".format, IDS, TIMES, CELL, CELL) | st.lists(CELL, max_size=6).map(",".join)
SCORES = st.floats(0, 1).map(repr) | st.sampled_from(
    ["0", "1", "1.0001", "-0.0", "nan", "inf", "1_0", "", " 0.5", "0.5 ", "late", "very late", '"0.5"', "0.5\x1f"]
)
BREAKS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n", "\r", ","])


def _payload(cells: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda rows, end, last: end.join(rows) + last,
        st.lists(cells, max_size=4),
        BREAKS,
        st.sampled_from(["", "", "\n", "\r\n", "\n\n", " "]),
    )


@st.composite
def _matching(draw: st.DrawFn) -> bytes:
    rows = draw(st.lists(GOOD_ROW | GOOD_ROW | ANY_ROW, min_size=1, max_size=4))
    scores = [draw(st.floats(0, 1).map(repr) | SCORES) for _ in rows]
    ends = draw(st.sampled_from(["", "\n"])), draw(st.sampled_from(["", "\n"]))
    return record("\n".join(rows) + ends[0], draw(st.sampled_from(["\n", ","])).join(scores) + ends[1])


def _metadata(line: bytes, **values: str) -> bytes:
    value: dict[str, Any] = json.loads(line)
    value["eventMetadata"].update(values)
    return json.dumps(value).encode() + b"\n"


def _compact(line: bytes) -> bytes:
    value = json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False)
    return value.encode("utf-8", "surrogatepass") + b"\n"


MODE, TYPE = b'"mode": "INPUT"', b'"observedContentType": "text/csv", '
BENT: dict[str, Callable[[bytes], bytes]] = {
    "same": lambda line: line,
    "compact": _compact,
    "with an id": lambda line: _metadata(line, inferenceId="7"),
    "unknown key": lambda line: _metadata(line, more="}{"),
    "quotes in an id": lambda line: _metadata(line, eventId='a"b'),
    "no output": lambda line: line.replace(b'"endpointOutput"', b'"other"'),
    "no type": lambda line: line.replace(TYPE, b"", 1),
    "parameters": lambda line: line.replace(b"text/csv", b"Text/CSV ; header=absent"),
    "other type": lambda line: line.replace(b"text/csv", b"application/json", 1),
    "twice": lambda line: line.replace(MODE, MODE + b", " + MODE),
    "data twice": lambda line: line.replace(MODE, MODE + b', "data": ""'),
    "escaped": lambda line: line.replace(b'\\"', b"\\u0022"),
    "twice and escaped": lambda line: line.replace(b'\\"', b"\\u0022").replace(MODE, MODE + b", " + MODE),
    "two on a line": lambda line: line[:-1] + line,
    "two on a line, one below": lambda line: line[:-1] + line + b"\n",
    "two on three lines": lambda line: line[:-1] + line.replace(b"}, ", b"}\n, ", 1),
    "two on two lines": lambda line: line[:-1] + line.replace(b'Data": ', b'Data":\n', 1),
    "windows": lambda line: line[:-1] + b"\r\n",
    "blank before": lambda line: b" \n\n" + line,
    "mark": lambda line: b"\xef\xbb\xbf" + line,
}
RECORDS = _matching() | st.builds(
    record, _payload(GOOD_ROW | ANY_ROW), _payload(SCORES), st.sampled_from(["CSV", "CSV", "BASE64"])
)
LINES = RECORDS | st.builds(lambda line, kind: BENT[kind](line), RECORDS, st.sampled_from(list(BENT)))


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A file of records with bytes changed, removed or added anywhere."""
    content = bytearray(b"".join(draw(st.lists(LINES, min_size=1, max_size=6))))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(content)))
        content[place : place + draw(st.integers(0, 3))] = draw(
            st.sampled_from([b'"', b"\\", b"\n", b"{", b"}", b"\xff", b",", b"\x00"]) | st.binary(max_size=3)
        )
    return bytes(content)


@pytest.mark.parametrize("bent", BENT.values(), ids=list(BENT))
@pytest.mark.parametrize("row", [ROW, '"t1",2026-03-02T10:00:00Z,"north",1.5'], ids=["plain", "quoted"])
def test_records_that_are_a_little_different(bent: Callable[[bytes], bytes], row: str) -> None:
    good = record(ROW, "0.5")
    for content in (bent(record(row, "0.5")), good + bent(record(row, "0.5")) + good):
        _same(SCHEMA, content)


@pytest.mark.parametrize("output", list(SCHEMAS))
@pytest.mark.parametrize(
    "payloads",
    [
        [(ROW, "1_0")],
        [("\ufeff" + ROW, "0.5")],
        [(ROW, "0.5 0.6"), (ROW, "")],
        [(ROW, "0.5\x0b0.6"), (ROW, "")],
        [(ROW, " \n0.5")],
        [(ROW, "0.5,")],
        [(f"{ROW}\n{ROW}", "0.5"), (ROW, "0.5\n0.5")],
        [(ROW, "0.5,0.6"), (f"{ROW}\n{ROW}", "0.5")],
        [(ROW, '"0.5"')],
        [(ROW, "\u0661")],
        [('t1,2026-03-02T10:00:00Z,a"b"c,1', "0.5")],
        [('t1,2026-03-02T10:00:00Z,"a""b",1', "0.5")],
        [('t1,2026-03-02T10:00:00Z,"a"b,1', "0.5")],
        [('t1,2026-03-02T10:00:00Z,"north\n",1', "0.5")],
        [('""', "0.5"), (f"{ROW}\n{ROW}", "1\n1")],
        [("t1,2200-01-01T00:00:00Z,north,1", "0.5")],
        [("t1,1969-12-31T23:59:59Z,north,1", "0.5")],
        [("t1,2026-03-02T10:00:0:Z,north,1", "0.5")],
        [("t1,+026-03-02T10:00:00Z,north,1", "0.5")],
        [("t1,2026-03- 2T10:00:00Z,north,1", "0.5")],
        [("t1,2026-03-02 10:00:00Z,north,1", "0.5")],
        [(" t1,2026-03-02T10:00:00Z,north,1", "0.5")],
        [(" ,2026-03-02T10:00:00Z,north,1", "0.5")],
        [("t\u200b1,2026-03-02T10:00:00Z,north,1", "0.5")],
        [(f"{'i' * 257},2026-03-02T10:00:00Z,north,1", "0.5")],
        [("nan,2026-03-02T10:00:00Z,nan,NAN", "0.5")],
        [("t1,2026-03-02T10:00:00Z,a\0b,ten", "0.5")],
        [("t1,2026-03-02T10:00:00Z,nan,nan\nt1,2026-03-02T10:00:00Z,nan,inf", "1,1")],
        [("t1,2026-03-02T10:00:00Z,north,0." + "1" * 140_000, "0.5")],
        [(f"{ROW}\n\n{ROW}", "0.5\n0.5")],
        [(f"{ROW}\n\n", "0.5")],
    ],
)
def test_payloads_that_only_look_usual(payloads: list[tuple[str, str]], output: str) -> None:
    _same(SCHEMAS[output], b"".join(record(*payload) for payload in payloads))


@settings(max_examples=400, deadline=None)
@given(st.lists(LINES, max_size=12), st.sampled_from(list(SCHEMAS)), st.integers(1, 2000))
def test_both_ways_agree(records: list[bytes], output: str, block: int) -> None:
    _same(SCHEMAS[output], b"".join(records), block)


@settings(max_examples=300, deadline=None)
@given(_damaged(), st.sampled_from(list(SCHEMAS)))
@example(record(ROW, "0.5")[:-1], "probability")
@example(record(ROW, " \n0.5"), "probability")
@example(record(ROW, "0.5")[:-1] + record(ROW, "0.5") + b"\n", "probability")
def test_both_ways_agree_on_damaged_files(content: bytes, output: str) -> None:
    _same(SCHEMAS[output], content)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["good", "bad", "garbage"]), min_size=30, max_size=120))
def test_few_bad_records_among_many(kinds: list[str]) -> None:
    made = {"good": record(ROW, "0.5"), "bad": record("t9,never,north,1", "0.5"), "garbage": b"garbage\n"}
    decoded = _same(SCHEMA, b"".join(made[kind] for kind in kinds))
    assert decoded.rows == kinds.count("good")
    assert [q.line for q in decoded.quarantined] == [n for n, kind in enumerate(kinds, 1) if kind != "good"]


TWO = record(f"{ROW}\nt2,2026-03-02T11:00:00Z,,2\n", "0.25\n0.75\n")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(record(ROW, "0.5"), id="one-row"),
        pytest.param(record(ROW + "\n", "0.5\n")[:-1], id="no-end"),
        pytest.param(TWO * 3, id="two-rows"),
        pytest.param(record(ROW, "0.5") + TWO, id="one-and-two"),
        pytest.param(record(f"{ROW}\r\n{ROW}\r\n", "0.25\r\n0.75\r\n"), id="windows-payload"),
        pytest.param(record(f"{ROW}\n{ROW}", "0.25,0.75"), id="commas-between-scores"),
        pytest.param(record("t1,2026-03-02T10:00:00Z,NA,null\nt2,2026-03-02T10:00:00Z,nan,NaN", "1\n0"), id="missing"),
        pytest.param(record('"t1","2026-03-02T10:00:00Z","New York",1.5', "0.5"), id="quoted"),
        pytest.param(record("t1,2026-03-02T10:00:00Z,Zürich,-1e5", "0.5"), id="other-letters"),
        pytest.param(record("t1,2026-03-02T10:00:00+02:00,x,1\nt2,2026-03-02,x,1", "1\n1"), id="other-times"),
        pytest.param(BENT["compact"](record(ROW, "0.5")), id="compact"),
        pytest.param(BENT["with an id"](record(ROW, "0.5")), id="inference-id"),
        pytest.param(capture(traffic(500), per_record=1), id="many-records"),
        pytest.param(record(f"{'i' * 256},2026-03-02T10:00:00Z,north,1.5", "0.5") * 50, id="longest-ids"),
    ],
)
def test_the_fast_way_takes_what_is_usual(content: bytes) -> None:
    table = plain_rows(SCHEMA, memoryview(content), content.count(b"\n"))
    assert table is not None
    _same(SCHEMA, content)
    assert len(table["score"]) == decode_lines(SCHEMA, content, len(content)).rows


def test_without_its_libraries_the_other_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "plain_rows", None)
    assert _same(SCHEMA, TWO * 50).rows == 100


def test_compiled_code_need_not_be_there() -> None:
    program = "import sys; sys.modules['driftloop.native'] = None; from driftloop.data.capture import plain_rows; print(plain_rows)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_places_do_not_depend_on_how_the_object_is_cut() -> None:
    content = b"".join(record(ROW, "0.5") if n % 7 else b"garbage %d\n" % n for n in range(200))
    found = {block: _same(SCHEMA, content, block).quarantined for block in (1, 333, 10_000, 1 << 20)}
    assert len({str(quarantined) for quarantined in found.values()}) == 1
    for q in found[1]:
        assert content[q.offset :].startswith(q.content.encode())


def test_parts_are_bounded() -> None:
    parts = list(decode_capture(SCHEMA, [capture(traffic(2000), per_record=1)]))
    assert len(parts) > 10
    assert sum(part.rows for part in parts) == 2000
    np.testing.assert_array_equal(join_decoded(parts).columns["delay"], traffic(2000)["delay"])


def test_what_is_told_of_garbage_is_bounded_and_counted_in_full() -> None:
    content = b"".join([record(ROW, "0.5"), b"x\n" * 3000, record("y\n" * 3000, "0\n" * 3000), record(ROW, "0.5")])
    decoded = _same(SCHEMA, content, same_quarantine=False)
    assert (decoded.rows, decoded.refused) == (2, 6000)
    assert len(decoded.quarantined) < 6000
    for q in decoded.quarantined:
        assert content[q.offset - 1 : q.offset] == b"\n"
        assert content[: q.offset].count(b"\n") == q.line - 1


def test_shortening_in_parts_is_shortening_at_once() -> None:
    refused = [Quarantined(n, 10 * n, "bad", "x") for n in range(1, 3501)]
    whole = shortened(refused)
    assert [*whole[:LISTED], whole[-1].rows] == [*refused[:LISTED], 2500]
    assert (whole[-1].line, whole[-1].offset) == (1001, 10010)
    for cut in (0, 400, 1000, 2000, 3500):
        assert shortened([*shortened(refused[:cut]), *shortened(refused[cut:])]) == whole


def test_a_time_of_a_hundred_thousand_spaces_among_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PIECE", 7_000_000)
    padded = record("t2," + " " * 131_072 + "2026-03-02T10:00:00Z,north,1", "0.5")
    decoded = _same(SCHEMA, record(ROW, "0.5") * 700 + padded)
    assert (decoded.rows, decoded.refused) == (700, 1)


def test_line_ends_without_lines_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes a line end, not what a row would have."""
    asked: list[int] = []
    empty = np.empty
    monkeypatch.setattr(
        np, "empty", lambda shape, *more, **kinds: asked.append(int(np.prod(shape))) or empty(shape, *more, **kinds)
    )
    content = record(ROW, "0.5") + b"\n" * 200_000
    assert plain_rows(SCHEMA, memoryview(content), 200_001) is None
    commas = record("\n" * 100_000, "," * 100_000) * 2
    assert plain_rows(SCHEMA, memoryview(commas), 2) is None
    assert max(asked, default=0) < 10 * len(content)


def test_an_object_that_is_not_read_to_its_end_leaves_no_work_behind() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.05)
        return item

    results = module._side_by_side(work, iter(range(50)))
    assert next(results) == 0
    results.close()
    count = len(begun)
    time.sleep(0.2)
    assert len(begun) == count < 8


def test_results_before_a_fault_are_given() -> None:
    def work(item: int) -> int:
        time.sleep(0.01 * (item == 0))
        return 1 // (item - 4)

    given: list[int] = []
    with pytest.raises(ZeroDivisionError):
        given.extend(module._side_by_side(work, iter(range(9))))
    assert len(given) == 4
