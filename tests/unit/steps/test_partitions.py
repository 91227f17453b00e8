"""What one executor does; that Spark puts it together is tested with Spark (tests/spark)."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.monitoring.profile import profile_columns
from driftloop.ports import NotFoundError
from pipelines.steps import partitions
from pipelines.steps.partitions import Counted, OneModel, Table, text
from tests.fakes import examples as ex

SPEC = ex.spec()
BASELINE = ex.baseline()
TABLE = Table(SPEC, BASELINE.to_json(), scored=True)
COLUMNS = ex.traffic(60)
ROWS = [
    [trip, f"{time}Z", line, delay, score]
    for trip, time, line, delay, score in zip(
        *(
            COLUMNS[name].tolist() if name != "departure" else COLUMNS[name].astype(str)
            for name in (*ex.SCHEMA.payload, "score")
        ),
        strict=True,
    )
]
ALONE = profile_columns(BASELINE.bins, COLUMNS, ex.SCHEMA).to_dict()


@given(st.lists(st.integers(0, len(ROWS)), max_size=6), st.randoms(use_true_random=False))
def test_any_split_in_any_order_gives_the_same_profile(cuts: list[int], random: Any) -> None:
    ends = [0, *sorted(cuts), len(ROWS)]
    pieces = [ROWS[a:b] for a, b in pairwise(ends)]
    random.shuffle(pieces)
    first, *others = [counted for piece in pieces for counted in TABLE(iter(piece))]
    assert sum(others, first).profile.to_dict() == ALONE


def test_a_partition_is_read_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "ROWS_AT_ONCE", 7)
    (counted,) = TABLE(iter(ROWS))
    assert counted.profile.to_dict() == ALONE


def test_an_executor_gets_it_as_it_is() -> None:
    (counted,) = pickle.loads(pickle.dumps(TABLE))(ROWS)  # noqa: S301 - our own
    assert counted.profile.to_dict() == ALONE


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (0, None, "id '' is empty"),
        (1, "never", "time 'never' is not ISO-8601"),
        (2, "a\nb", "line .* not printable"),
        (3, "fast", "delay 'fast' is not a number"),
        (3, float("inf"), "delay 'inf' is not finite"),
        (4, None, "prediction '' is not a number"),
        (4, 1.5, "prediction '1.5' is not a probability"),
        (4, float("nan"), "prediction 'nan' is not a probability"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(place: int, value: object, reason: str) -> None:
    bad = [*ROWS[5][:place], value, *ROWS[5][place + 1 :]]
    columns, reasons = TABLE.columns([ROWS[4], bad, ROWS[6]])
    assert columns["trip"].tolist() == [ROWS[4][0], ROWS[6][0]]
    assert len(columns["score"]) == 2
    assert len(reasons) == 1
    assert re.search(reason, reasons[0]), reasons


def test_reasons_are_counted_but_not_all_kept() -> None:
    (counted,) = TABLE([[*row[:3], f"x{number}", 0.5] for number, row in enumerate(ROWS)])
    assert (counted.refused, len(counted.reasons), counted.profile.rows) == (len(ROWS), partitions.REASONS, 0)
    both: Counted = counted + counted
    assert (both.refused, both.reasons) == (2 * len(ROWS), counted.reasons)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (0.1, "0.1"),
        (float("nan"), "nan"),
        (3, "3"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 3, 2), "2026-03-02"),
        (datetime(2026, 3, 2, 10, tzinfo=UTC), "2026-03-02T10:00:00+00:00"),
        (datetime(2026, 3, 2, 10), "2026-03-02T10:00:00+00:00"),  # noqa: DTZ001 - as tables have them
        ("é", "é"),
    ],
)
def test_cells_as_a_capture_has_them(value: object, cell: str) -> None:
    assert text(value) == cell


def test_a_job_knows_its_own_model_only() -> None:
    assert OneModel(SPEC).get(ex.NAME).schema == ex.SCHEMA
    with pytest.raises(NotFoundError, match="for 'late_train' and not for 'other'"):
        OneModel(SPEC).get("other")


def test_missing_values_of_a_table_are_missing() -> None:
    columns, reasons = TABLE.columns([[*ROWS[0][:2], None, None, 0.5]])
    assert (reasons, columns["line"].tolist()) == ([], [""])
    assert np.isnan(columns["delay"]).all()
