"""Deployed models, notifications and pipelines."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from driftloop.aws.alarms import CloudWatchAlarms
from driftloop.aws.models import SsmModels
from driftloop.aws.notifier import SnsNotifier
from driftloop.aws.pipelines import SageMakerPipelines
from driftloop.ports import Alarms, Models, NotFoundError, Notifier, Pipelines, RetryableError, TerminalError
from driftloop.simulation.fakes import FakeAlarms, FakeModels, FakeNotifier, FakePipelines
from tests.contract.account import serving_role
from tests.contract.conftest import BOTH, EVERYWHERE
from tests.contract.twin.cloud import policy
from tests.fakes import examples as ex

ARN = "arn:aws:sagemaker:eu-central-1:123456789012:pipeline/driftloop-late-train/execution/abcdef123456"


def put_parameter(ssm: Any, name: str = ex.NAME, **parts: Any) -> None:
    """What a model's stack writes."""
    resources = vars(ex.model(name).resources)
    value = json.dumps({"spec": ex.spec(name=name, **parts), "resources": resources})
    ssm.put_parameter(Name=f"/driftloop/models/{name}", Value=value, Type="String", Overwrite=True)


@pytest.fixture
def models(kind: str, aws: Callable[[str], Any]) -> Models:
    if kind == "fake":
        return FakeModels(ex.model())
    put_parameter(aws("ssm"))
    return SsmModels(aws("ssm"))


@EVERYWHERE
class TestModels:
    def test_a_deployed_model(self, models: Models) -> None:
        assert models.get(ex.NAME) == ex.model()
        assert models.get(ex.NAME).schema == ex.SCHEMA

    def test_a_model_that_is_not_deployed(self, models: Models) -> None:
        with pytest.raises(NotFoundError, match="'gone' is not deployed"):
            models.get("gone")

    def test_all_deployed_models(self, models: Models) -> None:
        assert models.all() == ([ex.model()], {})


@EVERYWHERE
def test_all_models_are_found_by_name_however_many(kind: str, aws: Callable[[str], Any]) -> None:
    names = [f"m{number:02d}" for number in range(25)]  # Parameter Store gives ten at a time
    if kind != "fake":
        aws("ssm").put_parameter(Name="/driftloop/settings", Value="not a model", Type="String")
        for name in reversed(names):
            put_parameter(aws("ssm"), name)
    models: Models = FakeModels(*map(ex.model, reversed(names))) if kind == "fake" else SsmModels(aws("ssm"))
    assert models.all() == ([ex.model(name) for name in names], {})


@EVERYWHERE
def test_where_nothing_is_deployed_there_are_no_models(kind: str, aws: Callable[[str], Any]) -> None:
    models: Models = FakeModels() if kind == "fake" else SsmModels(aws("ssm"))
    assert models.all() == ([], {})


def test_a_model_of_an_older_stack_has_no_revision(aws: Callable[[str], Any]) -> None:
    resources = {key: value for key, value in vars(ex.model().resources).items() if key != "revision"}
    value = json.dumps({"spec": ex.spec(), "resources": resources})
    aws("ssm").put_parameter(Name=f"/driftloop/models/{ex.NAME}", Value=value, Type="String")
    assert SsmModels(aws("ssm")).get(ex.NAME).resources.revision == ""


@EVERYWHERE
def test_alarms_that_stand(kind: str, aws: Callable[[str], Any]) -> None:
    fake, name = FakeAlarms(), f"{ex.BASE}-drift"
    fake.raise_(name, ex.START, "over")
    alarms: Alarms = fake
    if kind != "fake":
        cloudwatch = aws("cloudwatch")
        # moto looks for a prefix or for a state, not for both.
        others = ("somebody-elses", f"{ex.BASE}-quality") if kind == "twin" else ("somebody-elses",)
        for other in (name, *others):
            cloudwatch.put_metric_alarm(
                AlarmName=other, Namespace="driftloop", MetricName="InputDrift", Statistic="Maximum", Period=86400,
                EvaluationPeriods=3, Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold",
                TreatMissingData="ignore",
            )  # fmt: skip
        for other in (name, "somebody-elses"):
            cloudwatch.set_alarm_state(AlarmName=other, StateValue="ALARM", StateReason="over")
        alarms = CloudWatchAlarms(cloudwatch)
    assert [(alarm.name, alarm.reason) for alarm in alarms.raised()] == [(name, "over")]


