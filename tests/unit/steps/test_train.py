from __future__ import annotations

import json

import numpy as np
import pytest

from driftloop.data.capture import SCORE
from driftloop.data.rows import select
from driftloop.data.schema import Feature
from driftloop.data.tables import write_table
from driftloop.monitoring.statistics import auc
from pipelines.steps import train
from pipelines.steps.fitting import MAX_CATEGORIES, MIN_CATEGORY_ROWS, Trainer, check_hyperparameters, known_categories
from pipelines.steps.inference import encode, score
from pipelines.steps.out_of_time import CUTS, predict_out_of_time
from pipelines.steps.step import StepError
from tests.unit.steps.examples import PER_DAY, SCHEMA, WINDOWS, compiled, rows

SETTINGS = {"max_iter": 20}


def trainer(table, **settings):
    return Trainer(SCHEMA, table, compiled(hyperparameters={**SETTINGS, **settings}, seed=1)["training"])


def test_predictions_come_from_earlier_rows_only():
    table = rows(days=20)
    # From the last cut on, the world is upside down: only a model that has seen it can know.
    late = np.arange(20 * PER_DAY) >= CUTS[-1] * 20 * PER_DAY
    table["late"] = np.where(late, 1 - table["late"], table["late"]).astype(np.int8)
    found = predict_out_of_time(trainer(table), table)
    assert len(found.predictions[SCORE]) == (1 - CUTS[0]) * 20 * PER_DAY
    flipped = select(found.predictions, found.predictions["departure"] >= table["departure"][late].min())
    before = select(found.predictions, found.predictions["departure"] < table["departure"][late].min())
    assert auc(flipped["late"], flipped[SCORE]) < 0.4
    assert auc(before["late"], before[SCORE]) > 0.6


def test_importance_says_what_the_model_uses():
    importance = predict_out_of_time(trainer(rows()), rows()).importance
    assert importance["line"] > importance["cars"]
    assert importance["delay"] > importance["cars"]


def test_a_feature_that_is_never_known_is_not_used():
    table = rows()
    table["delay"][:] = np.nan
    found = predict_out_of_time(trainer(table), table)
    assert found.importance["delay"] == 0
    assert np.isfinite(found.predictions[SCORE]).all()


def test_one_day_cannot_be_cut():
    table = rows(days=1)
    with pytest.raises(StepError, match="too few days"):
        predict_out_of_time(trainer(table), table)


def test_rare_and_unknown_categories_count_as_missing():
    table = rows(days=2)
    table["line"][: MIN_CATEGORY_ROWS - 1] = "tram"
    fitted = trainer(table)
    assert fitted.categories["line"] == ["north", "south", "west"]
    odd = select(table, slice(0, 3)) | {"line": np.array(["tram", "", "never seen"], dtype=object)}
    assert np.isnan(encode(SCHEMA, fitted.categories, odd)[:, 0]).all()


def test_categories_are_capped_at_what_the_trees_can_hold():
    table = rows(days=30)
    table["line"] = np.array([f"L{number % 300}" for number in range(30 * PER_DAY)], dtype=object)
    table["line"][:50] = "L7"
    fitted = trainer(table)
    assert len(fitted.categories["line"]) == MAX_CATEGORIES
    assert "L7" in fitted.categories["line"]
    assert np.isfinite(score(fitted.fit(np.ones(30 * PER_DAY, dtype=bool)), table)).all()
    assert known_categories(SCHEMA, table) == known_categories(SCHEMA, select(table, slice(None, None, -1)))


def test_unknown_hyperparameters_are_refused_with_a_hint():
    with pytest.raises(StepError) as error:
        check_hyperparameters({"max_iters": 10, "booster": "dart", "max_iter": 5})
    reasons = str(error.value).splitlines()
    assert reasons[0].startswith("training.hyperparameters.booster is not known: known are l2_regularization")
    assert reasons[1] == "training.hyperparameters.max_iters is not known: did you mean max_iter?"


@pytest.mark.parametrize(
    ("training", "table", "reason"),
    [
        ({"hyperparameters": {"max_iters": 10}}, rows(days=16), "did you mean max_iter?"),
        ({"hyperparameters": {"learning_rate": -1.0}}, rows(days=16), "training failed: The 'learning_rate' parameter"),
        ({}, rows(days=6), "lengthen training.window"),
        ({}, select(rows(), slice(0, 0)), "0 training rows lie in too few days"),
    ],
)
def test_a_failure_is_written_where_sagemaker_looks(tmp_path, capsys, training, table, reason):
    (tmp_path / "spec.json").write_text(json.dumps(compiled(**training)))
    (tmp_path / "rows.csv").write_bytes(write_table(SCHEMA, table))
    arguments = ["--spec", tmp_path / "spec.json", "--training", tmp_path, *WINDOWS, "--manifest-sha256", "ab"]
    outputs = ["--model", tmp_path / "model", "--message", tmp_path / "output" / "failure"]
    assert train.main([str(argument) for argument in (*arguments, *outputs)]) == 1
    assert reason in (tmp_path / "output" / "failure").read_text()
    assert reason in capsys.readouterr().err


def test_training_twice_gives_the_same_scores_and_baseline(trained, spec_dir, tmp_path):
    arguments = ["--spec", spec_dir, "--training", trained / "training", *WINDOWS, "--manifest-sha256", "ab" * 32]
    outputs = ["--model", tmp_path / "model", "--message", tmp_path / "failure"]
    assert train.main([str(argument) for argument in (*arguments, *outputs)]) == 0
    for name in ("baseline.json", "training.json", "spec.json", "model.joblib"):
        assert (tmp_path / "model" / name).read_bytes() == (trained / "model" / name).read_bytes(), name


def test_features_of_another_order_keep_their_meaning():
    table = rows(days=4)
    fitted = trainer(table)
    matrix = encode(SCHEMA, fitted.categories, table)
    assert [feature.name for feature in SCHEMA.features] == ["line", "delay", "cars"]
    np.testing.assert_array_equal(matrix[:, 1], table["delay"])
    assert isinstance(SCHEMA.features[0], Feature)
