"""Profiles: merging is exact, in any order and grouping, so a window is the sum of its shards."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.data.rows import select
from driftloop.data.schema import Columns, Feature
from driftloop.data.windows import to_numpy
from driftloop.monitoring.bins import Bins, CategoryBins, NumericBins, fit_bins, fit_categories, fit_numeric
from driftloop.monitoring.moments import moments_of
from driftloop.monitoring.profile import Profile, empty_profile, merge, profile_columns
from tests.fakes.examples import SCHEMA as PLAIN
from tests.fakes.examples import START, traffic

SCHEMA = replace(PLAIN, slices=("line",))
BINS: dict[str, Bins] = {
    "line": CategoryBins(("east", "north"), ("rare",)),
    "delay": NumericBins((0.0, 1.0, 5.0), 1.0, 0.25),
    "score": NumericBins((0.0, 0.5, 1.0), 0.5, 0.125),
}

Cells = tuple[str, int, str, float, float]


def _table(rows: list[Cells]) -> Columns:
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return {
        "trip": np.array(columns[0], dtype=object),
        "departure": to_numpy(START) + np.array(columns[1], dtype="timedelta64[s]"),
        "line": np.array(columns[2], dtype=object),
        "delay": np.array(columns[3], dtype=np.float64),
        "score": np.array(columns[4], dtype=np.float64),
    }


IDS = st.integers(0, 200).map(str)
LINES = st.sampled_from(["east", "north", "rare", ""]) | st.integers(0, 90).map(lambda number: f"new {number}")
ROWS = st.tuples(IDS, st.integers(0, 90000), LINES, st.floats(allow_infinity=False), st.floats(0, 1))
TABLES = st.lists(ROWS, max_size=15).map(_table)
PROFILES = TABLES.map(lambda columns: profile_columns(BINS, columns, SCHEMA))


def _same(left: Profile, right: Profile) -> None:
    assert left.to_dict() == right.to_dict()


@given(PROFILES, PROFILES, PROFILES)
def test_merging_is_associative_and_commutative(a: Profile, b: Profile, c: Profile) -> None:
    _same((a + b) + c, a + (b + c))
    _same(a + b, b + a)
    _same(a + empty_profile(BINS), a)


@given(TABLES, st.lists(st.integers(0, 15), max_size=4))
def test_the_profile_of_a_table_is_the_sum_over_any_split(columns: Columns, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(columns["line"])) for cut in cuts), len(columns["line"])]
    parts = [select(columns, np.arange(a, b)) for a, b in pairwise(places)]
    _same(merge(BINS, (profile_columns(BINS, part, SCHEMA) for part in parts)), profile_columns(BINS, columns, SCHEMA))


@given(TABLES)
def test_every_value_is_in_exactly_one_cell(columns: Columns) -> None:
    profile = profile_columns(BINS, columns, SCHEMA)
    assert {int(counts.sum()) for counts in profile.counts.values()} == {profile.rows}
    for name, bins in BINS.items():
        assert len(bins.labels) == len(profile.counts[name])


@given(PROFILES, PROFILES)
def test_what_was_added_can_be_taken_away(a: Profile, b: Profile) -> None:
    rest, whole = (a + b) - b, a + b
    parts = ("rows", "counts", "joint", "probabilities", "minutes")
    assert {name: rest.to_dict()[name] for name in parts} == {name: a.to_dict()[name] for name in parts}
    for name, moments in rest.moments.items():
        assert (moments.count, moments.total, moments.squares) == (
            a.moments[name].count, a.moments[name].total, a.moments[name].squares,
        )  # fmt: skip
    assert (rest.ids, rest.unseen) == (whole.ids, whole.unseen)


@given(PROFILES)
def test_a_profile_survives_json(profile: Profile) -> None:
    _same(Profile.from_dict(json.loads(json.dumps(profile.to_dict())), BINS), profile)


def test_profiles_of_different_baselines_do_not_merge() -> None:
    with pytest.raises(ValueError, match="different baselines"):
        profile_columns(BINS, _table([]), SCHEMA) + Profile(0, {"line": np.zeros(4, dtype=np.int64)})
    with pytest.raises(ValueError, match="different baselines"):
        profile_columns(BINS, _table([]), SCHEMA) - Profile(0, {"line": np.zeros(4, dtype=np.int64)})


def test_numeric_cells_are_open_on_the_left() -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 5.0, 5.1, np.nan])
    assert NumericBins((0.0, 1.0, 5.0)).count(values).tolist() == [2, 2, 2, 1, 1]
    assert NumericBins((0.0, 1.0, 5.0)).labels == ["below 0", "0 to 1", "1 to 5", "above 5", "missing"]


def test_category_cells_tell_unknown_from_missing() -> None:
    values = np.array(["east", "", "west", "north", "east"], dtype=object)
    bins = CategoryBins(("east", "north"), ("south",))
    assert bins.count(np.append(values, "south")).tolist() == [2, 1, 1, 1, 1]
    assert bins.tally(values)[1] == {"west": 1}
    assert bins.labels == ["east", "north", "rare", "unseen", "missing"]


@given(TABLES)
def test_a_values_cell_is_where_it_is_counted(columns: Columns) -> None:
    for name, bins in BINS.items():
        counted = np.bincount(bins.cells(columns[name]), minlength=len(bins.labels))
        assert counted.tolist() == bins.count(columns[name]).tolist()


@given(st.lists(st.floats(-1e9, 1e9) | st.just(float("nan")), min_size=1, max_size=60))
def test_fitted_bins_hold_their_own_values(values: list[float]) -> None:
    column = np.array(values)
    counts = fit_numeric(column).count(column)
    assert counts[-1] == int(np.isnan(column).sum())
    assert counts[0] == counts[-2] == 0


def test_fitted_bins_have_equal_shares() -> None:
    counts = fit_numeric(np.arange(1000.0)).count(np.arange(1000.0))
    # Outermost what cannot be real, then what can be but was not seen, then ten equal shares.
    assert counts[[0, 1, -3, -2, -1]].tolist() == [0, 0, 0, 0, 0]
    assert len(counts[2:-3]) == 10
    assert set(counts[2:-3].tolist()) <= {99, 100, 101}


def test_a_constant_column_has_one_cell_for_its_value() -> None:
    bins = fit_numeric(np.full(50, 3.0))
    assert bins.labels == ["below -6", "-6 to 3", "3 to 3", "3 to 12", "above 12", "missing"]
    assert bins.count(np.array([-6.1, 2.0, 3.0, 4.0, 12.1])).tolist() == [1, 1, 1, 1, 1, 0]


def test_without_a_declared_range_three_widths_beyond_training_can_be_real() -> None:
    bins = fit_numeric(np.array([10.0, 20.0]))
    assert (bins.labels[0], bins.labels[-2]) == ("below -20", "above 50")
    assert bins.count(np.array([-20.1, -20.0, 50.0, 50.1])).tolist()[0::5] == [1, 1]


def test_the_declared_range_is_the_bound_of_what_can_be_real() -> None:
    bins = fit_numeric(np.array([10.0, 20.0, 30.0]), 0.0, 100.0)
    assert (bins.edges[0], bins.edges[-1]) == (np.nextafter(0.0, -np.inf), 100.0)
    counts = bins.count(np.array([-0.1, 0.0, 5.0, 50.0, 100.0, 100.1]))
    assert (counts[0], counts[-2]) == (1, 1)


def test_a_fault_that_training_holds_does_not_move_a_declared_bound() -> None:
    bins = fit_numeric(np.array([10.0] * 99 + [9999.0]), 0.0, 100.0)
    assert bins.edges[-1] == 100.0
    assert bins.count(np.array([9999.0]))[-2] == 1


@pytest.mark.parametrize(("low", "high"), [(None, None), (0.0, 100.0), (0.0, None)])
def test_a_column_that_training_had_no_value_of(low: float | None, high: float | None) -> None:
    bins = fit_numeric(np.full(9, np.nan), low, high)
    counts = bins.count(np.array([0.0, 50.0, 100.0, np.nan]))
    assert counts.tolist() == [0, 3, 0, 1]
    assert bins.count(np.array([-1.0])).tolist() == ([1, 0, 0, 0] if low == 0 else [0, 1, 0, 0])


def test_the_edge_just_below_zero_is_zero_to_people() -> None:
    bins = fit_numeric(np.arange(11.0), 0.0, 20.0)
    assert bins.labels[:2] == ["below 0", "0 to 1"]
    assert bins.labels[-3:] == ["10 to 20", "above 20", "missing"]
    assert bins.count(np.array([0.0, -0.001])).tolist()[:2] == [1, 1]


def test_rare_categories_go_to_other() -> None:
    names = np.array([f"c{number:03d}" for number in range(100)] + [f"c{number:03d}" for number in range(64)])
    bins = fit_categories(names.astype(object))
    assert bins.values == tuple(f"c{number:03d}" for number in range(64))


def test_the_type_of_a_feature_decides_its_bins() -> None:
    columns = traffic(50)
    assert isinstance(fit_bins(Feature("line", "category"), columns["line"]), CategoryBins)
    assert isinstance(fit_bins(Feature("delay", "integer"), columns["delay"]), NumericBins)


def test_cells_of_whole_numbers_are_named_by_the_numbers() -> None:
    hours = fit_bins(Feature("hour", "integer", 0, 23), np.repeat(np.arange(24.0), 10))
    assert hours.labels[:4] == ["below 0", "0 to 2", "3 to 4", "5 to 7"]
    weekdays = fit_bins(Feature("weekday", "integer", 0, 6), np.repeat(np.arange(7.0), 10))
    assert weekdays.labels == ["below 0", *"0123456", "above 6", "missing"]


LARGEST = float(np.finfo(np.float64).max)


@pytest.mark.parametrize(
    "values",
    [[5e-324] * 9, [-LARGEST, LARGEST] * 9, [1.0, LARGEST, LARGEST], [-LARGEST] * 9, [0.0, 5e-324] * 9, [1e308] * 9],
)
def test_numbers_at_the_ends_of_what_a_double_holds(values: list[float]) -> None:
    column = np.array(values)
    bins = fit_numeric(column)
    moments = moments_of(bins, column)
    mean, deviation = moments.mean(bins), moments.deviation(bins)
    assert mean is not None
    assert deviation is not None
    assert np.isfinite([*bins.edges, bins.origin, bins.step, mean, deviation]).all()
    assert bins.count(column).sum() == len(values)


def test_counts_of_other_bins_are_refused() -> None:
    bins = fit_bins(Feature("delay", "number"), traffic(50)["delay"])
    value = profile_columns({"delay": bins}, traffic(20), PLAIN).to_dict()
    # One number would be added to every cell.
    for counts in ([20], [*value["counts"]["delay"], 0]):
        with pytest.raises(ValueError, match="counts of delay"):
            Profile.from_dict(value | {"counts": {"delay": counts}}, {"delay": bins})