@pytest.mark.parametrize("moved", [True, False])
def test_an_alarm_was_raised_when_its_state_changed_and_not_its_reason(moved: bool) -> None:
    alarm = {"AlarmName": "driftloop-a-drift", "StateUpdatedTimestamp": ex.START + timedelta(hours=5)}
    alarm |= {"StateTransitionedTimestamp": ex.START} if moved else {}
    cloudwatch = boto3.client("cloudwatch")
    stubber = Stubber(cloudwatch)
    stubber.add_response(
        "describe_alarms",
        {"MetricAlarms": [alarm]},
        {"AlarmNamePrefix": "driftloop-", "AlarmTypes": ["MetricAlarm"], "StateValue": "ALARM"},
    )
    with stubber:
        (raised,) = CloudWatchAlarms(cloudwatch).raised()
    assert raised.since == ex.START + timedelta(hours=0 if moved else 5)


def test_a_warm_function_reads_a_model_once_a_minute(aws: Callable[[str], Any]) -> None:
    ssm, now = aws("ssm"), [100.0]
    put_parameter(ssm)
    models = SsmModels(ssm, seconds=60, monotonic=lambda: now[0])
    assert models.get(ex.NAME).spec["gate"]["margin"] == 0
    put_parameter(ssm, gate={"margin": 0.5})
    now[0] += 59.9
    assert models.get(ex.NAME).spec["gate"]["margin"] == 0
    now[0] += 0.1
    assert models.get(ex.NAME).spec["gate"]["margin"] == 0.5


def test_a_model_that_comes_later_is_found(aws: Callable[[str], Any]) -> None:
    models = SsmModels(aws("ssm"))
    with pytest.raises(NotFoundError):
        models.get(ex.NAME)
    put_parameter(aws("ssm"))
    assert models.get(ex.NAME) == ex.model()


Inbox = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def notified(kind: str, aws: Callable[[str], Any]) -> tuple[Notifier, Inbox]:
    if kind == "fake":
        fake = FakeNotifier()
        return fake, lambda: fake.messages
    sns, sqs = aws("sns"), aws("sqs")
    topic = sns.create_topic(Name="people")["TopicArn"]
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    grant = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy(grant)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def inbox() -> list[tuple[str, str]]:
        bodies = [json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=queue)["Messages"]]
        return [(body["Subject"], body["Message"]) for body in bodies]

    return SnsNotifier(sns, topic), inbox


@EVERYWHERE
@pytest.mark.parametrize(
    ("subject", "arrives"),
    [("short", "short"), ("two\nlines\tand  more", "two lines and more"), ("x" * 200, "x" * 100)],
    ids=["short", "lines", "long"],
)
def test_people_are_told(notified: tuple[Notifier, Inbox], subject: str, arrives: str) -> None:
    notifier, inbox = notified
    notifier.publish(subject, "first line\nsecond line")
    assert inbox() == [(arrives, "first line\nsecond line")]


def _stubbed(*answers: tuple[str, dict[str, Any], dict[str, Any]], error: dict[str, Any] | None = None) -> Any:
    sagemaker = boto3.client("sagemaker")
    stubber = Stubber(sagemaker)
    for operation, answer, expected in answers:
        stubber.add_response(operation, answer, expected)
    if error:
        stubber.add_client_error("start_pipeline_execution", **error)
    stubber.activate()
    return sagemaker


@pytest.fixture
def pipelines(kind: str, aws: Callable[[str], Any]) -> Pipelines:
    """moto ignores the client request token, so the adapter is checked against the API's model instead."""
    if kind == "fake":
        return FakePipelines()
    if kind == "twin":
        parameters = [{"Name": name, "Type": "String", "DefaultValue": ""} for name in ("WindowEnd", "Trigger")]
        definition = json.dumps({"Version": "2020-12-01", "Parameters": parameters, "Steps": []})
        aws("sagemaker").create_pipeline(
            PipelineName=ex.BASE, PipelineDefinition=definition, ClientRequestToken="c" * 32, RoleArn=serving_role(aws)
        )
        return SageMakerPipelines(aws("sagemaker"))
    expected = {
        "PipelineName": ex.BASE,
        "PipelineParameters": [{"Name": "Trigger", "Value": "drift"}, {"Name": "WindowEnd", "Value": "b"}],
        "ClientRequestToken": "t" * 32,
    }
    start = ("start_pipeline_execution", {"PipelineExecutionArn": ARN}, expected)
    return SageMakerPipelines(_stubbed(start, start))


@EVERYWHERE
def test_the_same_token_gives_the_same_execution(pipelines: Pipelines) -> None:
    parameters = {"WindowEnd": "b", "Trigger": "drift"}
    first = pipelines.start(ex.BASE, parameters, "t" * 32)
    assert f":pipeline/{ex.BASE}/execution/" in first
    assert pipelines.start(ex.BASE, parameters, "t" * 32) == first


def test_the_fakes_tokens_tell_executions_apart() -> None:
    fake = FakePipelines()
    assert fake.start(ex.BASE, {}, "a") != fake.start(ex.BASE, {}, "b")


