"""Step 4: score challenger and champion on the same recent rows with the same code, and let the gate decide."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import boto3

from driftloop.data.schema import Schema
from driftloop.data.windows import Window
from driftloop.promotion.gate import Decision
from pipelines.steps.archive import ARCHIVE, BASELINE, extract
from pipelines.steps.champion import ServingModel, download, find_champion
from pipelines.steps.judging import Case, Version, judge
from pipelines.steps.region import region
from pipelines.steps.rows import read_rows
from pipelines.steps.step import StepError, add_instants, add_paths, arguments, only_file, read_spec, run, say

EVALUATION = "evaluation.json"
PENDING = "PendingManualApproval"
_INPUT, _OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"


def parser() -> argparse.ArgumentParser:
    """The step's arguments."""
    options = arguments("evaluate", __doc__)
    options.add_argument("--endpoint", required=True, help="name of the endpoint whose version is the champion")
    options.add_argument("--approval", default=PENDING, help="approval status of a version that passes the gate")
    add_instants(options, "window-end", "holdout-end")
    add_paths(options, holdout=f"{_INPUT}/holdout", model=f"{_INPUT}/model", evaluation=f"{_OUTPUT}/evaluation")
    return options


def main(argv: list[str]) -> int:
    """Command line; exit status 0 whatever the gate says."""
    return run(evaluate, parser().parse_args(argv))


def evaluate(args: argparse.Namespace) -> None:
    """Score, compare, write. Raises StepError."""
    spec = read_spec(args.spec)
    holdout, rows = Window(args.window_end, args.holdout_end), read_rows(Schema.from_spec(spec), args.holdout)
    serving = find_champion(boto3.client("sagemaker", region_name=region()), args.endpoint)
    with tempfile.TemporaryDirectory() as temporary:
        place, content = Path(temporary), only_file(args.model, ARCHIVE)
        extract(content, place / "challenger", "the challenger's archive")
        challenger = Version.load(place / "challenger", "challenger")
        champion, fault = _champion(serving, place / "champion") if serving else (None, "")
        evaluation = judge(Case(spec, holdout, rows, challenger, len(content), champion, fault))
        baseline = (place / "challenger" / BASELINE).read_bytes()
    if serving and evaluation["champion"]:
        evaluation["champion"] |= {"model_data_url": serving.model_data_url, "endpoint_config": serving.config}
    asked = evaluation["gate"]["decision"] == Decision.ASK
    evaluation["approval"] = PENDING if asked else args.approval
    args.evaluation.mkdir(parents=True, exist_ok=True)
    (args.evaluation / EVALUATION).write_text(json.dumps(evaluation, indent=1))
    (args.evaluation / BASELINE).write_bytes(baseline)


def _champion(serving: ServingModel, folder: Path) -> tuple[Version | None, str]:
    """The version that serves, or why it cannot be had: then a person decides, and the champion serves on."""
    try:
        extract(
            download(boto3.client("s3", region_name=region()), serving.model_data_url), folder, serving.model_data_url
        )
        return Version.load(folder, "champion"), ""
    except StepError as error:
        say(f"evaluate: {error}")
        return None, str(error)
