"""The committed definition of the pipeline that profiles with Spark."""

from __future__ import annotations

import json
import re

from pipelines.compile import compiled
from pipelines.steps.profile_spark import parser

TEXT = compiled("profiling").read_text(encoding="utf-8")
DEFINITION = json.loads(TEXT)
(STEP,) = DEFINITION["Steps"]
JOB = STEP["Arguments"]


def test_one_job_on_a_cluster_of_the_asked_size():
    assert (STEP["Name"], STEP["Type"]) == ("Profile", "Processing")
    cluster = JOB["ProcessingResources"]["ClusterConfig"]
    assert cluster["InstanceCount"] == {"Get": "Parameters.InstanceCount"}
    assert cluster["InstanceType"] == {"Get": "Parameters.InstanceType"}
    assert JOB["StoppingCondition"] == {"MaxRuntimeInSeconds": {"Get": "Parameters.MaxRuntimeInSeconds"}}


def test_everything_is_encrypted():
    assert JOB["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == "${KmsKeyArn}"
    assert JOB["ProcessingOutputConfig"]["KmsKeyId"] == "${KmsKeyArn}"
    assert JOB["NetworkConfig"] == {"EnableInterContainerTrafficEncryption": True, "EnableNetworkIsolation": False}


def test_parameters_are_used_and_only_the_baseline_has_no_default():
    found = {p["Name"]: p.get("DefaultValue") for p in DEFINITION["Parameters"]}
    assert set(re.findall(r'"Get": "Parameters\.(\w+)"', TEXT)) == found.keys()
    assert [name for name, default in found.items() if default is None] == ["BaselineUri"]
    assert found["Source"] == "captures"


def test_nothing_concrete():
    for pattern in (r"arn:aws", r"\*", r"\d{12}", r"\b(?:us|eu|ap)-[a-z]+-\d\b", r"amazonaws", r"offline"):
        assert not re.search(pattern, TEXT), pattern


def test_command_is_what_the_step_understands():
    arguments = JOB["AppSpecification"]["ContainerArguments"]
    texts = [value if isinstance(value, str) else "none" for value in arguments]
    parser().parse_args(texts)
    options = {option for action in parser()._actions for option in action.option_strings if option.startswith("--")}
    assert options - {"--help"} == {text for text in texts if text.startswith("--")}
    assert all(value != "" for value in arguments)
    assert all(parameter.get("DefaultValue") != "" for parameter in DEFINITION["Parameters"])


def test_paths_are_mounted():
    mounted = {part["S3Input"]["LocalPath"] for part in JOB["ProcessingInputs"]}
    mounted |= {part["S3Output"]["LocalPath"] for part in JOB["ProcessingOutputConfig"]["Outputs"]}
    app = JOB["AppSpecification"]
    used = [
        value
        for value in (*app["ContainerArguments"], *app["ContainerEntrypoint"])
        if str(value).startswith("/opt/ml/pro")
    ]
    assert len(used) == 4
    assert {path.rpartition("/")[0] if "${" in path else path for path in used} == mounted