def test_a_pipeline_that_exists_starts(aws: Callable[[str], Any]) -> None:
    sagemaker = aws("sagemaker")
    sagemaker.create_pipeline(
        PipelineName=ex.BASE, PipelineDefinition="{}", ClientRequestToken="c" * 32, RoleArn=ex.ROLE
    )
    arn = SageMakerPipelines(sagemaker).start(ex.BASE, {"Trigger": "drift"}, "t" * 32)
    assert sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineArn"].endswith(ex.BASE)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ThrottlingException", 400, RetryableError),
        ("ConflictException", 400, RetryableError),
        ("ResourceLimitExceeded", 400, RetryableError),
        ("SomethingNew", 503, RetryableError),
        ("ResourceNotFound", 400, TerminalError),
        ("ValidationException", 400, TerminalError),
        ("AccessDeniedException", 403, TerminalError),
    ],
)
def test_whether_another_try_can_help(code: str, status: int, error: type[Exception]) -> None:
    sagemaker = _stubbed(error={"service_error_code": code, "http_status_code": status})
    with pytest.raises(error, match=code):
        SageMakerPipelines(sagemaker).start(ex.BASE, {}, "t" * 32)


@pytest.mark.parametrize("status", ["Executing", "Succeeded"])
@BOTH
def test_how_an_execution_stands(kind: str, status: str) -> None:
    fake = FakePipelines()
    arn = fake.start(ex.BASE, {}, "t" * 32)
    if status != "Executing":
        fake.statuses[arn] = status
    pipelines: Pipelines = fake
    if kind != "fake":
        told = ("describe_pipeline_execution", {"PipelineExecutionStatus": status}, {"PipelineExecutionArn": arn})
        pipelines = SageMakerPipelines(_stubbed(told))
    assert pipelines.status(arn) == status


@EVERYWHERE
def test_an_execution_that_is_gone(kind: str, aws: Callable[[str], Any]) -> None:
    pipelines: Pipelines = FakePipelines() if kind == "fake" else SageMakerPipelines(aws("sagemaker"))
    with pytest.raises(NotFoundError, match="does not exist"):
        pipelines.status(ARN)


def _steps(*steps: tuple[str, str, str | None]) -> dict[str, Any]:
    return {
        "PipelineExecutionSteps": [
            {"StepName": name, "StepStatus": status, **({"FailureReason": why} if why else {})}
            for name, status, why in steps
        ]
    }


@BOTH
@pytest.mark.parametrize(
    ("steps", "failure"),
    [
        ([("Prepare", "Succeeded", None)], ("", "")),
        ([("Train", "Failed", "out of memory"), ("Prepare", "Succeeded", None)], ("Train", "out of memory")),
        ([("Train", "Failed", None)], ("Train", "no reason given")),
    ],
    ids=["none", "one", "no-reason"],
)
def test_why_an_execution_failed(kind: str, steps: list[tuple[str, str, str | None]], failure: tuple[str, str]) -> None:
    pipelines: Pipelines = FakePipelines(failures={ARN: failure})
    if kind != "fake":
        listed = ("list_pipeline_execution_steps", _steps(*steps), {"PipelineExecutionArn": ARN})
        pipelines = SageMakerPipelines(_stubbed(listed))
    assert pipelines.failure(ARN) == failure


def test_the_failed_step_may_be_on_a_later_page() -> None:
    first = {**_steps(("Prepare", "Succeeded", None)), "NextToken": "more"}
    pages = [
        ("list_pipeline_execution_steps", first, {"PipelineExecutionArn": ARN}),
        (
            "list_pipeline_execution_steps",
            _steps(("Train", "Failed", "why")),
            {"PipelineExecutionArn": ARN, "NextToken": "more"},
        ),
    ]
    assert SageMakerPipelines(_stubbed(*pages)).failure(ARN) == ("Train", "why")


@BOTH
@pytest.mark.parametrize("arn", ["arn:aws:sagemaker:eu-central-1:123456789012:model-package/group/3", ""])
def test_what_an_execution_registered(kind: str, arn: str) -> None:
    pipelines: Pipelines = FakePipelines(versions={ARN: arn} if arn else {})
    if kind != "fake":
        steps = _steps(("Register", "Succeeded", None), ("Prepare", "Succeeded", None))["PipelineExecutionSteps"]
        steps[0]["Metadata"] = {"RegisterModel": {"Arn": arn}} if arn else {}
        answer = {"PipelineExecutionSteps": steps}
        listed = ("list_pipeline_execution_steps", answer, {"PipelineExecutionArn": ARN})
        pipelines = SageMakerPipelines(_stubbed(listed))
    assert pipelines.registered(ARN) == arn
