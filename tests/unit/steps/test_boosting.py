"""The trainer of the XGBoost images: what it learns, what it is given, and that its versions go the whole way."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from driftloop.data.rows import select
from driftloop.data.tables import write_table
from driftloop.monitoring.statistics import log_loss
from driftloop.spec.catalog import TRAINING_IMAGES
from pipelines.steps import boosting, evaluate, fitting, refit, train
from pipelines.steps.boosting import fit
from pipelines.steps.fitting import Trainer, iterations
from pipelines.steps.inference import model_fn, probabilities, score
from pipelines.steps.step import StepError
from pipelines.steps.tuning import tune
from tests.unit.steps.cloud import Cloud
from tests.unit.steps.examples import (
    BASE,
    HOLDOUT_END,
    PER_DAY,
    SCHEMA,
    TRAINING_DAYS,
    WINDOW_END,
    WINDOWS,
    compiled,
    pack,
    rows,
)

IMAGE = "xgboost-3.2-0"
PAST, AHEAD = (select(rows(), half) for half in np.split(np.arange(20 * PER_DAY), [TRAINING_DAYS * PER_DAY]))


def training(**settings: Any) -> dict[str, Any]:
    spec: dict[str, Any] = compiled(**{"image": IMAGE, "hyperparameters": {}, **settings})["training"]
    return spec


def trainer(table: Any = PAST, **settings: Any) -> Trainer:
    return Trainer(SCHEMA, table, training(**settings))


def grouped(count: int = 4000, seed: int = 3) -> tuple[Any, Any]:
    """One category of twelve in no order that a threshold could use, a number without meaning, and one never known."""
    rng = np.random.default_rng(seed)
    code = rng.integers(0, 12, count).astype(float)
    code[rng.random(count) < 0.1] = np.nan
    often = np.isin(code, [1, 2, 5, 8, 10])
    labels = (rng.random(count) < np.where(np.isnan(code), 0.5, np.where(often, 0.9, 0.1))).astype(np.int8)
    return np.column_stack([code, rng.normal(size=count), np.full(count, np.nan)]), labels


def fitted(matrix: Any, labels: Any, *, weights: Any = None, seed: int = 1, **hyperparameters: Any) -> Any:
    categorical = [True, *[False] * (matrix.shape[1] - 1)]
    return fit(matrix, labels, weights=weights, categorical=categorical, hyperparameters=hyperparameters, seed=seed)


def test_each_image_is_named_after_a_library_that_has_a_trainer() -> None:
    kinds = {image: type(trainer(image=image).fit_all().classifier).__name__ for image in TRAINING_IMAGES}
    assert kinds == {"sklearn-1.9-0": "HistGradientBoostingClassifier", IMAGE: "XGBClassifier"}
    with pytest.raises(StepError, match=r"training\.image torch-2: there is no trainer for torch"):
        Trainer(SCHEMA, PAST, training() | {"image": "torch-2"})


def test_the_guide_has_the_hyperparameters_of_both() -> None:
    guide = (Path(__file__).parents[3] / "docs/guide/training.md").read_text()
    for image, names in ((IMAGE, boosting.HYPERPARAMETERS), ("sklearn-1.9-0", fitting.HYPERPARAMETERS)):
        (line,) = re.findall(rf"^\| `{image}` \| .* \| (.*) \|$", guide, re.MULTILINE)
        assert line == ", ".join(f"`{name}`" for name in names)


def test_it_predicts_about_as_well_as_scikit_learns_trees() -> None:
    losses = [log_loss(AHEAD["late"], score(trainer(image=image).fit_all(), AHEAD)) for image in TRAINING_IMAGES]
    assert losses[1] == pytest.approx(losses[0], abs=0.01)
    assert max(losses) < 0.62


def test_the_same_rows_settings_and_seed_make_the_same_version() -> None:
    sampled = {"subsample": 0.7, "colsample_bynode": 0.7}

    def version(**settings: Any) -> bytes:
        kept = io.BytesIO()
        joblib.dump(trainer(hyperparameters=sampled, **settings).fit_all().classifier, kept)
        return kept.getvalue()

    assert version() == version()
    assert version() != version(seed=2)


def test_categories_are_no_numbers() -> None:
    """One split tells the groups apart, which takes a threshold several."""
    matrix, labels = grouped()
    (learned, known), (judged, expected) = ((matrix[part], labels[part]) for part in (slice(3000), slice(3000, None)))
    shape = {"n_estimators": 1, "max_leaves": 2, "learning_rate": 1.0}
    native = probabilities(fitted(learned, known, **shape), judged)
    ordered = fit(learned, known, weights=None, categorical=[False] * 3, hyperparameters=shape, seed=1)
    assert log_loss(expected, native) < 0.45
    assert log_loss(expected, probabilities(ordered, judged)) > 0.55


def test_what_was_never_seen_or_is_not_known_is_answered() -> None:
    matrix, labels = grouped()
    classifier = fitted(matrix, labels)
    odd = np.array([[11.0, 0.0, np.nan], [200.0, 0.0, 5.0], [np.nan, np.nan, np.nan]])
    scores = probabilities(classifier, odd)
    assert ((scores > 0) & (scores < 1)).all()
    # What is known of the last feature, which never was, changes nothing.
    np.testing.assert_array_equal(probabilities(classifier, odd + np.array([0, 0, 7.0])), scores)
    matrix[:, 0] = np.nan
    assert np.isfinite(probabilities(fitted(matrix, labels), odd)).all()


def test_rows_held_back_say_when_it_is_enough() -> None:
    matrix, labels = grouped()
    classifier = fitted(matrix, labels, n_estimators=500, learning_rate=0.3)
    rounds = iterations(classifier)["iterations"]
    assert 0 < rounds < 60
    assert classifier.get_booster().num_boosted_rounds() == rounds + 10
    assert iterations(fitted(matrix, labels, n_estimators=3)) == {"iterations": 3}
    impatient = fitted(matrix, labels, n_estimators=500, learning_rate=0.3, early_stopping_rounds=1)
    assert iterations(impatient)["iterations"] <= rounds


def test_weights_count_and_those_of_the_rows_held_back_too() -> None:
    """The second half says the opposite of the first, and counts for nearly nothing."""
    matrix, labels = grouped()
    half = len(labels) // 2
    labels[half:] = 1 - labels[:half]
    matrix[half:] = matrix[:half]
    weights = np.where(np.arange(len(labels)) < half, 2.0, 1e-6)
    alike, first = (probabilities(fitted(matrix, labels, weights=w), matrix[:half]) for w in (None, weights))
    assert log_loss(labels[:half], first) < 0.4
    assert log_loss(labels[:half], alike) > 0.6


def test_recent_rows_count_more() -> None:
    scores = [score(trainer(half_life=half_life).fit_all(), AHEAD) for half_life in (None, "2d")]
    assert np.abs(scores[0] - scores[1]).max() > 0.01


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"max_leafs": 3}, r"training\.hyperparameters\.max_leafs is not known: did you mean max_leaves\?"),
        ({"max_iter": 3}, r"training\.hyperparameters\.max_iter is not known"),
        ({"objective": "x"}, "objective is not known: known are colsample_bylevel, "),
    ],
)
def test_unknown_hyperparameters_are_refused_with_a_hint(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(StepError, match=reason):
        trainer(hyperparameters=given)
    with pytest.raises(StepError, match=reason):
        trainer().using(given)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"learning_rate": -1.0}, "value -1 for Parameter learning_rate should be greater equal to 0"),
        ({"max_depth": "deep"}, "expect int but value='deep'"),
        ({"n_estimators": 2.5}, "'float' object"),
        ({"n_estimators": 0}, "n_estimators leaves no tree"),
        ({"max_bin": 1}, "must be equal to or greater than 2.$"),
        ({"validation_fraction": 1.5}, "Got 1.5 instead"),
    ],
)
def test_what_it_cannot_learn_with_is_told(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(StepError, match=f"^training failed: .*{reason}"):
        trainer(hyperparameters=given).fit_all()


def test_one_row_of_a_class_is_too_few_to_hold_any_back() -> None:
    table = rows(days=1)
    table["late"][:] = np.arange(PER_DAY) == 7
    with pytest.raises(StepError, match=r"^training failed: The least populated class"):
        trainer(table).fit_all()


def test_it_is_tuned_by_its_own_names() -> None:
    settings = training(hyperparameters={"n_estimators": 1}, tuning={"search": {"n_estimators": [40, -1]}})
    found = tune(Trainer(SCHEMA, PAST, settings), PAST, settings)
    assert found is not None
    assert found.hyperparameters == {"n_estimators": 40}
    assert found.after < found.before


def test_code_of_ones_own_may_use_the_library_too() -> None:
    source = (
        "from xgboost import XGBClassifier\n\n\n"
        "def fit(matrix, labels, *, weights, categorical, hyperparameters, seed):\n"
        "    return XGBClassifier(random_state=seed, **hyperparameters).fit(matrix, labels, sample_weight=weights)\n"
    )
    settings = training(script="train.py", hyperparameters={"n_estimators": 5, "booster": "dart"})
    predictor = Trainer(SCHEMA, PAST, settings | {"source": source}).fit_all()
    assert np.ptp(score(predictor, AHEAD)) > 0
    assert iterations(predictor.classifier) == {}


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")
def test_a_version_is_trained_judged_refitted_and_served(tmp_path: Path, aws: Cloud) -> None:
    """The first version of a model: the files of each step are those of the next."""
    (tmp_path / "spec.json").write_text(json.dumps(compiled(image=IMAGE, hyperparameters={"learning_rate": 0.1})))
    for name, table in (("training", PAST), ("holdout", AHEAD)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.csv").write_bytes(write_table(SCHEMA, table))

    def run(step: Any, *options: Any) -> None:
        arguments = ["--spec", tmp_path / "spec.json", "--message", tmp_path / "message", *options]
        assert step.main([str(argument) for argument in arguments]) == 0, (tmp_path / "message").read_text()

    learned = ["--training", tmp_path / "training"]
    run(train, *learned, *WINDOWS, "--manifest-sha256", "ab" * 32, "--model", tmp_path / "model")
    pack(tmp_path / "model", tmp_path / "archive" / "model.tar.gz")
    judged = ["--holdout", tmp_path / "holdout", "--holdout-end", HOLDOUT_END]
    run(
        evaluate, *judged, "--model", tmp_path / "archive", "--endpoint", BASE, "--window-end", WINDOW_END,
        "--evaluation", tmp_path / "evaluation",
    )  # fmt: skip
    evaluation = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert evaluation["gate"]["decision"] == "promote"
    run(refit, *learned, *judged, "--tested", tmp_path / "archive", "--model", tmp_path / "final")
    record = json.loads((tmp_path / "final" / "training.json").read_text())
    assert record["versions"]["xgboost"].startswith("3.2.")
    assert 0 < record["metrics"]["iterations"] <= 100
    predictor = model_fn(str(tmp_path / "final"))
    latest = select(rows(), slice((20 - TRAINING_DAYS) * PER_DAY, None))
    expected = refit.fit_all(SCHEMA, latest, training(hyperparameters={"learning_rate": 0.1}))
    np.testing.assert_array_equal(score(predictor, rows()), score(expected, rows()))
