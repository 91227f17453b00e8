"""Faults that were put into real and drawn windows are named; real shifts are not called faults."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from driftloop.data.rows import select
from driftloop.data.schema import Columns, Feature, Schema
from driftloop.demo.flights import load_flights
from driftloop.monitoring.bins import Bins, fit_bins
from driftloop.monitoring.conversions import CONVERSIONS
from driftloop.monitoring.encodings import explain
from driftloop.monitoring.faults import Fault, FaultKind, find_faults, steady_columns
from driftloop.monitoring.profile import Profile, profile_columns
from driftloop.spec import load_model
from tests.conftest import ROOT

Change = Callable[[np.ndarray], np.ndarray]
ENOUGH = 0.95
"""Share of windows in which a fault must be named, and nothing else."""


@dataclass(frozen=True)
class World:
    """A reference, and windows to compare with it."""

    schema: Schema
    bins: dict[str, Bins]
    reference: Profile
    windows: list[Columns]

    def faults(self, rows: Columns) -> list[Fault]:
        return find_faults(self.bins, self.reference, self.profile(rows), [f.name for f in self.schema.features])

    def profile(self, rows: Columns) -> Profile:
        return profile_columns(self.bins, rows, self.schema)

    def named(self, kind: FaultKind, columns: set[str], change: Callable[[Columns], Columns]) -> float:
        """Share of windows in which exactly this fault is found after a change."""
        found = [self.faults(change(rows)) for rows in self.windows]
        return np.mean([[(f.kind, set(f.columns)) for f in faults] == [(kind, columns)] for faults in found]).item()


def _world(schema: Schema, training: Columns, windows: list[Columns]) -> World:
    bins = {feature.name: fit_bins(feature, training[feature.name]) for feature in schema.features}
    return World(schema, bins, profile_columns(bins, training, schema), windows)


@lru_cache(maxsize=1)
def _flights() -> tuple[Schema, Columns]:
    spec = load_model(ROOT / "models" / "flight_delay" / "model.yaml")
    schema = Schema.from_spec(spec.compiled())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = load_flights(spec)
        columns: Columns = {schema.time: table[schema.time].str[:-1].to_numpy().astype("datetime64[s]")}
        for name in schema.payload:
            if name != schema.time:
                text = name == schema.id or any(f.name == name and f.is_category for f in schema.features)
                columns[name] = (
                    table[name].fillna("").astype(str).to_numpy(object) if text else table[name].to_numpy(float)
                )
    return schema, columns


def _days(start: str, end: str) -> tuple[Columns, list[Columns]]:
    """All flights between two dates, together and by day."""
    schema, columns = _flights()
    dates = columns[schema.time].astype("datetime64[D]")
    inside = (dates >= np.datetime64(start)) & (dates < np.datetime64(end))
    return select(columns, inside), [select(columns, dates == date) for date in np.unique(dates[inside])]


@lru_cache(maxsize=1)
def _march() -> World:
    return _world(_flights()[0], _days("2013-01-01", "2013-03-01")[0], _days("2013-03-01", "2013-03-31")[1])


NUMBERS = {"small": (20.0, 5.0), "middle": (60.0, 10.0), "large": (300.0, 40.0)}
NAMES = {"colour": ["red", "green", "blue", "black", "white"], "side": ["north", "south", "east", "west"]}
DRAWN = Schema(
    "id", "time", "label", timedelta(0),
    (*(Feature(name, "number") for name in NUMBERS), *(Feature(name, "category") for name in NAMES)),
)  # fmt: skip


def _draw(seed: int, rows: int, days: int = 1, shift: float = 0.0, spread: float = 1.0) -> Columns:
    rng = np.random.default_rng(seed)
    start = np.datetime64("2024-01-01T00:00:00")
    columns: Columns = {
        "id": np.array([f"row {number}" for number in rng.integers(0, 2**40, rows)], dtype=object),
        "time": start + rng.integers(0, 86_400 * days, rows).astype("timedelta64[s]"),
    }
    for name, (mean, deviation) in NUMBERS.items():
        columns[name] = rng.normal(mean + shift * deviation, spread * deviation, rows)
    for name, values in NAMES.items():
        shares = np.arange(2, len(values) + 2)[:: 1 if shift >= 0 else -1] ** 1.0
        columns[name] = rng.choice(np.array(values, dtype=object), rows, p=shares / shares.sum())
    return columns


@lru_cache(maxsize=1)
def _drawn() -> World:
    return _world(DRAWN, _draw(1000, 30_000, days=60), [_draw(seed, 1000) for seed in range(40)])


WORLDS = {"flights": _march, "drawn": _drawn}


def _of(column: str, change: Change) -> Callable[[Columns], Columns]:
    return lambda rows: {**rows, column: change(rows[column])}


def _texts(change: Callable[[str], str]) -> Change:
    return lambda values: np.array([change(value) for value in values.tolist()], dtype=object)


def _each(flights: str, drawn: str) -> Iterator[tuple[str, str]]:
    yield from (("flights", name) for name in flights.split())
    yield from (("drawn", name) for name in drawn.split())


EVERYWHERE = list(
    _each("carrier origin dest hour distance temp dewp humid wind_speed precip visib", "large colour side")
)
CONTINUOUS = list(_each("distance temp dewp humid wind_speed pressure", "small middle large"))
CATEGORIES = list(_each("carrier origin dest", "colour side"))


# Faults are named


@pytest.mark.parametrize(("world", "column"), EVERYWHERE)
def test_a_column_that_went_missing(world: str, column: str) -> None:
    def lose(values: np.ndarray) -> np.ndarray:
        missing = "" if values.dtype == object else np.nan
        return np.where(np.arange(len(values)) % 10 < 7, missing, values).astype(values.dtype)

    assert WORLDS[world]().named(FaultKind.MISSING, {column}, _of(column, lose)) >= ENOUGH


STUCK = list(
    _each("carrier origin dest hour distance temp dewp humid wind_speed pressure", "small middle large colour side")
)


@pytest.mark.parametrize(("world", "column"), STUCK)
def test_a_constant_column(world: str, column: str) -> None:
    def stick(values: np.ndarray) -> np.ndarray:
        known = values[values != ""] if values.dtype == object else values[~np.isnan(values)]
        return np.full(len(values), known[len(known) // 2], dtype=values.dtype)

    assert WORLDS[world]().named(FaultKind.CONSTANT, {column}, _of(column, stick)) >= ENOUGH


FACTORS: dict[str, tuple[float, float]] = {
    "times 1000": (1000, 0), "times 100": (100, 0), "times 60": (60, 0), "divided by 1000": (0.001, 0),
    "divided by 100": (0.01, 0), "divided by 60": (1 / 60, 0),
}  # fmt: skip
UNITS: dict[str, tuple[float, float]] = {
    "miles to kilometres": (1.609344, 0), "miles per hour to metres per second": (0.44704, 0),
    "Fahrenheit to Celsius": (5 / 9, -160 / 9), "Celsius to Fahrenheit": (1.8, 32),
    "Fahrenheit to Kelvin": (5 / 9, 273.15 - 160 / 9), "Celsius to Kelvin": (1, 273.15),
}  # fmt: skip
CONVERTED = [
    *((world, column, name) for name in FACTORS for world, column in CONTINUOUS),
    *(("drawn", column, name) for name in UNITS for column in NUMBERS),
    ("flights", "temp", "Fahrenheit to Celsius"), ("flights", "temp", "Fahrenheit to Kelvin"),
    ("flights", "dewp", "Fahrenheit to Celsius"),
    ("flights", "dewp", "Fahrenheit to Kelvin"), ("flights", "distance", "miles to kilometres"),
    ("flights", "wind_speed", "miles per hour to metres per second"),
]  # fmt: skip


@pytest.mark.parametrize(("world", "column", "unit"), CONVERTED)
def test_a_unit_change(world: str, column: str, unit: str) -> None:
    factor, offset = (FACTORS | UNITS)[unit]
    change = _of(column, lambda values: values * factor + offset)
    assert WORLDS[world]().named(FaultKind.UNIT, {column}, change) >= ENOUGH
    told = [fault.reason for rows in WORLDS[world]().windows for fault in WORLDS[world]().faults(change(rows))]
    assert np.mean([unit in reason for reason in told]) >= 0.8


SWAPS = [
    *(("flights", a, b) for a, b in (("carrier", "origin"), ("origin", "dest"), ("carrier", "dest"))),
    *(("flights", a, b) for a, b in (("temp", "pressure"), ("distance", "hour"), ("distance", "humid"))),
    *(("flights", a, b) for a, b in (("temp", "humid"), ("dewp", "humid"), ("humid", "wind_speed"))),
    *(("flights", a, b) for a, b in (("weekday", "hour"), ("wind_speed", "distance"), ("wind_speed", "hour"))),
    *(("drawn", a, b) for a, b in (("small", "middle"), ("small", "large"), ("middle", "large"), ("colour", "side"))),
]


@pytest.mark.parametrize(("world", "a", "b"), SWAPS)
def test_swapped_columns_are_one_fault(world: str, a: str, b: str) -> None:
    swap = lambda rows: {**rows, a: rows[b], b: rows[a]}  # noqa: E731
    assert WORLDS[world]().named(FaultKind.SWAPPED, {a, b}, swap) >= ENOUGH


def test_swapped_columns_within_each_others_range_and_names() -> None:
    """Only the distributions differ: 70 +- 10 and 50 +- 10, and two columns of the same teams."""
    schema = Schema(
        "id", "time", "label", timedelta(0),
        (Feature("a", "number"), Feature("b", "number"), Feature("home", "category"), Feature("away", "category")),
    )  # fmt: skip

    def draw(seed: int, rows: int) -> Columns:
        rng, teams = np.random.default_rng(seed), np.array(list("pqrst"), dtype=object)
        shares = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
        return {
            **{name: _draw(seed, rows)[name] for name in ("id", "time")},
            "a": rng.normal(70, 10, rows),
            "b": rng.normal(50, 10, rows),
            "home": rng.choice(teams, rows, p=shares),
            "away": rng.choice(teams, rows, p=shares[::-1]),
        }

    world = _world(schema, draw(1, 30_000), [draw(seed, 1000) for seed in range(2, 42)])
    assert not any(map(world.faults, world.windows))
    assert world.named(FaultKind.SWAPPED, {"a", "b"}, lambda rows: {**rows, "a": rows["b"], "b": rows["a"]}) >= ENOUGH
    swap = lambda rows: {**rows, "home": rows["away"], "away": rows["home"]}  # noqa: E731
    assert world.named(FaultKind.SWAPPED, {"home", "away"}, swap) >= ENOUGH


SPELLINGS: dict[str, Callable[[str], str]] = {
    "case": str.swapcase,
    "blanks": lambda name: f" {name} ",
    "quotes": lambda name: f'"{name}"',
    "bytes": lambda name: f"b'{name}'",
    "prefix": lambda name: f"code_{name}",
    "suffix": lambda name: f"{name}-US",
    "full width": lambda name: "".join(chr(ord(letter) + 0xFEE0) for letter in name),
    "codes": lambda name: str(sum(map(ord, name)) % 1000),
}


@pytest.mark.parametrize(("world", "column"), CATEGORIES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_encoding_change(world: str, column: str, spelling: str) -> None:
    change = _of(column, _texts(SPELLINGS[spelling]))
    assert WORLDS[world]().named(FaultKind.ENCODING, {column}, change) >= ENOUGH


@pytest.mark.parametrize(("world", "column"), CATEGORIES)
def test_a_flood_of_unseen_categories(world: str, column: str) -> None:
    new = _of(column, lambda values: np.array([f"x{n % 23:02d}y" for n in range(len(values))], dtype=object))
    assert WORLDS[world]().named(FaultKind.UNSEEN, {column}, new) >= ENOUGH


@pytest.mark.parametrize(("world", "column"), list(_each("hour distance temp dewp humid visib", "small middle large")))
def test_a_range_jump(world: str, column: str) -> None:
    def jump(values: np.ndarray) -> np.ndarray:
        return -123_456.7 - 5432.1 * np.sin(np.arange(len(values)))

    assert WORLDS[world]().named(FaultKind.RANGE, {column}, _of(column, jump)) >= ENOUGH


@pytest.mark.parametrize("column", ["distance", "temp", "dewp", "humid", "wind_speed", "visib"])
@pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
@pytest.mark.parametrize(("low", "high"), [(9999.0, 9999.0), (12_000.0, 24_000.0)])
def test_a_filler_in_most_rows_is_no_unit_change(column: str, share: float, low: float, high: float) -> None:
    """The other rows are where they always were."""
    rng = np.random.default_rng(1)

    def fill(values: np.ndarray) -> np.ndarray:
        fillers = np.round(rng.uniform(low, high, len(values)))
        return np.where(np.isnan(values) | (rng.random(len(values)) >= share), values, fillers)

    assert _march().named(FaultKind.RANGE, {column}, _of(column, fill)) >= ENOUGH


@lru_cache(maxsize=1)
def _rounded() -> World:
    """Months of a contract, which are whole numbers with a long tail, and a balance about zero."""
    schema = Schema("id", "time", "label", timedelta(0), (Feature("months", "integer"), Feature("balance", "number")))

    def draw(seed: int, rows: int) -> Columns:
        rng = np.random.default_rng(seed)
        return {
            **{name: _draw(seed, rows)[name] for name in ("id", "time")},
            "months": np.floor(rng.exponential(24, rows)),
            "balance": np.round(rng.normal(size=rows), 4),
        }

    return _world(schema, draw(1, 30_000), [draw(seed, 1000) for seed in range(2, 42)])


@pytest.mark.parametrize(
    ("column", "factor", "unit"),
    [("months", 1 / 12, "months to years"), ("months", 30.4375, "months to days"), ("balance", 1000.0, "times 1000")],
)
def test_a_unit_change_of_rounded_numbers(column: str, factor: float, unit: str) -> None:
    world = _rounded()
    assert not any(map(world.faults, world.windows))
    change = _of(column, lambda values: values * factor)
    assert world.named(FaultKind.UNIT, {column}, change) >= ENOUGH
    assert np.mean([unit in world.faults(change(rows))[0].reason for rows in world.windows]) >= ENOUGH


def test_whole_numbers_that_lie_close_together_are_their_columns_own() -> None:
    """So few steps of the moments that the deviation is not exact; the sums are."""
    world = _rounded()
    rows = world.windows[0]
    assert world.faults({**rows, "months": 5.0 + np.arange(1000) % 2}) == []


def test_one_value_in_all_rows_may_be_a_unit_change() -> None:
    """The days of clear sight: ten miles in every row, by nature."""
    world = _march()
    clear = {**world.windows[0], "visib": np.full(len(world.windows[0]["visib"]), 10.0)}
    names = [feature.name for feature in world.schema.features]

    def told(visib: np.ndarray) -> list[FaultKind]:
        profile = world.profile({**clear, "visib": visib})
        return [fault.kind for fault in find_faults(world.bins, world.reference, profile, names, {"visib"})]

    assert told(clear["visib"]) == []
    assert told(clear["visib"] * 1.609344) == [FaultKind.UNIT]
    assert told(clear["visib"] * 1000) == [FaultKind.UNIT]
    assert told(np.where(np.arange(len(clear["visib"])) < 10, 1.5, 10.0) * 1.609344) == [FaultKind.UNIT]
    assert told(np.full(len(clear["visib"]), 9999.0)) == [FaultKind.RANGE]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_duplicated_traffic(world: str, share: float) -> None:
    def twice(rows: Columns) -> Columns:
        places = np.arange(len(rows[WORLDS[world]().schema.id]))
        return select(rows, np.r_[places, places[: int(share * len(places))]])

    assert WORLDS[world]().named(FaultKind.DUPLICATED, set(), twice) >= ENOUGH


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("share", [0.7, 1.0])
def test_a_timestamp_that_stands_still(world: str, share: float) -> None:
    time = WORLDS[world]().schema.time
    stop = _of(time, lambda times: np.where(np.arange(len(times)) < (1 - share) * len(times), times, times[0]))
    assert WORLDS[world]().named(FaultKind.STANDSTILL, set(), stop) >= ENOUGH


def test_two_causes_are_two_faults_and_reasons_have_numbers() -> None:
    world = _drawn()
    rows = world.windows[0]
    twice = select(rows, np.r_[np.arange(1000), np.arange(1000)])
    faults = world.faults({**twice, "large": twice["large"] / 1000, "side": _texts(str.upper)(twice["side"])})
    assert [(fault.kind.value, fault.columns) for fault in faults] == [
        ("unit change", ("large",)),
        ("encoding change", ("side",)),
        ("duplicated traffic", ()),
    ]
    unit, encoding, twofold = (fault.reason for fault in faults)
    assert "large looks converted, divided by 1000 (such as metres to kilometres): mean 0.3" in unit
    assert "(usually mean 299.7, from " in unit
    assert encoding.startswith("side has known names with another case in 100% of rows: ")
    assert twofold == "100% of rows' ids came more than once, 2.0 times each (usually 1.0)"
    assert [fault.share for fault in faults] == [1.0, 1.0, 0.5]


# Real shifts are not


@pytest.mark.parametrize(
    ("start", "end"), [("2013-01-01", "2013-03-01"), ("2013-05-01", "2013-07-01"), ("2013-07-01", "2013-09-01")]
)
def test_a_year_of_days_is_quiet(start: str, end: str) -> None:
    """Summer after winter, new carriers, storms, dry weeks; weather that is really missing is said to be."""
    world = _world(_flights()[0], _days(start, end)[0], [])
    told = []
    for rows in _days(start, "2014-01-01")[1]:
        for fault in world.faults(rows):
            lost = fault.kind is FaultKind.MISSING and np.isnan(rows[fault.columns[0]]).mean() >= 0.5
            told += [] if lost else [fault.reason]
    assert told == []


@pytest.mark.parametrize("shift", [-2.0, -1.0, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("spread", [0.7, 1.0, 1.5])
def test_shifts_of_drawn_windows_are_quiet(shift: float, spread: float) -> None:
    world = _drawn()
    assert not any(world.faults(_draw(seed, 1000, shift=shift, spread=spread)) for seed in range(30))


def test_a_new_carrier_and_the_end_of_one_are_quiet() -> None:
    def renew(values: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(values)) % 5 < 2, "ZZ", np.where(values == "UA", "DL", values)).astype(object)

    world = _march()
    assert not any(world.faults(_of("carrier", renew)(rows)) for rows in world.windows if len(rows["carrier"]) > 500)


def test_a_dry_day_is_no_stuck_rain_gauge_and_a_busy_id_no_duplicate() -> None:
    world = _march()
    rows = world.windows[10]
    ids = rows["flight_id"].copy()
    ids[:80] = ids[0]
    assert world.faults({**rows, "precip": np.zeros(len(ids)), "flight_id": ids}) == []


def test_what_training_was_constant_in_by_nature_is_no_fault() -> None:
    """The temperature of the day, one value for all rows of a day: steady in training, so it may be when live."""
    training = _draw(5, 30_000, days=60)
    days = training["time"].astype("datetime64[D]")
    training["small"] = np.random.default_rng(1).normal(20, 5, 61)[days.astype(int) - days.astype(int).min()]
    world = _world(DRAWN, training, [])
    blocks = [world.profile(select(training, days == day)) for day in np.unique(days)]
    steady = steady_columns(world.bins, blocks)
    assert steady == {"small"}
    live = {**_draw(6, 1000), "small": np.full(1000, 22.0)}
    assert [fault.kind for fault in world.faults(live)] == [FaultKind.CONSTANT]
    names = [feature.name for feature in DRAWN.features]
    assert find_faults(world.bins, world.reference, world.profile(live), names, steady) == []


def test_nothing_is_said_of_nothing() -> None:
    world = _drawn()
    assert world.faults(select(world.windows[0], np.zeros(1000, dtype=bool))) == []
    few = {**select(world.windows[0], np.arange(10)), "small": np.full(10, 1.0)}
    assert world.faults(few) == []


# Names


@pytest.mark.parametrize(
    ("unknown", "known", "told"),
    [
        (["Zurich", "Geneve"], ["Zürich", "Genève", "Bern"], "accents"),
        (["ZÃ¼rich", "GenÃ¨ve"], ["Zürich", "Genève"], "Latin-1"),
        (["7", "12"], ["07", "12.0", "3"], "numbers written differently"),
        (["New_York", "san-francisco"], ["New York", "San Francisco"], "other blanks"),
        (["New%20York"], ["New York"], "other blanks"),
        (["us-east", "us-west"], ["region-us-east", "region-us-west", "region-eu"], "without 'region-'"),
        (["3", "17"], ["red", "green"], "numeric codes instead of names"),
        (["red", "green"], ["3", "17"], "names instead of numeric codes"),
        (["unknown", "other"], ["red", "green"], None),
        ([], ["red"], None),
    ],
)
def test_what_happened_to_names(unknown: list[str], known: list[str], told: str | None) -> None:
    found = explain(dict.fromkeys(unknown, 10), known)
    assert found is None if told is None else found is not None and told in found.text


def test_conversions_come_in_pairs() -> None:
    for conversion in CONVERSIONS:
        back = [other for other in CONVERSIONS if abs(other.factor * conversion.factor - 1) < 1e-9]
        assert any(abs(other.back(conversion.back(7.0)) - 7) < 1e-6 for other in back), conversion.name


def test_numbers_that_are_nearly_zero_are_no_unit_change() -> None:
    feature = Feature("x", "number")
    bins: dict[str, Bins] = {"x": fit_bins(feature, np.random.default_rng(1).gamma(2, 3, 500))}
    usual, now = (
        _counted(bins, values)
        for values in (np.random.default_rng(2).gamma(2, 3, 500), np.array([5e-324, 0.0, 1e-323] * 30))
    )
    assert [fault.kind for fault in find_faults(bins, usual, now, ["x"])] == []


def _counted(bins: dict[str, Bins], values: np.ndarray[Any, Any]) -> Profile:
    times = np.datetime64("2026-03-02", "s") + np.arange(len(values)).astype("timedelta64[m]")
    schema = Schema("id", "time", "label", timedelta(0), (Feature("x", "number"),))
    return profile_columns(bins, {"time": times, "x": values}, schema)
