"""The expression language of pipeline definitions: every construct, and every way to get it wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from driftloop.twin.expressions import DefinitionError, Scope, bind_parameters, walk

EVALUATION = {"gate": {"decision": "promote", "advantage": 0.25, "odd-key": [10, {"a b": 1}]}}


def scope(**changes: Any) -> Scope:
    facts: dict[str, Any] = {
        "parameters": {"Start": "2013-01-01", "Count": 3, "Rate": 0.5, "Flag": True},
        "execution": {"PipelineExecutionId": "abc"},
        "steps": {
            "Train": {"ModelArtifacts": {"S3ModelArtifacts": "s3://b/m"}},
            "Evaluate": {"ProcessingOutputConfig": {"Outputs": {"report": {"S3Output": {"S3Uri": "s3://b/e"}}}}},
        },
        "property_files": {("Evaluate", "Report"): "s3://b/e/evaluation.json"},
        "read": lambda uri: json.dumps(EVALUATION).encode(),
    }
    return Scope(**(facts | changes))


def json_get(path: str, step: str = "Evaluate", file: str = "Report") -> dict[str, Any]:
    return {"Std:JsonGet": {"PropertyFile": {"Get": f"Steps.{step}.PropertyFiles.{file}"}, "Path": path}}


def condition(kind: str, left: Any, right: Any) -> dict[str, Any]:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("plain", "plain"),
        (7, 7),
        (None, None),
        ({"Get": "Parameters.Start"}, "2013-01-01"),
        ({"Get": "Execution.PipelineExecutionId"}, "abc"),
        ({"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}, "s3://b/m"),
        ({"Get": "Steps.Evaluate.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"}, "s3://b/e"),
        ([{"Get": "Parameters.Count"}, "x"], [3, "x"]),
        ({"A": {"B": {"Get": "Parameters.Rate"}}}, {"A": {"B": 0.5}}),
        ({"Std:Join": {"On": "/", "Values": ["s3:/", "b", {"Get": "Execution.PipelineExecutionId"}, 3]}}, "s3://b/abc/3"),
        ({"Std:Join": {"On": "", "Values": []}}, ""),
        ({"Std:Join": {"On": "-", "Values": [{"Std:Join": {"On": "+", "Values": [1, 2]}}, json_get("gate.decision")]}}, "1+2-promote"),
        (json_get("gate.advantage"), 0.25),
        (json_get("gate['odd-key'][1]['a b']"), 1),
        (json_get("gate.odd-key[0]"), 10),
    ],
)  # fmt: skip
def test_values(expression: Any, value: Any) -> None:
    assert scope().value(expression) == value


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ({"Get": "Parameters.Absent"}, "Absent"),
        ({"Get": "Steps.Later.Arn"}, "Steps.Later.Arn refers to a step that has not run"),
        ({"Get": "Weather.Today"}, "Weather.Today"),
        ({"Get": "Steps.Train.ModelArtifacts.Absent"}, "Absent"),
        ({"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts.Deeper"}, "Deeper"),
        ({"Get": "Parameters.Start!"}, "Start!"),
        ({"Std:Reverse": "abc"}, "Std:Reverse"),
        (json_get("gate.decisions"), "decisions"),
        (json_get("gate['odd-key'][5]"), "5"),
        (json_get("gate..decision"), "gate..decision"),
        (json_get("gate.decision", file="Absent"), "no property file Absent"),
        (json_get("gate.decision", step="Train"), "Train has no property file Report"),
    ],
)
def test_values_that_cannot_be_had_are_named(expression: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=r".+") as error:
        scope().value(expression)
    assert said in str(error.value)


def test_a_property_file_that_is_not_json_is_named() -> None:
    with pytest.raises(DefinitionError, match=r"s3://b/e/evaluation\.json is not JSON"):
        scope(read=lambda uri: b"<html>").value(json_get("gate"))


@pytest.mark.parametrize(
    ("kind", "smaller", "equal", "greater"),
    [
        ("Equals", False, True, False),
        ("GreaterThan", False, False, True),
        ("GreaterThanOrEqualTo", False, True, True),
        ("LessThan", True, False, False),
        ("LessThanOrEqualTo", True, True, False),
    ],
)
def test_every_comparison(kind: str, smaller: bool, equal: bool, greater: bool) -> None:
    for left, expected in ((2, smaller), (3, equal), (4, greater)):
        assert scope().holds(condition(kind, left, {"Get": "Parameters.Count"})) is expected


def test_conditions_combine() -> None:
    yes, no = condition("Equals", json_get("gate.decision"), "promote"), condition("Equals", 1, 2)
    holds = scope().holds
    assert holds({"Type": "Not", "Expression": no})
    assert not holds({"Type": "Not", "Expression": yes})
    assert holds({"Type": "Or", "Conditions": [no, yes]})
    assert not holds({"Type": "Or", "Conditions": [no, no]})
    assert holds({"Type": "In", "QueryValue": {"Get": "Parameters.Count"}, "Values": [1, {"Get": "Parameters.Count"}]})
    assert not holds({"Type": "In", "QueryValue": "x", "Values": ["y"]})


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (condition("Resembles", 1, 1), "Resembles"),
        (condition("GreaterThan", "many", 1), "'many' with 1"),
        ({"Type": "Equals", "LeftValue": 1}, "RightValue"),
        ({"LeftValue": 1}, "Type"),
        ({"Type": "Or"}, "Conditions"),
    ],
)
def test_a_condition_that_cannot_be_decided_says_why(broken: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        scope().holds(broken)


def test_a_path_leads_nowhere_or_to_a_value() -> None:
    assert walk(EVALUATION, "") is EVALUATION
    assert walk([[1, 2]], "[0][1]") == 2
    for path in ("[x]", "a b", "['gate]", "gate.[0]", ".", "gate."):
        with pytest.raises(DefinitionError, match=r".+"):
            walk(EVALUATION, path)


DECLARED: list[dict[str, Any]] = [
    {"Name": "Start", "Type": "String"},
    {"Name": "Status", "Type": "String", "DefaultValue": "Pending", "EnumValues": ["Pending", "Approved"]},
    {"Name": "Seconds", "Type": "Integer", "DefaultValue": 3600},
    {"Name": "Rate", "Type": "Float", "DefaultValue": 0.5},
    {"Name": "Flag", "Type": "Boolean", "DefaultValue": False},
]


def test_parameters_take_what_is_given_or_their_default_in_their_type() -> None:
    assert bind_parameters(DECLARED, {"Start": "x"}) == {
        "Start": "x", "Status": "Pending", "Seconds": 3600, "Rate": 0.5, "Flag": False,
    }  # fmt: skip
    given = {"Start": "", "Status": "Approved", "Seconds": "60", "Rate": "1", "Flag": "True"}
    assert bind_parameters(DECLARED, given) == {
        "Start": "", "Status": "Approved", "Seconds": 60, "Rate": 1.0, "Flag": True,
    }  # fmt: skip
    assert bind_parameters([], {}) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Parameter Start has no value"),
        ({"Start": "x", "Stat": "y", "Begin": "z"}, "Unknown parameters: Begin, Stat"),
        ({"Start": "x", "Seconds": "an hour"}, "Parameter Seconds: 'an hour' is not Integer"),
        ({"Start": "x", "Seconds": "1.5"}, "Parameter Seconds: '1.5' is not Integer"),
        ({"Start": "x", "Rate": "fast"}, "Parameter Rate: 'fast' is not Float"),
        ({"Start": "x", "Flag": "perhaps"}, "Parameter Flag: 'perhaps' is not Boolean"),
        ({"Start": "x", "Status": "Rejected"}, "Parameter Status: 'Rejected' is not one of"),
    ],
)
def test_parameters_that_do_not_fit_are_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        bind_parameters(DECLARED, given)


def test_a_parameter_type_that_sagemaker_does_not_have_is_named() -> None:
    with pytest.raises(DefinitionError, match="Parameter When: the type Date"):
        bind_parameters([{"Name": "When", "Type": "Date"}], {"When": "x"})
