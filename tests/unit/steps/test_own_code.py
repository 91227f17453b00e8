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
BASE = """import numpy as np


class A:
    def predict_proba(self, matrix):
        return {}


def fit(matrix, labels, *, weights, categorical, hyperparameters, seed):
"""


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


def answering(expression: str, before: str = "    pass\n") -> str:
    """Code whose classifier answers with an expression of ``matrix``."""
    return BASE.replace("{}", expression) + before + "    return A()\n"


HALF = "np.full((len(matrix), 2), 0.5)"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import numpyy\n\n\ndef fit(): ...\n", "train.py:1: ModuleNotFoundError: No module named 'numpyy'"),
        ("import sys\n\nsys.exit(0)\n\n\ndef fit(): ...\n", "train.py:3: SystemExit: 0"),
        (answering(HALF, "    matrix[0]['x']\n"), "train.py:10: IndexError"),
        (answering(HALF, "    raise SystemExit(0)\n"), "train.py:10: SystemExit: 0"),
        (answering(HALF, "    return None\n"), "AttributeError: 'NoneType' object has no attribute 'predict_proba'"),
        (answering(HALF, "    return lambda: 0\n"), "cannot be kept: Can't"),
        (answering("matrix[:, 0]"), "predict_proba answered"),
        (answering("np.full((len(matrix), 2), np.nan)"), "answers of predict_proba are no probabilities"),
        (answering("np.full((len(matrix), 2), 1.5)"), "answers of predict_proba are no probabilities"),
        (
            answering(f"{HALF} if len(matrix) > 1800 else np.nan * {HALF}"),
            "answers of predict_proba are no probabilities",
        ),
        (answering("['a'] * len(matrix)"), "ValueError"),
    ],
)
def test_what_it_does_wrong_is_told_with_its_place(tmp_path: Path, source: str, reason: str) -> None:
    assert run(tmp_path, source) == 1
    assert reason in (tmp_path / "failure").read_text()


@pytest.mark.parametrize("answers", [HALF + ".tolist()", f"__import__('pandas').DataFrame({HALF})"])
def test_answers_may_be_a_list_or_a_table(answers: str) -> None:
    assert score(Trainer(SCHEMA, rows(days=4), training(answering(answers))).fit_all(), rows(days=1)).max() == 0.5


def test_a_plain_estimator_of_scikit_learn_will_do(tmp_path: Path) -> None:
    plain = "from sklearn.linear_model import LogisticRegression\n\n\nclass A(LogisticRegression):"
    source = BASE.replace("class A:", plain).replace("return {}", "return super().predict_proba(np.nan_to_num(matrix))")
    assert run(tmp_path, source + "    return A().fit(np.nan_to_num(matrix), labels)\n") == 0
    assert json.loads((tmp_path / "model" / "training.json").read_text())["metrics"]["iterations"] > 0


def test_every_fit_gets_its_settings_as_they_are(tmp_path: Path) -> None:
    source = answering(HALF, "    assert hyperparameters.pop('depth') == 3\n    categorical.clear()\n")
    assert run(tmp_path, source, hyperparameters={"depth": 3}) == 0
    assert json.loads((tmp_path / "model" / "spec.json").read_text())["training"]["hyperparameters"] == {"depth": 3}


def test_what_a_classifier_does_to_its_input_is_its_own_affair() -> None:
    trainer = Trainer(SCHEMA, rows(days=4), training(answering(f"(matrix.fill(0), {HALF})[1]")))
    before = trainer.matrix.copy()
    trainer.scores(trainer.fit_all(), trainer.matrix)
    np.testing.assert_array_equal(trainer.matrix, before)


def test_code_that_draws_without_the_seed_makes_the_same_version_again() -> None:
    draws = "    found = A()\n    found.drawn = np.random.random()\n    return found\n"
    source = answering("np.full((len(matrix), 2), self.drawn)", draws)
    versions = [Trainer(SCHEMA, rows(days=4), training(source)).fit_all() for _ in range(2)]
    assert versions[0].classifier.drawn == versions[1].classifier.drawn


def test_its_functions_can_work_in_other_processes() -> None:
    helper = "from joblib import Parallel, delayed\n\n\ndef one(number):\n    return number\n\n\nclass A:"
    work = "    assert Parallel(n_jobs=2)(delayed(one)(number) for number in range(3)) == [0, 1, 2]\n"
    Trainer(SCHEMA, rows(days=4), training(answering(HALF, work).replace("class A:", helper))).fit_all()


def test_code_that_cannot_be_loaded_is_not_half_there() -> None:
    broken = training("x = 1\nraise ValueError(x)\ndef fit(): ...\n")
    for _ in range(2):
        with pytest.raises(ValueError, match="1"):
            own_code(broken)


def test_it_cannot_change_the_rows_that_others_learn_from() -> None:
    table = rows(days=4)
    greedy = answering(HALF, "    matrix[:] = 0\n    labels[:] = 0\n")
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


def test_weights_reach_its_own_code() -> None:
    asks = answering(HALF, "    assert weights is not None and len(weights) == len(labels)\n")
    Trainer(SCHEMA, rows(days=4), training(asks, half_life="3d")).fit_all()
    with pytest.raises(StepError, match=r"train\.py:10: AssertionError"):
        Trainer(SCHEMA, rows(days=4), training(asks)).fit_all()
