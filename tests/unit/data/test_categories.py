"""Columns by codes are the columns that they stand for, and are counted alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data.categories import Coded, Values, coded, codes_of, join
from driftloop.monitoring.bins import CategoryBins

NAMES = st.lists(st.sampled_from(["north", "south", "", "New York", "Zürich", "new"]), min_size=1, max_size=6)
BINS = CategoryBins(("north", "south"), ("Zürich",))


@st.composite
def _columns(draw: st.DrawFn) -> Coded:
    """Codes may name a value twice, or one that does not come."""
    names = draw(NAMES)
    return coded(names, np.array(draw(st.lists(st.integers(0, len(names) - 1), max_size=9)), dtype=np.int32))


def _plain(column: Values) -> Values:
    return np.array(column.tolist(), dtype=object)


@given(_columns())
def test_codes_count_as_text_does(column: Coded) -> None:
    (counts, new), (expected, others) = BINS.tally(column), BINS.tally(_plain(column))
    assert counts.tolist() == expected.tolist()
    assert counts.sum() == len(column)
    assert new == others
    assert BINS.cells(column).tolist() == BINS.cells(_plain(column)).tolist()


@given(st.lists(_columns(), min_size=1, max_size=4), st.booleans())
def test_joined_columns_keep_their_codes_where_all_have_some(columns: list[Values], mixed: bool) -> None:
    parts = [*columns, _plain(columns[0])] if mixed else columns
    joined = join(parts)
    assert joined.tolist() == [value for part in parts for value in part.tolist()]
    assert joined.dtype == object
    assert (getattr(joined, "codes", None) is None) == mixed
    names, places = codes_of(joined)
    assert [names[place] for place in places] == joined.tolist()


def test_what_is_selected_has_codes_of_its_own() -> None:
    column = coded(["a", "b"], np.array([0, 1, 0]))
    for some in (column[1:], column[column == "b"], column.copy()[1:2]):
        names, places = codes_of(some)
        assert [names[place] for place in places] == some.tolist() != column.tolist()


def test_a_column_with_codes_cannot_be_changed() -> None:
    column = coded(["a", "b"], np.array([0, 1, 0]))
    with pytest.raises(ValueError, match="read-only"):
        column[0] = "b"
