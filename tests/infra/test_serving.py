"""How predictions are asked for: the function, its URL, who may call whom, and who is told."""

from __future__ import annotations

import json
from typing import Any

from driftloop.aws.events import BatchDue
from driftloop.aws.settings import PredictSettings
from tests.infra.rendering import Template, as_list, statements
from tests.infra.test_model import ARN, alarm

LIVE = "arn:aws:s3:::driftloop-live-111122223333-eu-central-1"


def _function(template: Template) -> dict[str, Any]:
    [function] = template.of_type("AWS::Lambda::Function").values()
    return function


def _allowed(template: Template) -> set[tuple[str, str]]:
    """(action, resource) pairs of the function's role, but for what every function may."""
    common = ("logs:", "xray:", "kms:")
    return {
        (action, resource)
        for role, statement in statements(template)
        if role.startswith("Predict")
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if not action.startswith(common)
    }


def test_a_model_on_instances_has_a_url_only_if_its_file_says_so(flights: Template, fraud: Template) -> None:
    assert not flights.of_type("AWS::Lambda::Function", "AWS::Lambda::Url")
    assert _function(fraud)["Handler"] == "functions.predict.handler.handler"


def test_callers_sign_with_iam(fraud: Template, walk_in: Template) -> None:
    for template in (fraud, walk_in):
        [url] = template.of_type("AWS::Lambda::Url").values()
        assert url["AuthType"] == "AWS_IAM"
        assert not template.of_type("AWS::Lambda::Permission"), "nobody is let in without a policy of his own"
        assert any("PredictionsUrl" in name for name in template.content["Outputs"])


def test_the_function_knows_its_model_and_starts_anew_with_a_new_file(fraud: Template, walk_in: Template) -> None:
    settings = [
        PredictSettings.from_environment(_function(template)["Environment"]["Variables"])
        for template in (fraud, walk_in)
    ]
    assert [found.model for found in settings] == ["card_fraud", "walk_in"]
    assert settings[0].revision != settings[1].revision


def test_it_may_ask_its_own_endpoint_and_capture_only_where_sagemaker_does_not(
    fraud: Template, walk_in: Template
) -> None:
    assert _allowed(fraud) == {
        ("sagemaker:InvokeEndpoint", ARN.format(service="sagemaker", name="endpoint/driftloop-card-fraud")),
        ("ssm:GetParameter", ARN.format(service="ssm", name="parameter/driftloop/models/card_fraud")),
    }
    assert _allowed(walk_in) == {
        ("sagemaker:InvokeEndpoint", ARN.format(service="sagemaker", name="endpoint/driftloop-walk-in")),
        ("ssm:GetParameter", ARN.format(service="ssm", name="parameter/driftloop/models/walk_in")),
        ("s3:PutObject", f"{LIVE}/capture/driftloop-walk-in/*"),
    }


def test_people_are_told_if_it_fails_or_loses_a_capture(fraud: Template, walk_in: Template) -> None:
    for template, model in ((fraud, "card-fraud"), (walk_in, "walk-in")):
        found = alarm(template, f"driftloop-{model}-predict")
        assert (found["Namespace"], found["MetricName"], found["Statistic"]) == ("AWS/Lambda", "Errors", "Sum")
        assert found["Dimensions"] == [{"Name": "FunctionName", "Value": f"driftloop-{model}-predict"}]
        assert found["AlarmActions"] == [ARN.format(service="sns", name="driftloop-notifications")]
    found = alarm(walk_in, "driftloop-walk-in-captures")
    assert (found["Namespace"], found["MetricName"]) == ("driftloop", "CapturesLost")
    assert "driftloop-card-fraud-captures" not in json.dumps(fraud.content)


def test_alarms_take_a_version_back_where_sagemaker_does_not(fraud: Template, walk_in: Template) -> None:
    rule = walk_in.named("AWS::Events::Rule", "Name", "driftloop-walk-in-misbehaves")
    assert rule["EventPattern"]["resources"] == [
        ARN.format(service="cloudwatch", name=f"alarm:driftloop-walk-in-{signal}")
        for signal in ("errors", "shift", "latency")
    ]
    assert rule["Targets"][0]["Arn"] == ARN.format(service="sqs", name="driftloop-deployment")
    assert "misbehaves" not in json.dumps(fraud.content)


