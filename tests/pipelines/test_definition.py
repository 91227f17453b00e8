"""The committed pipeline definition, and that it compiles to itself."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from pipelines.compile import PIPELINES, compiled, main

ROOT = Path(__file__).resolve().parents[2]
SDK = ROOT / ".venv-compile" / "bin" / "python"
TEXT = compiled("retraining").read_text(encoding="utf-8")
DEFINITION = json.loads(TEXT)
PLACEHOLDERS = {
    "Model", "Base", "PromotionRoleArn", "TrainingRoleArn", "TrainingImage", "CodeUri", "CodeFile", "SpecUri",
    "LiveBucket", "CuratedBucket", "ArtifactBucket", "KmsKeyArn",
}  # fmt: skip


def _steps(steps=None) -> Iterator[dict]:
    for step in DEFINITION["Steps"] if steps is None else steps:
        yield step
        yield from _steps(step["Arguments"].get("IfSteps", []))
        yield from _steps(step["Arguments"].get("ElseSteps", []))


STEPS = {step["Name"]: step for step in _steps()}
JOBS = {name: step for name, step in STEPS.items() if step["Type"] in ("Processing", "Training")}


def _values(part) -> Iterator:
    """All dictionaries and texts of a part of the definition."""
    yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _values(inner)


def _command(name: str) -> tuple[list, list]:
    arguments = JOBS[name]["Arguments"]
    place = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
    return place["ContainerEntrypoint"], place["ContainerArguments"]


def test_steps_and_their_order():
    assert [(step["Name"], step["Type"]) for step in _steps()] == [
        ("Prepare", "Processing"),
        ("Validate", "Processing"),
        ("Train", "Training"),
        ("Evaluate", "Processing"),
        ("Gate", "Condition"),
        ("Refit", "Training"),
        ("Register", "RegisterModel"),
        ("RejectChallenger", "Fail"),
    ]
    assert STEPS["Train"]["DependsOn"] == ["Validate"]
    assert [step["Name"] for step in STEPS["Gate"]["Arguments"]["IfSteps"]] == ["Refit", "Register"]
    [condition] = STEPS["Gate"]["Arguments"]["Conditions"]
    assert (condition["Type"], condition["Values"]) == ("In", ["promote", "ask"])
    assert condition["QueryValue"]["Std:JsonGet"]["Path"] == "gate.decision"


def test_parameters():
    found = {p["Name"]: (p["Type"], p.get("DefaultValue")) for p in DEFINITION["Parameters"]}
    assert found == {
        "WindowStart": ("String", None),
        "WindowEnd": ("String", None),
        "HoldoutEnd": ("String", None),
        "EpisodeId": ("String", "manual"),
        "Trigger": ("String", "manual"),
        "ApprovalStatus": ("String", "PendingManualApproval"),
        "InstanceType": ("String", "ml.m5.large"),
        "MaxRuntimeInSeconds": ("Integer", 3600),
    }
    used = set(re.findall(r'"Get": "Parameters\.(\w+)"', TEXT))
    assert used == found.keys()


def test_nothing_concrete_and_no_wildcard():
    assert set(re.findall(r"\$\{([^}]*)\}", TEXT)) == PLACEHOLDERS
    for pattern in (
        r"arn:aws",
        r"\*",
        r"\d{12}",
        r"\b(?:us|eu|ap|sa|ca|me|af|il)-[a-z]+-\d\b",
        r"amazonaws",
        r"offline",
    ):
        assert not re.search(pattern, TEXT), pattern


def test_committed_text_is_tidy():
    assert json.dumps(DEFINITION, indent=2, ensure_ascii=False) + "\n" == TEXT
    for part in _values(DEFINITION):
        if isinstance(part, dict):
            first = [name for name in ("Version", "Name", "Type", "DependsOn", "Parameters") if name in part]
            assert list(part) == first + sorted(part.keys() - set(first))
            assert None not in part.values()


@pytest.mark.parametrize("name", JOBS)
def test_every_job_is_encrypted_and_bounded(name):
    arguments = JOBS[name]["Arguments"]
    resources = arguments.get("ResourceConfig") or arguments["ProcessingResources"]["ClusterConfig"]
    assert resources["VolumeKmsKeyId"] == "${KmsKeyArn}"
    assert resources["InstanceType"] == {"Get": "Parameters.InstanceType"}
    network = arguments.get("NetworkConfig", arguments)
    assert network["EnableInterContainerTrafficEncryption"] is True
    assert network["EnableNetworkIsolation"] is (name in ("Validate", "Train", "Refit"))
    assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": {"Get": "Parameters.MaxRuntimeInSeconds"}}
    for output in ("OutputDataConfig", "ProcessingOutputConfig"):
        if output in arguments:
            assert arguments[output]["KmsKeyId"] == "${KmsKeyArn}"
    assert ("OutputDataConfig" in arguments) or ("ProcessingOutputConfig" in arguments) or name == "Validate"


def test_only_prepare_may_read_live_data():
    assert {name for name, step in JOBS.items() if "${LiveBucket}" in json.dumps(step)} == {"Prepare"}
    roles = {name: step["Arguments"]["RoleArn"] for name, step in JOBS.items()}
    assert roles == {name: "${PromotionRoleArn}" if name == "Prepare" else "${TrainingRoleArn}" for name in JOBS}


@pytest.mark.parametrize("name", JOBS)
def test_command_is_what_the_step_understands(name):
    entrypoint, arguments = _command(name)
    fits = JOBS[name]["Type"] == "Training"
    folder = "/opt/ml/input/data/code" if fits else "/opt/ml/processing/input/code"
    assert entrypoint == ["python3", f"{folder}/${{CodeFile}}", name.lower()]
    assert all(len(value) <= 256 for value in (*entrypoint, *arguments) if isinstance(value, str))
    parser = import_module(f"pipelines.steps.{name.lower()}").parser()
    texts = [value if isinstance(value, str) else "2026-03-02T00:00:00Z" for value in arguments]
    parser.parse_args(texts)
    # Nothing is left to a default: whoever runs the definition sees, and can move, every path.
    options = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
    assert options - {"--help"} == {text for text in texts if text.startswith("--")}


@pytest.mark.parametrize("name", JOBS)
def test_paths_in_the_command_are_mounted(name):
    step = JOBS[name]["Arguments"]
    mounted = {"/opt/ml/model", "/opt/ml/output/message", "/opt/ml/output/failure"}
    mounted |= {f"/opt/ml/input/data/{channel['ChannelName']}" for channel in step.get("InputDataConfig", ())}
    mounted |= {part["S3Input"]["LocalPath"] for part in step.get("ProcessingInputs", ())}
    mounted |= {part["S3Output"]["LocalPath"] for part in step.get("ProcessingOutputConfig", {}).get("Outputs", ())}
    used = {value for value in _command(name)[1] if isinstance(value, str) and value.startswith("/opt/ml")}
    assert used <= mounted


def test_references_lead_to_earlier_steps_and_their_files():
    order = list(STEPS)
    for name, step in STEPS.items():
        own = {key: value for key, value in step["Arguments"].items() if not key.endswith("Steps")}
        references = [
            p["Get"] for p in _values(own) if isinstance(p, dict) and str(p.get("Get", "")).startswith("Steps.")
        ]
        for reference in references:
            _, target, *rest = reference.split(".")
            assert order.index(target) < order.index(name)
            if rest[0] == "PropertyFiles":
                assert rest[1] in {file["PropertyFileName"] for file in STEPS[target]["PropertyFiles"]}
            elif "Outputs[" in reference:
                outputs = STEPS[target]["Arguments"]["ProcessingOutputConfig"]["Outputs"]
                assert rest[1].split("'")[1] in {output["OutputName"] for output in outputs}


def test_where_things_are_written():
    places = {
        output["OutputName"]: output["S3Output"]["S3Uri"]["Std:Join"]["Values"]
        for step in JOBS.values()
        for output in step["Arguments"].get("ProcessingOutputConfig", {}).get("Outputs", ())
    }
    run = ["${Model}", {"Get": "Execution.PipelineExecutionId"}]
    assert places == {
        "training": ["s3://${CuratedBucket}", "datasets", *run, "training"],
        "holdout": ["s3://${CuratedBucket}", "datasets", *run, "holdout"],
        "manifest": ["s3://${CuratedBucket}", "datasets", *run, "manifest"],
        "evaluation": ["s3://${ArtifactBucket}", "evaluations", *run],
    }
    for name in ("Train", "Refit"):
        model = JOBS[name]["Arguments"]["OutputDataConfig"]["S3OutputPath"]["Std:Join"]["Values"]
        assert model == ["s3://${ArtifactBucket}", "models", *run]


def test_the_version_is_fitted_again_on_the_rows_that_the_gate_judged_on():
    channels = JOBS["Refit"]["Arguments"]["InputDataConfig"]
    sources = {channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in channels}
    made = "Steps.Prepare.ProcessingOutputConfig.Outputs['{}'].S3Output.S3Uri"
    assert sources == {
        "code": "${CodeUri}",
        "spec": "${SpecUri}",
        "training": {"Get": made.format("training")},
        "holdout": {"Get": made.format("holdout")},
        "tested": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
    }


def test_registration():
    arguments = STEPS["Register"]["Arguments"]
    (container,) = arguments["InferenceSpecification"]["Containers"]
    assert container["Environment"] == {
        "SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "PIP_NO_BUILD_ISOLATION": "0",
    }  # fmt: skip
    assert container["ModelDataUrl"] == {"Get": "Steps.Refit.ModelArtifacts.S3ModelArtifacts"}
    assert arguments["ModelPackageGroupName"] == "${Base}"
    # The evaluation says it: a person is asked whatever the pipeline was started with.
    assert arguments["ModelApprovalStatus"]["Std:JsonGet"]["Path"] == "approval"
    told = STEPS["Evaluate"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    assert told[told.index("--approval") + 1] == {"Get": "Parameters.ApprovalStatus"}
    assert set(arguments["CustomerMetadataProperties"]) == {
        "episode_id", "trigger", "baseline_uri", "evaluation_uri", "manifest_sha256", "window_start", "window_end",
        "holdout_end",
    }  # fmt: skip


@pytest.mark.compile
@pytest.mark.skipif(not SDK.exists(), reason="the SageMaker SDK is not installed in .venv-compile")
def test_recompiling_without_network_gives_the_committed_file():
    offline = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise OSError(f'network: {a[1:]}')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from pipelines.compile import main\n"
        "sys.exit(main(['--check']))\n"
    )
    done = subprocess.run([str(SDK), "-c", offline], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("up to date") == len(PIPELINES)


def test_check_shows_what_differs(monkeypatch, tmp_path, capsys):
    committed = tmp_path / "retraining.json"
    monkeypatch.setattr("pipelines.compile.compiled", lambda name: tmp_path / f"{name}.json")
    monkeypatch.setattr("pipelines.compile.compile_pipeline", lambda name: TEXT)
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    committed.write_text(TEXT.replace("gate.decision", "gate.verdict"))
    assert main(["--check"]) == 1
    shown = capsys.readouterr().err
    assert '-                "Path": "gate.verdict"' in shown
    assert "run `python -m pipelines.compile`" in shown
