"""Step 5: fit the version that passed the gate again, on the holdout's rows too. Runs without network.

The gate compares on rows that no version has learned from, and these are the most recent ones. What serves should know
them, so the same recipe is fitted once more on a window of the same length that ends with them, as is usual after a
selection by held-out data (Hyndman, "Forecast model selection",
https://robjhyndman.com/hyndsight/model-selection.html).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.data.rows import concatenate
from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import Window
from driftloop.monitoring.statistics import log_loss
from pipelines.steps.archive import ARCHIVE, BASELINE, extract, write_content
from pipelines.steps.fitting import Trainer, iterations
from pipelines.steps.inference import SPEC, Predictor, model_fn, score
from pipelines.steps.record import build_record, read_record, window_of
from pipelines.steps.rows import read_rows
from pipelines.steps.step import StepError, add_instants, add_paths, arguments, only_file, read_spec, run, say

_CHANNEL = "/opt/ml/input/data"


@dataclass(frozen=True)
class Losses:
    """Log-loss on the rows of the holdout, nats per row."""

    tested: float
    """Of the version that passed the gate, which has not seen them."""
    refitted: float
    """Of the version that takes its place, which has."""


def parser() -> argparse.ArgumentParser:
    """The step's arguments."""
    options = arguments("refit", __doc__, message="/opt/ml/output/failure")
    add_instants(options, "holdout-end")
    add_paths(options, **{name: f"{_CHANNEL}/{name}" for name in ("training", "holdout", "tested")})
    add_paths(options, model="/opt/ml/model")
    return options


def main(argv: list[str]) -> int:
    """Command line; exit status."""
    return run(refit, parser().parse_args(argv))


def refit(args: argparse.Namespace) -> None:
    """Fit, check, write. Raises StepError."""
    spec = read_spec(args.spec)
    schema = Schema.from_spec(spec)
    training, holdout = (read_rows(schema, folder) for folder in (args.training, args.holdout))
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        extract(only_file(args.tested, ARCHIVE), place, "the tested version's archive")
        tested, record = model_fn(temporary), read_record(place, "tested version")
        # The baseline belongs to rows with out-of-time predictions, which the holdout's rows do not have.
        baseline = (place / BASELINE).read_bytes()
        # As tuned, if they were.
        made_with = json.loads((place / SPEC).read_bytes())["training"]["hyperparameters"]
    spec["training"]["hyperparameters"] = made_with
    window = refitted_window(window_of(record), args.holdout_end)
    columns = window.rows(concatenate([training, holdout]), schema.time)
    say(f"refit: {len(columns[schema.id])} rows to learn from, {len(holdout[schema.id])} of them from the holdout")
    predictor = fit_all(schema, columns, spec["training"])
    losses = check(tested, predictor, holdout)
    say(f"refit: log-loss on the holdout {losses.refitted:.6f}, and {losses.tested:.6f} before")
    known = {**record["metrics"], "holdout_log_loss": round(losses.tested, 6)}
    final = build_record(
        spec, columns, window,
        manifest_sha256=record["manifest_sha256"],
        importance=record["importance"],
        metrics=_metrics(schema, columns, predictor, losses),
        tested={"windows": record["windows"], "metrics": known},
    )  # fmt: skip
    write_content(args.model, spec, predictor, baseline, final)


def refitted_window(tested: Window, end: datetime) -> Window:
    """As long as the tested version's, unless the holdout is longer, and up to the end of the holdout.

    With more rows than the tested version had it would be another recipe, and a champion that was fitted so would have
    an advantage in the next gate that the challenger is about to get, too.
    """
    return Window(min(end - (tested.end - tested.start), tested.end), end)


def fit_all(schema: Schema, columns: Columns, training: dict[str, Any]) -> Predictor:
    """Fit on all rows with the settings of a model file's ``training`` part. Raises StepError."""
    return Trainer(schema, columns, training).fit_all()


def check(tested: Predictor, refitted: Predictor, holdout: Columns) -> Losses:
    """Both on the holdout. Raises StepError if the refitted version is worse on rows that only it has seen."""
    scores = score(refitted, holdout)
    if not np.isfinite(scores).all():
        raise StepError(f"{int((~np.isfinite(scores)).sum())} scores of the refitted version are no numbers")
    if np.ptp(scores) == 0:
        raise StepError(f"the refitted version answers {scores[0]:.6f} to every row of the holdout")
    labels = holdout[refitted.schema.label]
    losses = Losses(log_loss(labels, score(tested, holdout)), log_loss(labels, scores))
    # Written so that a loss that is no number fails, too.
    if not losses.refitted <= losses.tested:
        raise StepError(
            f"the refitted version has log-loss {losses.refitted:.6f} on the holdout, and the version that passed the gate "
            f"{losses.tested:.6f}: it has learned from these rows and must not be worse on them"
        )
    return losses


def _metrics(schema: Schema, columns: Columns, predictor: Predictor, losses: Losses) -> dict[str, Any]:
    return {
        **iterations(predictor.classifier),
        "training_log_loss": round(log_loss(columns[schema.label], score(predictor, columns)), 6),
        "holdout_log_loss": round(losses.refitted, 6),
    }
