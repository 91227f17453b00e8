"""Each of the kit's own rules finds what it is for, and the app's templates break none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.rules import encryption, operations, policies
from infra.rules.breach import Breach
from infra.rules.own import RULES, check
from tests.infra.rendering import Template

PASS = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/driftloop-a-serving"}
TO_SAGEMAKER = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
LIVE = {"Fn::Sub": "arn:${AWS::Partition}:s3:::driftloop-live-${AWS::AccountId}-${AWS::Region}/*"}


def template(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Resources": {"Thing": {"Type": kind, "Properties": properties}}}


def role(*statements: dict[str, Any], name: str = "some") -> dict[str, Any]:
    policy = {"PolicyName": "p", "PolicyDocument": {"Statement": list(statements)}}
    return template("AWS::IAM::Role", RoleName=name, Policies=[policy])


def pipeline(*steps: dict[str, Any]) -> dict[str, Any]:
    body = {"Fn::Sub": [json.dumps({"Steps": list(steps)}), {}]}
    return template("AWS::SageMaker::Pipeline", PipelineDefinition={"PipelineDefinitionBody": body})


def training(**arguments: Any) -> dict[str, Any]:
    settings = {"EnableNetworkIsolation": True, "EnableInterContainerTrafficEncryption": True}
    return {"Name": "Train", "Type": "Training", "Arguments": {**settings, **arguments}}


BROKEN = [
    (policies.no_wildcard_action, role({"Effect": "Allow", "Action": ["s3:Get*"], "Resource": "*"})),
    (policies.no_wildcard_action, role({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})),
    (
        policies.no_wildcard_action,
        template(
            "AWS::IAM::ManagedPolicy", PolicyDocument={"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
        ),
    ),
    (policies.no_managed_policy, template("AWS::IAM::Role", ManagedPolicyArns=["arn:aws:iam::aws:policy/Admin"])),
    (policies.scoped_pass_role, role(PASS)),
    (policies.scoped_pass_role, role({**PASS, "Resource": "*", "Condition": TO_SAGEMAKER})),
    (
        policies.training_without_live_data,
        role({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [LIVE]}, name="driftloop-a-training-x"),
    ),
    (policies.training_without_live_data, role(name="driftloop-a-training-x")),
    (encryption.encrypted_jobs, pipeline(training(ResourceConfig={"VolumeSizeInGB": 30}))),
    (encryption.encrypted_jobs, pipeline(training(OutputDataConfig={"S3OutputPath": "s3://b"}))),
    (
        encryption.encrypted_jobs,
        pipeline({"Arguments": {"IfSteps": [{"Arguments": {"ProcessingOutputConfig": {"Outputs": []}}}]}}),
    ),
    (encryption.isolated_training, pipeline(training(EnableNetworkIsolation=False))),
    (encryption.isolated_training, pipeline(training(EnableInterContainerTrafficEncryption=False))),
    (encryption.encrypted_endpoints, template("AWS::SageMaker::EndpointConfig", ProductionVariants=[])),
    (operations.log_retention, template("AWS::Logs::LogGroup", LogGroupName="g")),
    (operations.function_logs, template("AWS::Lambda::Function", FunctionName="f")),
    (operations.dead_letters, template("AWS::SQS::Queue", QueueName="work")),
    (operations.dead_letters, template("AWS::Events::Rule", Targets=[{"Arn": "q", "Id": "q"}])),
    (operations.dead_letters, template("AWS::Scheduler::Schedule", Target={"Arn": "f"})),
    (
        operations.small_model_stack,
        {
            "Resources": {
                "P": {"Type": "AWS::SageMaker::Pipeline"},
                **{f"R{number}": {"Type": "AWS::SSM::Parameter"} for number in range(30)},
            }
        },
    ),
]


@pytest.mark.parametrize(("rule", "broken"), BROKEN, ids=[rule.__name__ for rule, _ in BROKEN])
def test_a_broken_template_is_found(rule: Any, broken: dict[str, Any]) -> None:
    breaches = list(rule(broken))
    assert breaches
    assert all(isinstance(breach, Breach) and breach.resource in broken["Resources"] for breach in breaches)
    assert {breach.rule for breach in breaches} == {rule.__name__.replace("_", "-")}


def test_every_rule_has_an_example_that_breaks_it() -> None:
    assert set(RULES) == {rule for rule, _ in BROKEN}


def test_a_good_role_passes() -> None:
    assert check(role({**PASS, "Condition": TO_SAGEMAKER})) == []
    deny = {"Effect": "Deny", "Action": ["s3:*"], "Resource": [LIVE]}
    assert check(role(deny, name="driftloop-a-training-x")) == []


def test_a_key_is_needed_for_every_volume_of_the_real_definition(flights: Template) -> None:
    """The rule looks into the text: taking one key out of the compiled pipeline is noticed."""
    text = json.dumps(flights.content)
    assert check(flights.content) == []
    marker = '\\"VolumeKmsKeyId\\":'
    assert text.count(marker) >= 4
    spoiled = json.loads(text.replace(marker, '\\"Forgotten\\":', 1))
    assert [breach.rule for breach in check(spoiled)] == ["encrypted-jobs"]


def test_the_apps_templates_break_no_rule(disposable: Path) -> None:
    templates = sorted(disposable.glob("*.template.json"))
    assert len(templates) == 5
    for path in templates:
        assert check(json.loads(path.read_text())) == []
