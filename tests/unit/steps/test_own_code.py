"""A model's own training code: what it is given, what it may return, and that its versions serve and are compared."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftloop.data.rows import select
from driftloop.data.tables import write_table
from pipelines.steps import train
from pipelines.steps.fitting import Trainer, recency
from pipelines.steps.inference import model_fn, own_code, score
from pipelines.steps.step import StepError
from tests.unit.steps.examples import PER_DAY, SCHEMA, WINDOWS, compiled, rows

LINEAR = '''"""Logistic regression on what is known of the numbers, with a class of its own around it."""
import numpy as np
from sklearn.linear_model import LogisticRegression


class OnNumbers:
    def __init__(self, places, model):
        self.places, self.model = places, model

    def predict_proba(self, matrix):
        return self.model.predict_proba(np.nan_to_num(matrix[:, self.places]))


def fit(matrix, labels, *, weights, categorical, hyperparameters, seed):
    places = [place for place, category in enumerate(categorical) if not category]
    model = LogisticRegression(random_state=seed, **hyperparameters)
    model.fit(np.nan_to_num(matrix[:, places]), labels, sample_weight=weights)
    return OnNumbers(places, model)
'''
BASE = "import numpy as np\n\n\ndef fit(matrix, labels, *, weights, categorical, hyperparameters, seed):\n"
ANSWER = "    class A:\n        def predict_proba(self, matrix):\n            return {}\n\n    return A()\n"


def training(source: str, **settings: Any) -> dict[str, Any]:
    return {**compiled(script="train.py", **{"hyperparameters": {}, **settings})["training"], "source": source}


def run(folder: Path, source: str, **settings: Any) -> int:
    spec = compiled() | {"training": training(source, **settings)}
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "rows.csv").write_bytes(write_table(SCHEMA, select(rows(), slice(0, 16 * PER_DAY))))
    arguments = ["--spec", folder / "spec.json", "--training", folder, *WINDOWS, "--manifest-sha256", "ab"]
    outputs = ["--model", folder / "model", "--message", folder / "failure"]
    return train.main([str(argument) for argument in (*arguments, *outputs)])


def test_its_version_has_all_that_a_version_needs_and_can_be_loaded(tmp_path: Path) -> None:
    assert run(tmp_path, LINEAR, hyperparameters={"C": 0.5}) == 0
    for name in [name for name in sys.modules if name.startswith("driftloop_training_")]:
        del sys.modules[name]
    predictor = model_fn(str(tmp_path / "model"))
    assert type(predictor.classifier).__name__ == "OnNumbers"
    assert predictor.classifier.model.C == 0.5
    scores = score(predictor, rows(first_day=16, days=2))
    assert 0 < scores.min() < scores.max() < 1
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert record["metrics"]["out_of_time_auc"] > 0.6
    assert "iterations" not in record["metrics"]
    assert record["importance"]["line"] == 0 < record["importance"]["delay"]


def test_the_example_of_the_guide_trains_a_version(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs/guide/training.md").read_text()
    source = guide.partition("```python\n")[2].partition("```")[0]
    assert run(tmp_path, source, hyperparameters={"C": 0.5}, half_life="5d") == 0
    assert json.loads((tmp_path / "model" / "training.json").read_text())["metrics"]["out_of_time_auc"] > 0.6


def test_versions_with_other_code_live_side_by_side(tmp_path: Path) -> None:
    for name, source in (("one", LINEAR), ("two", LINEAR.replace("OnNumbers", "Other"))):
        (tmp_path / name).mkdir()
        assert run(tmp_path / name, source) == 0
    first, second = (model_fn(str(tmp_path / name / "model")) for name in ("one", "two"))
    assert type(first.classifier).__name__ == "OnNumbers"
    assert type(second.classifier).__name__ == "Other"
    np.testing.assert_array_equal(score(first, rows(days=2)), score(second, rows(days=2)))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import numpyy\n\n\ndef fit(): ...\n", "train.py:1: ModuleNotFoundError: No module named 'numpyy'"),
        (BASE + "    rows = matrix[0]\n    return rows['x']\n", "train.py:6: IndexError"),
        (BASE + "    return None\n", "train.py:1: AttributeError: 'NoneType' object has no attribute 'predict_proba'"),
        (BASE + ANSWER.format("matrix[:, 0]"), "train.py: predict_proba answered"),
        (BASE + ANSWER.format("np.full((len(matrix), 2), np.nan)"), "answers of predict_proba are no probabilities"),
        (BASE + ANSWER.format("np.full((len(matrix), 2), 1.5)"), "answers of predict_proba are no probabilities"),
        (BASE + ANSWER.format("['a'] * len(matrix)"), "train.py:1: ValueError"),
    ],
)
def test_what_it_does_wrong_is_told_with_its_place(tmp_path: Path, source: str, reason: str) -> None:
    assert run(tmp_path, source) == 1
    assert reason in (tmp_path / "failure").read_text()


def test_code_that_cannot_be_loaded_is_not_half_there() -> None:
    broken = training("x = 1\nraise ValueError(x)\ndef fit(): ...\n")
    for _ in range(2):
        with pytest.raises(ValueError, match="1"):
            own_code(broken)


def test_it_cannot_change_the_rows_that_others_learn_from() -> None:
    table = rows(days=4)
    greedy = BASE + "    matrix[:] = 0\n    labels[:] = 0\n" + ANSWER.format("np.full((len(matrix), 2), 0.5)")
    trainer = Trainer(SCHEMA, table, training(greedy))
    before = trainer.matrix.copy()
    trainer.fit_all()
    np.testing.assert_array_equal(trainer.matrix, before)


def test_old_rows_count_less_with_a_half_life() -> None:
    times = np.array(["2026-03-01", "2026-03-11", "2026-03-21"], dtype="datetime64[s]")
    weights = recency(times, 10 * 86400)
    np.testing.assert_allclose(weights / weights[-1], [0.25, 0.5, 1.0])
    assert weights.mean() == pytest.approx(1)


def test_what_changed_last_is_learned_sooner_with_a_half_life() -> None:
    table = rows(days=20)
    late = np.arange(20 * PER_DAY) >= 16 * PER_DAY
    table["late"] = np.where(late, 1 - table["late"], table["late"]).astype(np.int8)
    ahead = rows(first_day=20, days=2)
    losses = []
    for half_life in (None, "2d"):
        settings = compiled(**({"half_life": half_life} if half_life else {}))["training"]
        scores = score(Trainer(SCHEMA, table, settings).fit_all(), ahead)
        labels = 1 - ahead["late"]
        losses.append(-np.log(np.where(labels == 1, scores, 1 - scores)).mean())
    assert losses[1] < losses[0] - 0.05


def test_weights_reach_its_own_code(tmp_path: Path) -> None:
    asks = (
        BASE
        + "    assert weights is not None and len(weights) == len(labels)\n"
        + ANSWER.format("np.full((len(matrix), 2), 0.5)")
    )
    Trainer(SCHEMA, rows(days=4), training(asks, half_life="3d")).fit_all()
    with pytest.raises(StepError, match=r"train\.py:5: AssertionError"):
        Trainer(SCHEMA, rows(days=4), training(asks)).fit_all()
