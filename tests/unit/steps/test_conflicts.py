"""Rows of one moment with the same features and the other label."""

from __future__ import annotations

import numpy as np
import pytest

from driftloop.data.rows import concatenate, select
from pipelines.steps.conflicts import conflict_faults
from tests.unit.steps.examples import PER_DAY, SCHEMA, rows


def twins(count, days=4, **changes):
    """Rows, and copies of the first of them with ids of their own and the other label."""
    table = rows(days=days)
    copies = select(table, slice(0, count))
    others = {"trip": copies["trip"] + "x", "late": 1 - copies["late"]}
    return concatenate([table, copies | others | {name: change(copies[name]) for name, change in changes.items()}])


def test_rows_of_their_own_have_no_twins():
    assert list(conflict_faults(SCHEMA, rows(), 0.0)) == []


def test_twins_with_the_other_label_are_counted_on_both_sides():
    table = twins(100)
    share = 200 / (4 * PER_DAY + 100)
    assert list(conflict_faults(SCHEMA, table, share + 1e-9)) == []
    [fault] = conflict_faults(SCHEMA, table, share - 1e-9)
    assert fault.startswith(f"{share:.1%} of rows have the same time and features as a row with the other late")
    assert f"e.g. at {table['departure'][0]}Z" in fault


@pytest.mark.parametrize(
    "changes",
    [
        {"departure": lambda times: times + np.timedelta64(1, "s")},
        {"cars": lambda cars: cars + 1},
        {"line": lambda lines: np.where(lines == "north", "south", "north").astype(object)},
    ],
    ids=["time", "number", "category"],
)
def test_what_differs_in_one_of_them_is_no_conflict(changes):
    assert list(conflict_faults(SCHEMA, twins(100, **changes), 0.0)) == []


def test_twins_that_agree_are_no_conflict():
    table = twins(100)
    table["late"][-100:] = table["late"][:100]
    assert list(conflict_faults(SCHEMA, table, 0.0)) == []


def test_missing_values_are_alike():
    table = twins(1)
    table["delay"][[0, -1]] = np.nan
    assert len(list(conflict_faults(SCHEMA, table, 0.0))) == 1


def test_no_rows_have_none():
    assert list(conflict_faults(SCHEMA, select(rows(), slice(0, 0)), 0.0)) == []
