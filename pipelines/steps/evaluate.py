"""Step 4: score challenger and champion on the same recent rows with the same code, and let the gate decide."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
import numpy as np

from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import Window, iso
from driftloop.monitoring.statistics import Floats, auc, log_loss
from driftloop.promotion.gate import GatePolicy, GateResult, compare
from pipelines.steps.archive import ARCHIVE, BASELINE, extract
from pipelines.steps.champion import ServingModel, download, find_champion
from pipelines.steps.holdout import unseen_part
from pipelines.steps.inference import Predictor, model_fn, score
from pipelines.steps.record import read_record, window_of
from pipelines.steps.region import region
from pipelines.steps.rows import read_rows
from pipelines.steps.step import StepError, add_instants, add_paths, arguments, only_file, read_spec, run, say

EVALUATION = "evaluation.json"
_INPUT, _OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"


def parser() -> argparse.ArgumentParser:
    """The step's arguments."""
    options = arguments("evaluate", __doc__)
    options.add_argument("--endpoint", required=True, help="name of the endpoint whose version is the champion")
    add_instants(options, "window-end", "holdout-end")
    add_paths(options, holdout=f"{_INPUT}/holdout", model=f"{_INPUT}/model", evaluation=f"{_OUTPUT}/evaluation")
    return options


def main(argv: list[str]) -> int:
    """Command line; exit status 0 whatever the gate says."""
    return run(evaluate, parser().parse_args(argv))


def evaluate(args: argparse.Namespace) -> None:
    """Score, compare, write. Raises StepError."""
    spec = read_spec(args.spec)
    schema = Schema.from_spec(spec)
    holdout, rows = Window(args.window_end, args.holdout_end), read_rows(schema, args.holdout)
    serving = find_champion(boto3.client("sagemaker", region_name=region()), args.endpoint)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        extract(only_file(args.model, ARCHIVE), place / "challenger", "the challenger's archive")
        record = _unbiased(place / "challenger", holdout)
        champion = None
        if serving is not None:
            s3 = boto3.client("s3", region_name=region())
            extract(download(s3, serving.model_data_url), place / "champion", serving.model_data_url)
            learned = window_of(read_record(place / "champion", "champion"))
            holdout, rows = unseen_part(schema, holdout, rows, learned.end)
            champion = _score(place / "champion", rows, "champion")
        challenger = _score(place / "challenger", rows, "challenger")
        rate = float(record["positive_rate"])
        result = compare(
            rows[schema.label], challenger, champion, rows[schema.time].astype("datetime64[D]"), rows,
            GatePolicy.from_spec(spec), rate,
        )  # fmt: skip
        baseline = (place / "challenger" / BASELINE).read_bytes()
    say(f"evaluate: {result.decision}: {result.reason}")
    evaluation = _evaluation(spec, rows[schema.label], challenger, champion, serving, rate, result)
    evaluation["holdout"] = {"start": iso(holdout.start), "end": iso(holdout.end)}
    args.evaluation.mkdir(parents=True, exist_ok=True)
    (args.evaluation / EVALUATION).write_text(json.dumps(evaluation, indent=1))
    (args.evaluation / BASELINE).write_bytes(baseline)


def _unbiased(folder: Path, holdout: Window) -> dict[str, Any]:
    """The challenger's record. Raises StepError if it was trained on rows of the holdout."""
    record = read_record(folder, "challenger")
    end = window_of(record).end
    if end > holdout.start:
        raise StepError(
            f"the challenger was trained on rows up to {iso(end)} and the holdout starts at {iso(holdout.start)}: scores "
            "on rows that a version has learned from say nothing"
        )
    return record


def _score(folder: Path, rows: Columns, who: str) -> Floats:
    """Scores of one version."""
    predictor = model_fn(str(folder))
    scores = score(predictor, _as_known_to(predictor, rows, who))
    say(f"evaluate: {who} scored {len(scores)} rows")
    return scores


def _as_known_to(predictor: Predictor, rows: Columns, who: str) -> Columns:
    """The rows with the columns of the version's own model file; what is no longer sent is missing, as in serving."""
    table = dict(rows)
    for feature in predictor.schema.features:
        gone = feature.name not in rows or (rows[feature.name].dtype == object) != feature.is_category
        if gone:
            say(f"evaluate: {who} knows a {feature.type} {feature.name} that the model file no longer has")
            empty = "" if feature.is_category else np.nan
            table[feature.name] = np.full(len(next(iter(rows.values()))), empty, dtype=object if empty == "" else float)
    return table


def _evaluation(
    spec: dict[str, Any],
    labels: np.ndarray[Any, Any],
    challenger: Floats,
    champion: Floats | None,
    serving: ServingModel | None,
    rate: float,
    result: GateResult,
) -> dict[str, Any]:
    slices: dict[str, dict[str, Any]] = {}
    for part in result.slices:
        figures = {"rows": part.rows, "challenger": part.challenger, "champion": part.champion}
        slices.setdefault(part.column, {})[part.value] = figures
    scored = None
    if champion is not None and serving is not None:
        place = {"model_data_url": serving.model_data_url, "endpoint_config": serving.config}
        scored = {**_figures(labels, champion), **place}
    gate = {name: value for name, value in asdict(result).items() if name != "slices"}
    return {
        "metric": spec["gate"]["metric"],
        "rows": len(labels),
        "challenger": _figures(labels, challenger),
        "champion": scored,
        "baseline_rate_log_loss": log_loss(labels, np.full(len(labels), rate)),
        "slices": slices,
        "gate": gate,
    }


def _figures(labels: np.ndarray[Any, Any], scores: Floats) -> dict[str, float | None]:
    return {"log_loss": log_loss(labels, scores), "auc": auc(labels, scores)}
