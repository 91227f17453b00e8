"""Training runs in MLflow, an experiment for each model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click

from driftloop.cli.cloud import Cloud
from driftloop.cli.training_runs import training_runs
from driftloop.names import ModelNames
from driftloop.twin.toolkit import ROOT

_PYTHON = ROOT / ".venv-mlflow" / "bin" / "python"
_ERROR = re.compile(r"[\w.]+(Error|Exception): ")
_SHOWN = 5
_STORE = Path(__file__).with_name("mlflow_store.py")
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "GIT_PYTHON_REFRESH": "quiet",
}


@click.command()
@click.argument("models", nargs=-1)
@click.option(
    "--folder", type=click.Path(path_type=Path), default=ROOT / "build" / "mlflow", show_default="build/mlflow",
    help="Where the database and the files are kept.",
)  # fmt: skip
@click.option("--tracking-uri", help="A tracking server instead, or the ARN of SageMaker's.")
@click.option("--aws", is_flag=True, help="The MLflow app of the deployed platform, if it has one.")
@click.option("--ui/--no-ui", default=True, help="Serve MLflow's pages afterwards, until Ctrl-C.", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Of the pages.")
def mlflow(models: tuple[str, ...], folder: Path, tracking_uri: str | None, aws: bool, ui: bool, port: int) -> None:
    """Bring the training runs of MODELS (all without any) into MLflow, and show them.

    Each execution of a pipeline is a run, whatever became of it; running this again adds what is new. The loop itself does
    without MLflow.
    """
    if aws and tracking_uri:
        raise click.UsageError("--aws and --tracking-uri name two places; give one of them")
    if not _PYTHON.exists():
        raise click.ClickException("MLflow is not installed; run `make mlflow-environment`")
    cloud = Cloud.of_environment()
    server = cloud.mlflow_app if aws else tracking_uri
    deployed, unreadable = ([cloud.model(name) for name in models], {}) if models else cloud.models.all()
    for name, reason in unreadable.items():
        click.echo(f"{name}: left out: {reason}", err=True)
    lines = []
    for model in deployed:
        runs = training_runs(cloud, model)
        click.echo(f"{model.name}: {len(runs)} runs")
        lines.append(json.dumps({"name": ModelNames(model.name).base, "runs": runs}) + "\n")
    place = server or f"sqlite:///{folder.absolute()}/mlflow.db"
    done = _store(place, None if server else folder.absolute() / "artifacts", "".join(lines))
    click.echo(f"{place}: " + ", ".join(f"{count} {what}" for what, count in done.items()))
    if ui and not server:
        _serve(place, port)


def _store(place: str, artifacts: Path | None, runs: str) -> dict[str, int]:
    if artifacts:
        artifacts.mkdir(parents=True, exist_ok=True)
    where = ["--artifacts", str(artifacts)] if artifacts else []
    done = subprocess.run(
        [str(_PYTHON), str(_STORE), "--tracking-uri", place, *where],
        input=runs, capture_output=True, text=True, check=False, env={**os.environ, **_SETTINGS},
    )  # fmt: skip
    said = done.stderr.strip().splitlines() or ["it said nothing"]
    if done.returncode:
        # Some errors end with a line that only says where to read on.
        reason = next((line for line in reversed(said) if _ERROR.match(line)), said[-1])
        raise click.ClickException(f"MLflow refused the runs at {place}: {reason}")
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    if counts.get("refused"):
        click.echo("\n".join(said[-_SHOWN:]), err=True)
    return counts


def _serve(place: str, port: int) -> None:
    """MLflow's own pages, in place of this process."""
    click.echo(f"http://127.0.0.1:{port} until Ctrl-C")
    sys.stdout.flush()
    command = [str(_PYTHON), "-m", "mlflow", "ui", "--backend-store-uri", place, "--port", str(port), "--workers", "1"]
    os.execve(command[0], command, {**os.environ, **_SETTINGS})  # noqa: S606 - no shell is needed
