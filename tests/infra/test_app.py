"""The app as the CDK CLI runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.app import app
from infra.constructs.model_schedules import rate, window_cron
from infra.definition import for_model, read_definition
from infra.errors import DefinitionError, LimitError, UsageError
from infra.packaging import ROOT, steps_folder


def run(context: dict[str, str], outdir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python -m infra.app`` with what the CLI gives it."""
    return subprocess.run(
        [sys.executable, "-m", "infra.app"],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "CDK_CONTEXT_JSON": json.dumps({"driftloop:platform": "host", **context}),
            "CDK_OUTDIR": str(outdir),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def files(folder: Path) -> dict[str, bytes]:
    kinds = ("*.template.json", "*.assets.json")
    return {path.name: path.read_bytes() for kind in kinds for path in folder.glob(kind)}


def test_two_processes_write_the_same_bytes(assembly: Path, built: None, tmp_path: Path) -> None:
    result = run({}, tmp_path, PYTHONHASHSEED="4711", TZ="Pacific/Auckland", CDK_DEFAULT_REGION="us-west-2")
    assert result.returncode == 0, result.stderr
    written = files(tmp_path)
    assert written.keys() == {
        f"driftloop-{stack}.{kind}.json" for stack in ("platform", "flight-delay") for kind in ("template", "assets")
    }
    assert written == files(assembly)


def test_a_second_folder_is_a_second_stack(disposable: Path, assembly: Path) -> None:
    stacks = {path.name.split(".")[0] for path in disposable.glob("*.template.json")}
    models = {"flight-delay", "card-fraud", "walk-in", "claim-triage"}
    assert stacks == {f"driftloop-{name}" for name in {"platform", *models}}
    same = "driftloop-flight-delay.template.json"
    assert (disposable / same).read_bytes() == (assembly / same).read_bytes()


def test_a_wrong_model_file_is_refused_with_line_reason_and_hint(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "flight_delay"
    folder.mkdir(parents=True)
    text = (ROOT / "models" / "flight_delay" / "model.yaml").read_text()
    lines = text.replace("monitoring: {window: 1d,", "monitoring: {windw: 1d,").splitlines()
    (folder / "model.yaml").write_text("\n".join(lines))
    line = next(number for number, content in enumerate(lines, 1) if "windw" in content)
    result = run({"driftloop:models": str(folder.parent)}, tmp_path / "out")
    assert result.returncode == 1
    assert f"model.yaml:{line}: monitoring.windw: unknown key; did you mean 'window'?" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "out").glob("*.template.json"))


@pytest.mark.parametrize(
    ("context", "hint"),
    [
        ({"driftloop:platform": "arm"}, "it can be lambda or host"),
        ({"driftloop:retain": "perhaps"}, "it can be true or false"),
        ({"driftloop:models": "nowhere"}, "-c driftloop:models=<folder>"),
    ],
)
def test_wrong_context_is_refused_with_what_is_possible(context: dict[str, str], hint: str, built: None) -> None:
    with pytest.raises(UsageError, match=hint):
        app(context={"driftloop:platform": "host", **context})


def test_what_is_not_built_is_named_with_the_command_that_builds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("functions_folder", "steps_folder"):
        monkeypatch.setattr(f"infra.app.{name}", lambda *_: tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"nowhere is not there; build it with .* --platform host"):
        app(context={"driftloop:platform": "host"})


def test_what_running_a_build_leaves_in_it_is_not_published(
    built: None, assembly: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = tmp_path / "steps"
    shutil.copytree(steps_folder(), steps)
    (steps / "driftloop" / "__pycache__").mkdir(exist_ok=True)
    (steps / "driftloop" / "__pycache__" / "names.pyc").write_bytes(b"left")
    monkeypatch.setattr("infra.app.steps_folder", lambda: steps)
    app(context={"driftloop:platform": "host"}, outdir=tmp_path / "out").synth()
    templates = {name: content for name, content in files(assembly).items() if "template" in name}
    assert {name: files(tmp_path / "out")[name] for name in templates} == templates


def test_nothing_is_looked_up(assembly: Path) -> None:
    manifest = json.loads((assembly / "manifest.json").read_text())
    assert "missing" not in manifest
    stacks = [item for item in manifest["artifacts"].values() if item["type"] == "aws:cloudformation:stack"]
    assert {item["environment"] for item in stacks} == {"aws://unknown-account/unknown-region"}


def test_a_models_stack_comes_after_the_platform(assembly: Path) -> None:
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    assert "driftloop-platform" in artifacts["driftloop-flight-delay"]["dependencies"]


def test_periods_become_schedule_expressions() -> None:
    from datetime import timedelta  # noqa: PLC0415

    assert rate(timedelta(days=1)) == "rate(1 day)"
    assert rate(timedelta(hours=36)) == "rate(36 hours)"
    assert rate(timedelta(minutes=90)) == "rate(90 minutes)"
    with pytest.raises(LimitError, match="whole number of minutes"):
        rate(timedelta(seconds=90))
    assert window_cron(timedelta(hours=12)) == "cron(30 0,12 * * ? *)"


def test_a_definition_that_does_not_fit_is_refused(models: Path, built: None, tmp_path: Path) -> None:
    definition = read_definition()
    for change, fault in (
        ({"Extra": "${Unknown}"}, "nothing fills: Unknown"),
        ({"Parameters": []}, "no parameter InstanceType, MaxRuntimeInSeconds"),
    ):
        path = tmp_path / "definition.json"
        path.write_text(json.dumps({**definition, **change}))
        with pytest.raises(DefinitionError, match=fault):
            app(models, {"driftloop:platform": "host"}, definition=path)
    with pytest.raises(DefinitionError, match=r"python -m pipelines\.compile"):
        read_definition(tmp_path / "nothing.json")


def test_only_the_defaults_of_the_definition_change(models: Path) -> None:
    from driftloop.spec import load_model  # noqa: PLC0415

    definition = read_definition()
    made = json.loads(for_model(definition, load_model(models / "flight_delay" / "model.yaml")))
    assert made["Steps"] == definition["Steps"]
    assert [item["Name"] for item in made["Parameters"]] == [item["Name"] for item in definition["Parameters"]]
