"""Step 3: train a version and its baseline. Runs without network; writes the content of the model archive."""

from __future__ import annotations

import argparse
import time
from typing import Any

from driftloop.data.decoded import SCORE
from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import Window
from driftloop.monitoring.baseline import Baseline, Windowing, build_baseline
from driftloop.monitoring.statistics import auc, log_loss
from pipelines.steps.archive import write_content
from pipelines.steps.fitting import Trainer, iterations
from pipelines.steps.inference import Predictor
from pipelines.steps.out_of_time import OutOfTime, predict_out_of_time
from pipelines.steps.record import build_record
from pipelines.steps.rows import read_rows
from pipelines.steps.step import StepError, add_instants, add_paths, arguments, read_spec, run, say
from pipelines.steps.tuning import tune


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
    columns = read_rows(schema, args.training)
    trainer = Trainer(schema, columns, spec["training"])
    say(f"train: {len(columns[schema.id])} rows read, {time.perf_counter() - started:.1f} s")
    tuned = tune(trainer, columns, spec["training"])
    if tuned:
        # The archive's model file says what the version was made with.
        spec["training"]["hyperparameters"] = tuned.hyperparameters
        trainer = trainer.using(tuned.hyperparameters)
        say(f"train: {tuned}, {time.perf_counter() - started:.1f} s")
    unseen = predict_out_of_time(trainer, columns)
    predictor = trainer.fit_all()
    metrics = _metrics(schema, columns, trainer, predictor, unseen) | (tuned.metrics if tuned else {})
    say(f"train: {metrics}, {time.perf_counter() - started:.1f} s")
    baseline = _baseline(spec, schema, columns, unseen)
    say(f"train: baseline {baseline.id}, limits {_limits(baseline)}, {time.perf_counter() - started:.1f} s")
    record = build_record(
        spec, columns, Window(args.window_start, args.window_end),
        manifest_sha256=args.manifest_sha256, importance=unseen.importance, metrics=metrics,
    )  # fmt: skip
    write_content(args.model, spec, predictor, baseline.to_json(), record)


def _metrics(
    schema: Schema, columns: Columns, trainer: Trainer, predictor: Predictor, unseen: OutOfTime
) -> dict[str, Any]:
    fitted = trainer.scores(predictor, trainer.matrix)
    labels, scores = unseen.predictions[schema.label], unseen.predictions[SCORE]
    area = auc(labels, scores)
    return {
        **iterations(predictor.classifier),
        "training_log_loss": round(log_loss(columns[schema.label], fitted), 6),
        "out_of_time_log_loss": round(log_loss(labels, scores), 6),
        "out_of_time_auc": None if area is None else round(area, 6),
    }


def _baseline(spec: dict[str, Any], schema: Schema, columns: Columns, unseen: OutOfTime) -> Baseline:
    try:
        return build_baseline(schema, columns, unseen.predictions, unseen.importance, Windowing.from_spec(spec))
    except ValueError as error:
        hint = "lengthen training.window, or lower monitoring.min_rows or monitoring.smoothing"
        raise StepError(f"no baseline can be made: {error}; {hint}") from error


def _limits(baseline: Baseline) -> str:
    limits = baseline.limits
    return f"inputs {limits.input_drift:.4g}, predictions {limits.prediction_drift:.4g}, loss {limits.quality_loss:.4g}"
