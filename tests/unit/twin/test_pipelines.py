"""Executions whose steps need no other service: order, branches, failures, tokens, events."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from driftloop.twin.activity import Activity
from driftloop.twin.errors import ApiError
from driftloop.twin.jobs import Platform
from driftloop.twin.pipelines import Execution, Pipelines, flatten, parse_definition

ROLE = "arn:aws:iam::123456789012:role/r"
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
Event = tuple[str, dict[str, Any]]


class Runner:
    """Pipelines with nothing behind them, and the events that they announce."""

    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        self.activity = Activity()
        platform = Platform("http://127.0.0.1:9", "us-east-1", "123456789012", folder, lambda *_: KEYS)
        self.pipelines = Pipelines(platform, self.activity, self._announce)

    def _announce(self, source: str, kind: str, detail: Any, resources: Any) -> None:
        assert source == "aws.sagemaker"
        self.events.append((kind, dict(detail)))

    def start(self, *steps: dict[str, Any], parameters: Any = (), **request: Any) -> Execution:
        text = json.dumps({"Version": "2020-12-01", "Parameters": list(parameters), "Steps": steps})
        return self.pipelines.start("pipe", ROLE, text, request)

    def run(self, *steps: dict[str, Any], **more: Any) -> Execution:
        execution = self.start(*steps, **more)
        deadline = time.monotonic() + 10
        while self.activity.running and time.monotonic() < deadline:
            time.sleep(0.002)
        assert execution.status != "Executing"
        return execution


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def condition(name: str, left: Any, right: Any, then: Any = (), otherwise: Any = (), **more: Any) -> dict[str, Any]:
    test = {"Type": "Equals", "LeftValue": left, "RightValue": right}
    arguments = {"Conditions": [test], "IfSteps": list(then), "ElseSteps": list(otherwise)}
    return {"Name": name, "Type": "Condition", "Arguments": arguments, **more}


def fail(name: str, message: Any, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}, **more}


def names(execution: Execution) -> list[str]:
    return [step["StepName"] for step in execution.steps]


def test_steps_in_branches_are_found_too() -> None:
    inner = condition("inner", 1, 1, [fail("a", "")], [fail("b", "")])
    steps = [condition("outer", 1, 1, [inner], [fail("c", "")]), fail("d", "")]
    assert [step["Name"] for step in flatten(steps)] == ["outer", "inner", "a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("{", "ValidationException", "Unable to parse pipeline definition"),
        ("[]", "ValidationException", "Unable to parse pipeline definition"),
        ('{"Version": "2020-12-01"}', "ValidationException", "has no 'Steps'"),
        ('{"Steps": [{"Name": "a"}]}', "ValidationException", "has no 'Type'"),
        ('{"Steps": [{"Name": "a", "Type": "Condition"}]}', "ValidationException", "has no 'Arguments'"),
        ('{"Steps": [], "Schedule": "daily"}', "TwinNotSupported", "Schedule in the pipeline definition"),
        ('{"Steps": [{"Name": "a", "Type": "Tuning"}]}', "TwinNotSupported", "the step type Tuning of step a"),
        (
            json.dumps({"Steps": [condition("a", 1, 1, [{"Name": "b", "Type": "Lambda", "Arguments": {}}])]}),
            "TwinNotSupported",
            "the step type Lambda of step b",
        ),
        (
            json.dumps({"Steps": [fail("a", "", CacheConfig={"Enabled": True})]}),
            "TwinNotSupported",
            "CacheConfig in step a",
        ),
        (
            json.dumps({"Steps": [fail("a", ""), condition("b", 1, 1, [fail("a", "")])]}),
            "ValidationException",
            "step name a",
        ),
    ],
)
def test_definitions_that_cannot_run_are_refused(text: str, code: str, said: str) -> None:
    with pytest.raises(ApiError, match=r".+") as refusal:
        parse_definition(text)
    assert (refusal.value.code, said in str(refusal.value)) == (code, True), str(refusal.value)


@pytest.mark.parametrize(("answer", "taken", "skipped"), [("yes", "then", "otherwise"), ("no", "otherwise", "then")])
def test_a_condition_runs_one_branch_and_skips_the_other(runner: Runner, answer: str, taken: str, skipped: str) -> None:
    gate = condition("gate", answer, "yes", [condition("then", 1, 1)], [condition("otherwise", 1, 1)])
    execution = runner.run(gate)
    assert execution.status == "Succeeded"
    assert names(execution) == ["gate", taken]
    assert skipped not in execution.properties
    assert execution.steps[0]["Metadata"] == {"Condition": {"Outcome": str(answer == "yes")}}


def test_all_conditions_must_hold(runner: Runner) -> None:
    gate = condition("gate", 1, 1, [condition("then", 1, 1)])
    gate["Arguments"]["Conditions"].append({"Type": "Equals", "LeftValue": 1, "RightValue": 2})
    assert names(runner.run(gate)) == ["gate"]


def test_steps_wait_for_what_they_depend_on_and_what_they_read(runner: Runner) -> None:
    last = condition("last", {"Get": "Steps.middle.Outcome"}, "True")
    middle = condition("middle", 1, 1, DependsOn=["first"])
    execution = runner.run(last, middle, condition("first", 1, 1))
    assert names(execution) == ["first", "middle", "last"]
    assert execution.steps[2]["Metadata"] == {"Condition": {"Outcome": "True"}}


def test_steps_that_wait_for_each_other_fail_by_name(runner: Runner) -> None:
    execution = runner.run(condition("a", 1, 1, DependsOn=["b"]), condition("b", 1, 1, DependsOn=["a"]))
    assert execution.status == "Failed"
    assert "a, b" in execution.failure


def test_parameters_and_facts_of_the_execution_reach_the_steps(runner: Runner) -> None:
    values = [{"Get": "Parameters.Reason"}, {"Get": "Execution.PipelineName"}, {"Get": "Execution.PipelineExecutionId"}]
    step = fail("stop", {"Std:Join": {"On": " ", "Values": values}})
    declared = [{"Name": "Reason", "Type": "String"}]
    execution = runner.run(step, parameters=declared, PipelineParameters=[{"Name": "Reason", "Value": "late"}])
    assert execution.failure == f"Step failure: stop: late pipe {execution.id}"


def test_a_failed_step_is_named_and_nothing_runs_after_it(runner: Runner) -> None:
    execution = runner.run(fail("stop", "enough"), condition("after", 1, 1, DependsOn=["stop"]))
    assert (execution.status, execution.failure) == ("Failed", "Step failure: stop: enough")
    assert names(execution) == ["stop"]
    assert execution.steps[0] | {"StartTime": 0, "EndTime": 0} == {
        "StepName": "stop", "StepStatus": "Failed", "FailureReason": "enough", "StartTime": 0, "EndTime": 0,
    }  # fmt: skip


def test_a_failure_in_a_branch_names_the_step_and_not_the_condition(runner: Runner) -> None:
    execution = runner.run(condition("gate", 1, 1, [fail("inner", "enough")]))
    assert execution.failure == "Step failure: inner: enough"
    assert [step["StepStatus"] for step in execution.steps] == ["Succeeded", "Failed"]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (condition("bad", {"Get": "Parameters.Absent"}, 1), "Absent"),
        ({"Name": "bad", "Type": "Condition", "Arguments": {"Conditions": [{"Type": "Like"}]}}, "Like"),
        ({"Name": "bad", "Type": "Fail", "Arguments": {}}, "ErrorMessage"),
        ({"Name": "bad", "Type": "RegisterModel", "Arguments": {"Nonsense": 1}}, "Nonsense"),
        ({"Name": "bad", "Type": "Training", "Arguments": {"RoleArn": 5}}, "RoleArn"),
    ],
)
def test_whatever_goes_wrong_in_a_step_is_recorded_there(runner: Runner, step: dict[str, Any], said: str) -> None:
    execution = runner.run(step)
    assert execution.status == "Failed"
    assert execution.failure.startswith("Step failure: bad: ")
    assert said in execution.failure
    assert execution.steps[0]["StepStatus"] == "Failed"
    assert said in execution.steps[0]["FailureReason"]


def test_the_same_token_is_the_same_execution(runner: Runner) -> None:
    declared = [{"Name": "Reason", "Type": "String", "DefaultValue": "x"}]
    step = condition("only", 1, 1)
    first = runner.run(step, parameters=declared, ClientRequestToken="t" * 32)
    again = runner.run(step, parameters=declared, ClientRequestToken="t" * 32)
    other = runner.run(step, parameters=declared, ClientRequestToken="u" * 32)
    assert again is first
    assert other is not first
    assert len(runner.events) == 4, "two executions, each announced at its start and end"
    with pytest.raises(ApiError, match="other parameters") as conflict:
        runner.start(
            step,
            parameters=declared,
            ClientRequestToken="t" * 32,
            PipelineParameters=[{"Name": "Reason", "Value": "y"}],
        )
    assert conflict.value.code == "ConflictException"


def test_without_a_token_every_start_is_another_execution(runner: Runner) -> None:
    first, second = runner.run(condition("only", 1, 1)), runner.run(condition("only", 1, 1))
    assert first.arn != second.arn
    assert runner.pipelines.of("pipe") == [second, first]
    assert runner.pipelines.of("other") == []


def test_events_are_as_eventbridge_documents_them(runner: Runner) -> None:
    execution = runner.run(fail("stop", "enough"))
    kinds, details = zip(*runner.events, strict=True)
    assert set(kinds) == {"SageMaker Model Building Pipeline Execution Status Change"}
    assert [(d["previousPipelineExecutionStatus"], d["currentPipelineExecutionStatus"]) for d in details] == [
        (None, "Executing"), ("Executing", "Failed"),
    ]  # fmt: skip
    for detail in details:
        assert (detail["pipelineArn"], detail["pipelineExecutionArn"]) == (execution.pipeline_arn, execution.arn)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", detail["executionStartTime"])
    assert details[0]["executionEndTime"] is None
    assert details[1]["executionEndTime"] >= details[1]["executionStartTime"]


def test_an_execution_that_has_ended_cannot_be_stopped(runner: Runner) -> None:
    late = runner.run(fail("stop", "enough"))
    runner.pipelines.stop(late)
    assert (late.status, late.stopping) == ("Failed", False)


@pytest.mark.parametrize(
    ("given", "said"),
    [([], "Parameter Window has no value"), ([{"Name": "Windw", "Value": "x"}], "Unknown parameters: Windw")],
)
def test_wrong_parameters_refuse_the_start(runner: Runner, given: list[dict[str, str]], said: str) -> None:
    with pytest.raises(ApiError, match=said):
        runner.start(
            condition("only", 1, 1), parameters=[{"Name": "Window", "Type": "String"}], PipelineParameters=given
        )
    assert runner.events == []
    assert runner.pipelines.of("pipe") == []


def test_an_unknown_execution_is_named(runner: Runner) -> None:
    with pytest.raises(ApiError, match='Could not find pipeline execution "arn:x"'):
        runner.pipelines.get("arn:x")
