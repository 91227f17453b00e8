"""A feature that gives the label away is found, whatever its shape; a good one and one that is rare are not."""

from __future__ import annotations

import numpy as np
import pytest

from driftloop.data.rows import select
from pipelines.steps.leakage import leakage_faults
from tests.unit.steps.examples import PER_DAY, SCHEMA, TRAINING_DAYS, rows

SPLIT = TRAINING_DAYS * PER_DAY
RNG = np.random.default_rng(3)


def _found(table, limit=0.98):
    training, holdout = select(table, slice(0, SPLIT)), select(table, slice(SPLIT, None))
    return list(leakage_faults(SCHEMA, training, holdout, limit))


def test_honest_features_are_none():
    assert _found(rows()) == []


@pytest.mark.parametrize(
    "leak",
    [
        lambda late, noise: 40.0 + 20.0 * late + noise,
        lambda late, noise: 50.0 + 30.0 * np.where(late, np.sign(noise), 0) + noise,
        lambda late, noise: np.where(late == 1, np.nan, 10 + noise),
    ],
    ids=["higher", "on both sides", "missing"],
)
def test_a_number_that_gives_the_label_away(leak):
    table = rows()
    table["delay"] = leak(table["late"], RNG.normal(0, 1, len(table["late"])))
    [fault] = _found(table)
    assert fault.startswith("delay alone tells late with an AUC of 0.99") or "an AUC of 1.000" in fault
    assert "raise training.max_feature_auc (0.98)" in fault
    assert _found(table, limit=1.0) == []


def test_a_category_that_gives_the_label_away():
    table = rows()
    table["line"] = np.where(table["late"] == 1, "done", "open").astype(object)
    assert [fault.partition(" ")[0] for fault in _found(table)] == ["line"]


def test_what_only_the_training_rows_know_by_heart_is_no_leak():
    table = rows()
    table["line"] = np.array([f"L{number}" for number in range(len(table["late"]))], dtype=object)
    assert _found(table) == []


def test_values_that_training_has_not_seen_are_of_the_average():
    table = rows()
    table["line"][SPLIT:] = "zebra"
    table["delay"][:SPLIT] = np.nan
    assert _found(table) == []
