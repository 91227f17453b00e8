"""Columns as they are read are the arrays that they stand for, and are counted alike."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data.columns import Coded, Column, Texts, coded, columns_of, join, values_of
from driftloop.monitoring.bins import CategoryBins

NAMES = st.lists(st.sampled_from(["north", "south", "", "New York", "Zürich", "new"]), min_size=1, max_size=6)
BINS = CategoryBins(("north", "south"), ("Zürich",))


@st.composite
def _coded(draw: st.DrawFn) -> Coded:
    """Codes may name a value twice, or one that does not come."""
    names = draw(NAMES)
    return Coded(names, np.array(draw(st.lists(st.integers(0, len(names) - 1), max_size=9)), dtype=np.int32))


def _texts(*texts: str) -> Texts:
    content = "\n".join(texts).encode()
    return Texts(content, np.flatnonzero(np.frombuffer(content + b"\n", np.uint8) == ord("\n")).astype(np.uint32))


@given(_coded())
def test_codes_count_as_text_does(column: Coded) -> None:
    values = values_of(column)
    (counts, new), (expected, others) = BINS.tally(column), BINS.tally(values)
    assert counts.tolist() == expected.tolist()
    assert counts.sum() == len(column) == len(values)
    assert new == others
    assert BINS.cells(column).tolist() == BINS.cells(values).tolist()


@given(st.lists(_coded(), min_size=1, max_size=4), st.booleans())
def test_joined_columns_keep_their_codes_where_all_have_some(columns: list[Coded], mixed: bool) -> None:
    parts: list[Column] = [*columns, values_of(columns[0])] if mixed else [*columns]
    joined = join(parts)
    assert isinstance(joined, Coded) != mixed
    assert values_of(joined).tolist() == [value for part in parts for value in values_of(part).tolist()]
    assert values_of(joined).dtype == object
    assert values_of(coded(joined)).tolist() == values_of(joined).tolist()


def test_texts() -> None:
    column = _texts("a", "", "Zürich", "x y")
    assert values_of(column).tolist() == [column[place] for place in range(4)] == ["a", "", "Zürich", "x y"]
    assert (len(column), column.widths.tolist()) == (4, [1, 0, 7, 3])
    assert values_of(join([column, column])).tolist() == values_of(column).tolist() * 2


def test_a_table_as_arrays() -> None:
    table = {"id": _texts("a", "b"), "line": Coded(["n", "s"], np.array([1, 0])), "delay": np.arange(2.0)}
    arrays = {name: values.tolist() for name, values in columns_of(table).items()}
    assert arrays == {"id": ["a", "b"], "line": ["s", "n"], "delay": [0.0, 1.0]}
