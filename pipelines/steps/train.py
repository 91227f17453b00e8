"""Step 3: train a version and its baseline. Runs without network; writes the content of the model archive."""

from __future__ import annotations

import argparse
import importlib.resources
import json
import platform
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn

from driftloop.data.capture import SCORE
from driftloop.data.parsing import BadRowError
from driftloop.data.schema import Columns, Schema
from driftloop.data.tables import ROWS, read_table
from driftloop.data.windows import iso
from driftloop.monitoring.baseline import Baseline, Windowing, build_baseline
from driftloop.monitoring.statistics import auc, log_loss
from pipelines.steps.archive import BASELINE, TRAINING
from pipelines.steps.fitting import Trainer
from pipelines.steps.inference import MODEL, SPEC, Predictor
from pipelines.steps.out_of_time import OutOfTime, predict_out_of_time
from pipelines.steps.step import StepError, add_instants, add_paths, arguments, only_file, read_spec, run, say

_CODE = {
    "inference.py": ("pipelines.steps", "inference.py"),
    "driftloop/__init__.py": ("driftloop", "__init__.py"),
    "driftloop/data/__init__.py": ("driftloop.data", "__init__.py"),
    "driftloop/data/parsing.py": ("driftloop.data", "parsing.py"),
    "driftloop/data/schema.py": ("driftloop.data", "schema.py"),
}
"""Path below code/ in the archive -> where the file comes from: what inference.py imports, and nothing else."""


def parser() -> argparse.ArgumentParser:
    """The step's arguments."""
    options = arguments("train", __doc__, message="/opt/ml/output/failure")
    add_instants(options, "window-start", "window-end")
    options.add_argument("--manifest-sha256", required=True, help="hash of the data set's manifest")
    add_paths(options, training="/opt/ml/input/data/training", model="/opt/ml/model")
    return options


def main(argv: list[str]) -> int:
    """Command line; exit status."""
    return run(train, parser().parse_args(argv))


def train(args: argparse.Namespace) -> None:
    """Train, calibrate, write. Raises StepError."""
    started = time.perf_counter()
    spec = read_spec(args.spec)
    schema = Schema.from_spec(spec)
    try:
        columns = read_table(schema, only_file(args.training, ROWS))
    except BadRowError as error:
        raise StepError(f"{args.training / ROWS}: {error}") from error
    seed = spec["training"]["seed"]
    trainer = Trainer(schema, columns, spec["training"]["hyperparameters"], seed)
    say(f"train: {len(columns[schema.id])} rows read, {time.perf_counter() - started:.1f} s")
    unseen = predict_out_of_time(trainer, columns)
    predictor = trainer.fit(np.ones(len(columns[schema.id]), dtype=bool))
    metrics = _metrics(schema, columns, trainer, predictor, unseen)
    say(f"train: {metrics}, {time.perf_counter() - started:.1f} s")
    baseline = _baseline(spec, schema, columns, unseen)
    say(f"train: baseline {baseline.id}, limits {_limits(baseline)}, {time.perf_counter() - started:.1f} s")
    record = {
        "windows": {"training": {"start": iso(args.window_start), "end": iso(args.window_end)}},
        "manifest_sha256": args.manifest_sha256,
        "rows": len(columns[schema.id]),
        "positive_rate": float(columns[schema.label].mean()),
        "importance": unseen.importance,
        "seed": seed,
        "metrics": metrics,
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "sklearn": sklearn.__version__},
    }
    _write(args.model, spec, predictor, baseline, record)


def _metrics(
    schema: Schema, columns: Columns, trainer: Trainer, predictor: Predictor, unseen: OutOfTime
) -> dict[str, Any]:
    fitted = predictor.classifier.predict_proba(trainer.matrix)[:, 1]
    labels, scores = unseen.predictions[schema.label], unseen.predictions[SCORE]
    area = auc(labels, scores)
    return {
        "iterations": int(predictor.classifier.n_iter_),
        "training_log_loss": round(log_loss(columns[schema.label], fitted), 6),
        "out_of_time_log_loss": round(log_loss(labels, scores), 6),
        "out_of_time_auc": None if area is None else round(area, 6),
    }


def _baseline(spec: dict[str, Any], schema: Schema, columns: Columns, unseen: OutOfTime) -> Baseline:
    try:
        return build_baseline(schema, columns, unseen.predictions, unseen.importance, Windowing.from_spec(spec))
    except ValueError as error:
        hint = "lengthen training.window, or lower monitoring.min_rows or monitoring.window"
        raise StepError(f"no baseline can be made: {error}; {hint}") from error


def _limits(baseline: Baseline) -> str:
    limits = baseline.limits
    return f"inputs {limits.input_drift:.4g}, predictions {limits.prediction_drift:.4g}, loss {limits.quality_loss:.4g}"


def _write(
    folder: Path, spec: dict[str, Any], predictor: Predictor, baseline: Baseline, record: dict[str, Any]
) -> None:
    for name, (package, file) in _CODE.items():
        target = folder / "code" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(importlib.resources.files(package).joinpath(file).read_bytes())
    # Plain values around the classifier: an archive must open under later versions of this code.
    joblib.dump({"classifier": predictor.classifier, "categories": predictor.categories}, folder / MODEL)
    (folder / SPEC).write_text(json.dumps(spec, indent=1))
    (folder / BASELINE).write_bytes(baseline.to_json())
    (folder / TRAINING).write_text(json.dumps(record, indent=1, sort_keys=True))
