"""A model's stack follows its model file."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template as Assertions

from driftloop.names import ModelNames
from driftloop.ports import Resources
from driftloop.spec import load_model
from driftloop.spec.catalog import TRAINING_IMAGES
from driftloop.spec.model import Retraining
from infra.constructs.model_schedules import ModelSchedules
from infra.constructs.training_image import TrainingImage
from infra.rules.operations import MODEL_STACK_RESOURCES
from tests.infra.rendering import Template

ARN = "arn:aws:{service}:eu-central-1:111122223333:{name}"


def alarm(template: Template, name: str) -> dict[str, Any]:
    return template.named("AWS::CloudWatch::Alarm", "AlarmName", name)


@pytest.mark.parametrize(("signal", "metric"), [("drift", "InputDrift"), ("quality", "QualityLoss")])
def test_alarms_follow_the_monitoring_of_the_model_file(
    flights: Template, fraud: Template, signal: str, metric: str
) -> None:
    for template, model, period, datapoints, of in (
        (flights, "flight_delay", 86400, 3, 3),
        (fraud, "card_fraud", 21600, 2, 4),
    ):
        found = alarm(template, ModelNames(model).alarm(signal))
        assert (found["Namespace"], found["MetricName"], found["Statistic"]) == ("driftloop", metric, "Maximum")
        assert found["Dimensions"] == [{"Name": "Model", "Value": model}]
        assert (found["Period"], found["DatapointsToAlarm"], found["EvaluationPeriods"]) == (period, datapoints, of)
        assert (found["Threshold"], found["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
        assert found["TreatMissingData"] == "notBreaching"
        assert found["AlarmActions"] == [ARN.format(service="sns", name="driftloop-notifications")]


def test_rollouts_are_watched_by_errors_of_the_endpoint(flights: Template) -> None:
    found = alarm(flights, "driftloop-flight-delay-errors")
    assert (found["Namespace"], found["MetricName"]) == ("AWS/SageMaker", "Invocation5XXErrors")
    assert {item["Name"]: item["Value"] for item in found["Dimensions"]} == {
        "EndpointName": "driftloop-flight-delay",
        "VariantName": "AllTraffic",
    }
    assert found["Period"] * found["EvaluationPeriods"] < 600, "longer than the default bake time"


def test_rollouts_are_watched_by_what_the_version_answers(flights: Template) -> None:
    found = alarm(flights, "driftloop-flight-delay-shift")
    assert (found["Namespace"], found["MetricName"], found["Statistic"]) == ("driftloop", "PredictionShift", "Maximum")
    assert found["Dimensions"] == [{"Name": "Model", "Value": "flight_delay"}]
    assert (found["Period"], found["DatapointsToAlarm"], found["EvaluationPeriods"]) == (60, 2, 3)


def test_a_limit_of_latency_has_an_alarm(flights: Template, fraud: Template) -> None:
    found = alarm(fraud, "driftloop-card-fraud-latency")
    assert (found["MetricName"], found["Statistic"], found["Threshold"]) == ("ModelLatency", "Average", 2e6)
    assert "driftloop-flight-delay-latency" not in json.dumps(flights.content)


@pytest.mark.parametrize(("name", "signals"), [("flights", ["drift", "quality"]), ("fraud", ["quality"])])
def test_only_alarms_that_the_model_file_names_retrain(
    request: pytest.FixtureRequest, name: str, signals: list[str]
) -> None:
    template: Template = request.getfixturevalue(name)
    base = {"flights": "driftloop-flight-delay", "fraud": "driftloop-card-fraud"}[name]
    rule = template.named("AWS::Events::Rule", "Name", f"{base}-retrain")
    assert rule["EventPattern"] == {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "resources": [ARN.format(service="cloudwatch", name=f"alarm:{base}-{signal}") for signal in signals],
        "detail": {"state": {"value": ["ALARM"]}},
    }
    assert rule["Targets"][0]["Arn"] == ARN.format(service="sqs", name="driftloop-retraining")


def test_a_decision_in_the_models_own_group_is_followed(flights: Template) -> None:
    rule = flights.named("AWS::Events::Rule", "Name", "driftloop-flight-delay-decided")
    assert rule["EventPattern"]["detail"] == {
        "ModelPackageGroupName": ["driftloop-flight-delay"],
        "ModelApprovalStatus": ["Approved", "Rejected"],
    }
    assert rule["Targets"][0]["Arn"] == ARN.format(service="sqs", name="driftloop-deployment")


def test_each_window_is_judged_after_its_end(flights: Template, fraud: Template) -> None:
    daily = flights.named("AWS::Scheduler::Schedule", "Name", "driftloop-flight-delay-detect")
    assert daily["ScheduleExpression"] == "cron(30 0 * * ? *)"
    assert json.loads(daily["Target"]["Input"]) == {"model": "flight_delay"}
    assert daily["Target"]["Arn"] == ARN.format(service="lambda", name="function:driftloop-detect-drift")
    quarterly = fraud.named("AWS::Scheduler::Schedule", "Name", "driftloop-card-fraud-detect")
    assert quarterly["ScheduleExpression"] == "cron(30 0,6,12,18 * * ? *)"


def test_a_shadow_is_looked_at_every_hour_where_the_model_file_has_one(flights: Template, fraud: Template) -> None:
    schedule = fraud.named("AWS::Scheduler::Schedule", "Name", "driftloop-card-fraud-compare")
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    assert json.loads(schedule["Target"]["Input"]) == {"model": "card_fraud"}
    assert schedule["Target"]["Arn"] == ARN.format(service="lambda", name="function:driftloop-compare-shadow")
    names = [entry["Name"] for entry in flights.of_type("AWS::Scheduler::Schedule").values()]
    assert not [name for name in names if name.endswith("-compare")]


def test_scheduled_retraining_only_where_the_model_file_asks_for_it(fraud: Template, two_models: Path) -> None:
    never = load_model(two_models / "card_fraud" / "model.yaml").model_copy(update={"retraining": Retraining()})
    stack = Stack(App(), "driftloop-card-fraud")
    ModelSchedules(stack, "Schedules", never)
    names = [
        item["Name"]
        for item in Template(dict(Assertions.from_stack(stack).to_json())).of_type("AWS::Scheduler::Schedule").values()
    ]
    assert names == ["driftloop-card-fraud-detect", "driftloop-card-fraud-compare"]
    schedule = fraud.named("AWS::Scheduler::Schedule", "Name", "driftloop-card-fraud-retrain")
    assert schedule["ScheduleExpression"] == "rate(14 days)"
    assert json.loads(schedule["Target"]["Input"]) == {
        "model": "card_fraud",
        "trigger": "schedule",
        "time": "<aws.scheduler.scheduled-time>",
    }
    assert schedule["Target"]["Arn"] == ARN.format(service="sqs", name="driftloop-retraining")


def test_functions_read_the_model_file_as_it_is(flights: Template, fraud: Template, two_models: Path) -> None:
    for template, model in ((flights, "flight_delay"), (fraud, "card_fraud")):
        (parameter,) = template.of_type("AWS::SSM::Parameter").values()
        assert parameter["Name"] == f"/driftloop/models/{model}"
        compiled = load_model(two_models / model / "model.yaml").compiled()
        assert json.loads(parameter["Value"])["spec"] == json.loads(json.dumps(compiled))


def test_functions_find_the_resources_of_the_model(flights: Template) -> None:
    (parameter,) = flights.of_type("AWS::SSM::Parameter").values()
    content = json.loads(parameter["Value"])
    resources = Resources(**content["resources"])
    assert re.fullmatch("[0-9a-f]{12}", resources.revision)
    assert replace(resources, revision="") == Resources(
        pipeline="driftloop-flight-delay",
        group="driftloop-flight-delay",
        endpoint="driftloop-flight-delay",
        serving_role_arn="arn:aws:iam::111122223333:role/driftloop-flight-delay-serving-eu-central-1",
        serving_image="492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3",
    )


def test_each_image_has_a_registry_in_every_region(walk_in: Template) -> None:
    image = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.2-0"
    (parameter,) = walk_in.of_type("AWS::SSM::Parameter").values()
    assert json.loads(parameter["Value"])["resources"]["serving_image"] == image
    text = json.dumps(definition(walk_in))
    assert image in text
    assert "scikit-learn" not in text
    assert "repository/sagemaker-xgboost" in json.dumps(walk_in.content)
    for name, (repository, tag) in TRAINING_IMAGES.items():
        stack = Stack(App(), "image")
        assert TrainingImage(stack, "Image", name).repository == repository
        (mapping,) = Assertions.from_stack(stack).to_json()["Mappings"].values()
        assert len(mapping) > 30
        assert all(re.fullmatch(r"\d{12}", entry["account"]) for entry in mapping.values())
        assert tag.startswith(name.partition("-")[2])


def definition(template: Template) -> dict[str, Any]:
    (pipeline,) = template.of_type("AWS::SageMaker::Pipeline").values()
    found: dict[str, Any] = json.loads(pipeline["PipelineDefinition"]["PipelineDefinitionBody"])
    return found


def test_the_pipeline_takes_its_defaults_from_the_model_file(flights: Template, fraud: Template) -> None:
    for template, instance, seconds in ((flights, "ml.m5.large", 3600), (fraud, "ml.c5.xlarge", 7200)):
        defaults = {item["Name"]: item.get("DefaultValue") for item in definition(template)["Parameters"]}
        assert (defaults["InstanceType"], defaults["MaxRuntimeInSeconds"]) == (instance, seconds)


def test_the_definition_is_filled_completely(flights: Template) -> None:
    text = json.dumps(definition(flights))
    assert "${" not in text
    assert "arn:aws:iam::111122223333:role/driftloop-flight-delay-training-eu-central-1" in text
    assert "s3://driftloop-curated-111122223333-eu-central-1" in text


def test_steps_run_the_published_code_with_the_published_model_file(flights: Template, assembly: Path) -> None:
    text = json.dumps(definition(flights))
    published = json.loads((assembly / "driftloop-flight-delay.assets.json").read_text())["files"]
    keys = {
        destination["objectKey"]: assembly / asset["source"]["path"]
        for asset in published.values()
        for destination in asset["destinations"].values()
    }
    (code,) = [key for key in keys if key.endswith(".zip")]
    (spec,) = [key for key, path in keys.items() if key.endswith(".json") and "template" not in path.name]
    assert f"/opt/ml/processing/input/code/{code}" in text
    assert f"assets-111122223333-eu-central-1/{spec}" in text
    assert (keys[code] / "__main__.py").is_file()
    assert json.loads(keys[spec].read_text())["name"] == "flight_delay"


def test_what_the_loop_deployed_goes_before_the_roles_that_it_needs(flights: Template) -> None:
    (entry,) = [item for item in flights.content["Resources"].values() if item["Type"] == "Custom::DriftloopEndpoint"]
    properties = flights.render(entry["Properties"])
    assert properties["BaseName"] == "driftloop-flight-delay"
    assert properties["ServiceToken"] == ARN.format(service="lambda", name="function:driftloop-remove-endpoint")
    kinds = [flights.content["Resources"][name]["Type"] for name in entry["DependsOn"]]
    assert kinds.count("AWS::IAM::Role") == 4
    assert "AWS::SageMaker::ModelPackageGroup" in kinds


def test_stacks_hold_no_exports_of_each_other(assembly: Path) -> None:
    for stack in ("driftloop-platform", "driftloop-flight-delay"):
        content = Template.load(assembly, stack).content
        assert "Outputs" not in content
        assert "Fn::ImportValue" not in json.dumps(content)


def test_a_model_stack_is_small(flights: Template, fraud: Template) -> None:
    for template in (flights, fraud):
        assert len(template.content["Resources"]) <= MODEL_STACK_RESOURCES


def test_no_account_or_region_is_written_into_a_template(assembly: Path) -> None:
    for stack in ("driftloop-platform", "driftloop-flight-delay"):
        content = Template.load(assembly, stack).content
        content.pop("Mappings", None)
        text = json.dumps(content)
        assert "eu-central-1" not in text
        assert "us-east-1" not in text
