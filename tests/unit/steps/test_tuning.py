"""Hyperparameters are chosen on days that no trial has learned from, and what is chosen is what the version is made with."""

from __future__ import annotations

import json

import numpy as np
import pytest

from driftloop.data.rows import select
from driftloop.data.tables import write_table
from driftloop.monitoring.statistics import log_loss
from pipelines.steps import train
from pipelines.steps.fitting import Trainer
from pipelines.steps.step import StepError
from pipelines.steps.tuning import LEARNED, tune
from tests.unit.steps.examples import PER_DAY, SCHEMA, WINDOWS, compiled, rows

BAD, GOOD = {"max_iter": 1}, {"max_iter": [40]}
TABLE = rows(days=16)


def tuned(table=TABLE, **training):
    settings = compiled(**training)["training"]
    return tune(Trainer(SCHEMA, table, settings), table, settings)


def test_without_anything_to_search_nothing_is_tried():
    assert tuned(hyperparameters=BAD) is None


def test_the_best_of_the_values_is_chosen_and_the_rest_of_the_settings_stay():
    found = tuned(hyperparameters={**BAD, "max_leaf_nodes": 7}, tuning={"search": {"max_iter": [2, 40]}})
    assert found.hyperparameters == {"max_iter": 40, "max_leaf_nodes": 7}
    assert found.after < found.before
    assert found.metrics == {
        "tuning_trials": 3, "untuned_log_loss": round(found.before, 6), "tuned_log_loss": round(found.after, 6),
    }  # fmt: skip


def test_the_settings_as_they_are_stay_if_nothing_is_better():
    found = tuned(hyperparameters={"max_iter": 40}, tuning={"search": {"max_iter": [1]}})
    assert (found.hyperparameters, found.before) == ({"max_iter": 40}, found.after)


def test_a_trial_is_judged_on_days_after_those_that_it_learned_from():
    found = tuned(hyperparameters=BAD, tuning={"search": GOOD})
    days = TABLE["departure"].astype("datetime64[D]")
    learned = days < np.sort(days)[int(len(days) * LEARNED)]
    trainer = Trainer(SCHEMA, TABLE, compiled(hyperparameters={"max_iter": 40})["training"])
    scores = trainer.scores(trainer.fit(learned), trainer.matrix[~learned])
    assert found.after == log_loss(TABLE["late"][~learned], scores)
    assert set(days[learned]).isdisjoint(days[~learned])


def test_trials_are_distinct_few_and_the_same_each_time():
    search = {"max_leaf_nodes": [4, 5, 6, 7], "min_samples_leaf": [10, 20, 30, 40]}
    first, again = (tuned(hyperparameters={"max_iter": 2}, tuning={"search": search, "trials": 5}) for _ in range(2))
    assert first == again
    assert first.trials == 6
    assert (
        tuned(hyperparameters={"max_iter": 2}, tuning={"search": {"max_leaf_nodes": [4, 5]}, "trials": 200}).trials == 3
    )


def test_a_draw_that_cannot_be_learned_with_is_left_out(capsys):
    found = tuned(hyperparameters=BAD, tuning={"search": {"max_iter": [-1, 40]}})
    assert found.hyperparameters == {"max_iter": 40}
    assert found.trials == 2
    assert "{'max_iter': -1} cannot be learned with" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("table", "training", "reason"),
    [
        (TABLE, {"hyperparameters": {"max_iter": -1}, "tuning": {"search": GOOD}}, "training failed"),
        (select(TABLE, slice(0, PER_DAY)), {"tuning": {"search": GOOD}}, "too few days to tune"),
        (select(TABLE, slice(0, 0)), {"tuning": {"search": GOOD}}, "too few days to tune"),
    ],
)
def test_what_cannot_be_tuned_fails_with_the_reason(table, training, reason):
    with pytest.raises(StepError, match=reason):
        tuned(table, **training)


def test_an_unknown_name_is_told():
    with pytest.raises(StepError, match="did you mean max_iter"):
        Trainer(SCHEMA, TABLE, compiled()["training"]).using({"max_iters": 3})


def test_the_version_is_made_with_what_was_chosen(tmp_path):
    spec = compiled(hyperparameters=BAD, tuning={"search": GOOD})
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    (tmp_path / "rows.csv").write_bytes(write_table(SCHEMA, TABLE))
    arguments = ["--spec", tmp_path / "spec.json", "--training", tmp_path, *WINDOWS, "--manifest-sha256", "ab"]
    outputs = ["--model", tmp_path / "model", "--message", tmp_path / "failure"]
    assert train.main([str(argument) for argument in (*arguments, *outputs)]) == 0
    kept = json.loads((tmp_path / "model" / "spec.json").read_text())["training"]
    assert kept["hyperparameters"] == {"max_iter": 40}
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert record["metrics"]["tuning_trials"] == 2
    assert record["metrics"]["iterations"] > 1