def _batch_schedules(template: Template) -> list[dict[str, Any]]:
    return [s for s in template.of_type("AWS::Scheduler::Schedule").values() if s["Name"].endswith("-batch")]


def test_files_are_answered_on_schedule_where_the_model_file_says_so(flights: Template, walk_in: Template) -> None:
    assert not _batch_schedules(flights)
    [schedule] = _batch_schedules(walk_in)
    assert (schedule["Name"], schedule["ScheduleExpression"]) == ("driftloop-walk-in-batch", "rate(6 hours)")
    assert schedule["Target"]["Arn"] == ARN.format(service="sqs", name="driftloop-batch")
    told = BatchDue.model_validate({**json.loads(schedule["Target"]["Input"]), "time": "2026-03-03T00:00:00Z"})
    assert told.model == "walk_in"
    assert json.loads(schedule["Target"]["Input"])["time"] == "<aws.scheduler.scheduled-time>"


def test_only_versions_that_answer_files_see_them(flights: Template, walk_in: Template) -> None:
    seen = [
        {
            (action, resource)
            for role, statement in statements(template)
            if "-serving-" in role
            for action in as_list(statement["Action"])
            for resource in as_list(statement["Resource"])
            if "/batch/" in str(resource)
        }
        for template in (flights, walk_in)
    ]
    files = f"{LIVE}/batch/walk_in/*"
    assert seen == [set(), {("s3:GetObject", files), ("s3:PutObject", files)}]


def _serving(template: Template) -> set[tuple[str, str]]:
    """(action, resource) pairs of the serving role on live data and topics."""
    return {
        (action, resource)
        for role, statement in statements(template)
        if "-serving-" in role
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if str(resource).startswith(LIVE) or action.startswith("sns:")
    }


def test_versions_with_a_queue_read_requests_write_answers_and_tell(claims: Template, fraud: Template) -> None:
    place = f"{LIVE}/asynchronous/claim_triage"
    assert _serving(claims) == {
        ("s3:GetObject", f"{place}/requests/*"),
        ("s3:ListBucket", LIVE),
        ("s3:PutObject", f"{place}/answers/*"),
        ("s3:PutObject", f"{place}/failures/*"),
        ("sns:Publish", ARN.format(service="sns", name="driftloop-answered")),
    }
    [listing] = [s for _, s in statements(claims) if s["Action"] == ["s3:ListBucket"] and s["Resource"] == [LIVE]
                 and "asynchronous" in json.dumps(s)]  # fmt: skip
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["asynchronous/claim_triage/requests/*"]}}
    assert _serving(fraud) == {("s3:PutObject", f"{LIVE}/capture/driftloop-card-fraud/*")}


def test_failures_of_requests_that_wait_ring_and_sagemaker_goes_back(claims: Template) -> None:
    found = alarm(claims, "driftloop-claim-triage-errors")
    assert (found["Namespace"], found["MetricName"]) == ("AWS/SageMaker", "InvocationFailures")
    assert (found["DatapointsToAlarm"], found["EvaluationPeriods"]) == (2, 15)
    assert alarm(claims, "driftloop-claim-triage-latency")["MetricName"] == "ModelLatency"
    assert not claims.of_type("AWS::Lambda::Function", "AWS::Lambda::Url")
    assert "misbehaves" not in json.dumps(claims.content)


def test_the_end_of_a_job_is_told(platform: Template) -> None:
    [rule] = [r for r in platform.of_type("AWS::Events::Rule").values() if r["Name"] == "driftloop-transform-ended"]
    assert rule["EventPattern"]["detail"]["TransformJobStatus"] == ["Completed", "Failed", "Stopped"]
    assert rule["Targets"][0]["Arn"] == ARN.format(service="sqs", name="driftloop-batch")
