"""The platform stack: what all models share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from driftloop.aws.settings import Settings
from driftloop.loop.track_episode import ENDED
from driftloop.names import Metric
from infra.function_catalog import FUNCTIONS
from tests.infra.rendering import Template, as_list

ARN = "arn:aws:{service}:eu-central-1:111122223333:{name}"
TOPIC, ANSWERED = (ARN.format(service="sns", name=f"driftloop-{name}") for name in ("notifications", "answered"))
WORK = {function.work.name: function for function in FUNCTIONS if function.work}
_CAME, _DEAD = "Messages that came, per queue", "Dead letters"
RETAINED = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key")


def queue_arn(name: str) -> str:
    return ARN.format(service="sqs", name=f"driftloop-{name}")


def test_there_is_a_function_for_every_handler_and_no_helper_beside_them(platform: Template, models: Path) -> None:
    handlers = {path.parent.name for path in (models.parent / "functions").glob("*/handler.py")} - {"predict"}
    functions = platform.of_type("AWS::Lambda::Function").values()
    assert sorted(item["Handler"] for item in functions) == sorted(
        f"functions.{name}.handler.handler" for name in handlers
    )
    assert not [item for item in platform.content["Resources"].values() if item["Type"].startswith("Custom::")]


def test_the_environment_is_what_functions_read(platform: Template) -> None:
    for function in platform.of_type("AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        Settings.from_environment(variables)
        assert set(variables) - {name.upper() for name in Settings.model_fields} == {
            "POWERTOOLS_LOG_LEVEL",
            "POWERTOOLS_METRICS_NAMESPACE",
        }
        assert variables["LIVE_BUCKET"] == "<DataLiveABA0BF86>" or variables["LIVE_BUCKET"].startswith("<DataLive")
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["Architectures"] == ["arm64"]


@pytest.mark.parametrize("work", sorted(WORK))
def test_each_queue_feeds_its_function_and_loses_nothing(platform: Template, work: str) -> None:
    function = WORK[work]
    (feed,) = [
        item
        for item in platform.of_type("AWS::Lambda::EventSourceMapping").values()
        if item["EventSourceArn"] == queue_arn(work)
    ]
    target = platform.content["Resources"][feed["FunctionName"].strip("<>")]["Properties"]
    assert target["Handler"] == f"functions.{function.name}.handler.handler"
    assert feed["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    queue = platform.named("AWS::SQS::Queue", "QueueName", f"driftloop-{work}")
    advised = 6 * target["Timeout"] + feed["MaximumBatchingWindowInSeconds"]
    assert queue["VisibilityTimeout"] >= (target["Timeout"] if function.work.again else advised)
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == queue_arn(f"{work}-dlq")
    assert queue["KmsMasterKeyId"].endswith(".Arn>")


def test_labels_are_delivered_often_enough_to_wait_for_their_predictions(platform: Template) -> None:
    from driftloop.loop.join_labels import WAITS  # noqa: PLC0415 - a light import of one number

    assert (
        platform.named("AWS::SQS::Queue", "QueueName", "driftloop-labels")["RedrivePolicy"]["maxReceiveCount"] > WAITS
    )


def test_an_approval_waits_longer_than_a_rollout_may_take(platform: Template) -> None:
    queue = platform.named("AWS::SQS::Queue", "QueueName", "driftloop-deployment")
    rollout_limit = 4 * 3600
    assert queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"] > rollout_limit


def test_people_are_told_of_every_dead_letter(platform: Template) -> None:
    queues = {item["QueueName"] for item in platform.of_type("AWS::SQS::Queue").values()}
    alarms = {
        alarm["Dimensions"][0]["Value"]: alarm
        for alarm in platform.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    assert set(alarms) == {name for name in queues if name.endswith("-dlq")}
    assert len(alarms) == len(WORK) + sum(function.failures is not None for function in FUNCTIONS)
    for alarm in alarms.values():
        assert alarm["AlarmActions"][0].startswith("<NotificationsTopic")
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")


def test_all_models_are_looked_after_every_hour(platform: Template) -> None:
    schedule = platform.named("AWS::Scheduler::Schedule", "Name", "driftloop-reconcile")
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    assert schedule["Target"]["Arn"] == ARN.format(service="lambda", name="function:driftloop-reconcile")
    assert schedule["Target"]["DeadLetterConfig"]["Arn"] == queue_arn("reconciliation-dlq")


@pytest.mark.parametrize(
    ("kind", "metric", "comparison", "missing"),
    [
        ("silent", Metric.MODELS_RECONCILED, "LessThanThreshold", "breaching"),
        ("failing", Metric.MODELS_FAILED, "GreaterThanOrEqualToThreshold", "notBreaching"),
    ],
)
def test_people_are_told_when_nobody_looks_after_the_models(
    platform: Template, kind: str, metric: str, comparison: str, missing: str
) -> None:
    alarm = platform.named("AWS::CloudWatch::Alarm", "AlarmName", f"driftloop-reconcile-{kind}")
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("driftloop", metric, "Maximum")
    assert alarm["Dimensions"] == [{"Name": "Function", "Value": "reconcile"}]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == (comparison, 1)
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (3600, 3, 3)
    assert alarm["TreatMissingData"] == missing
    assert alarm["AlarmActions"][0].startswith("<NotificationsTopic")


def test_silence_is_not_looked_for_before_the_first_run_is_scheduled(platform: Template) -> None:
    resources = platform.content["Resources"]
    (watch,) = [
        item for item in resources.values() if item["Properties"].get("AlarmName") == "driftloop-reconcile-silent"
    ]
    waits_for = {resources[name]["Properties"].get("Name") for name in watch["DependsOn"]}
    assert "driftloop-reconcile" in waits_for


def test_the_dashboard_shows_every_queue_and_alarm_of_the_platform(platform: Template) -> None:
    (dashboard,) = platform.of_type("AWS::CloudWatch::Dashboard").values()
    widgets = {w["properties"]["title"]: w["properties"] for w in json.loads(dashboard["DashboardBody"])["widgets"]}
    names = {item["QueueName"] for item in platform.of_type("AWS::SQS::Queue").values()}
    shown = {title: {line[3] for line in widgets[title]["metrics"]} for title in (_CAME, _DEAD)}
    assert shown[_CAME] | shown[_DEAD] == names
    assert shown[_DEAD] == {name for name in names if name.endswith("-dlq")}
    assert len(widgets["Alarms of the platform"]["alarms"]) == len(platform.of_type("AWS::CloudWatch::Alarm"))
    reconciled = [line[:4] for line in widgets["Models that reconcile looked after"]["metrics"]]
    assert reconciled == [
        ["driftloop", name, "Function", "reconcile"] for name in (Metric.MODELS_RECONCILED, Metric.MODELS_FAILED)
    ]


def test_objects_arrive_in_the_queue_of_their_prefix(platform: Template) -> None:
    live = platform.named("AWS::S3::Bucket", "BucketName", "driftloop-live-111122223333-eu-central-1")
    routes = {
        item["Filter"]["S3Key"]["Rules"][0]["Value"]: item["Queue"]
        for item in live["NotificationConfiguration"]["QueueConfigurations"]
    }
    assert routes == {"capture/": queue_arn("capture"), "labels/": queue_arn("labels")}


def test_the_bucket_waits_for_the_policies_that_let_it_send(platform: Template) -> None:
    (live,) = [
        item
        for item in platform.content["Resources"].values()
        if item["Type"] == "AWS::S3::Bucket" and "NotificationConfiguration" in item["Properties"]
    ]
    waits_for = {platform.content["Resources"][name]["Type"] for name in live["DependsOn"]}
    assert waits_for == {"AWS::SQS::QueuePolicy"}
    assert len(live["DependsOn"]) == 2


def test_only_the_live_bucket_and_rules_of_the_kit_may_send(platform: Template) -> None:
    allowed = {
        (statement["Principal"]["Service"], source, statement["Resource"])
        for policy in platform.of_type("AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
        for operator in ("ArnLike", "ArnEquals")
        if (source := statement["Condition"].get(operator, {}).get("aws:SourceArn"))
    }
    bucket = "arn:aws:s3:::driftloop-live-111122223333-eu-central-1"
    rules = ARN.format(service="events", name="rule/driftloop-*")
    events = [
        name
        for work in ("retraining", "deployment", "endpoint", "rollout", "episode", "batch")
        for name in (work, f"{work}-dlq")
    ]
    assert allowed == {("s3.amazonaws.com", bucket, queue_arn(name)) for name in ("capture", "labels")} | {
        ("events.amazonaws.com", rules, queue_arn(name)) for name in events
    } | {("sns.amazonaws.com", _answered(platform), queue_arn(name)) for name in ("answers", "answers-dlq")}


def _answered(platform: Template) -> str:
    """The topic of answers, as resources of its own stack refer to it."""
    topics = platform.of_type("AWS::SNS::Topic")
    return next(f"<{name}>" for name, topic in topics.items() if topic["TopicName"] == "driftloop-answered")


def test_a_function_hears_of_every_answer_of_asynchronous_endpoints(platform: Template) -> None:
    topic = platform.named("AWS::SNS::Topic", "TopicName", "driftloop-answered")
    assert topic["KmsMasterKeyId"].startswith("<EncryptionKey")
    (subscription,) = [s for s in platform.of_type("AWS::SNS::Subscription").values() if s["Protocol"] == "sqs"]
    assert (subscription["TopicArn"], subscription["Endpoint"]) == (_answered(platform), queue_arn("answers"))
    assert subscription["RawMessageDelivery"] is True
    assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": queue_arn("answers-dlq")}
    plain = {
        statement["Effect"]: statement["Condition"]
        for policy in platform.of_type("AWS::SNS::TopicPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Resource"] == _answered(platform)
    }
    assert plain == {"Deny": {"Bool": {"aws:SecureTransport": "false"}}}, "who may publish has a policy of their own"
    variables = [f["Environment"]["Variables"] for f in platform.of_type("AWS::Lambda::Function").values()]
    assert {each["ANSWERS_TOPIC_ARN"] for each in variables} == {_answered(platform)}


def test_what_passes_through_does_not_stay(platform: Template) -> None:
    live = platform.named("AWS::S3::Bucket", "BucketName", "driftloop-live-111122223333-eu-central-1")
    rules = {
        rule["Prefix"]: rule["ExpirationInDays"] for rule in live["LifecycleConfiguration"]["Rules"] if "Prefix" in rule
    }
    assert rules == dict.fromkeys(("capture/", "quarantine/", "batch/", "asynchronous/"), 90)


@pytest.mark.parametrize(
    ("rule", "work", "pattern"),
    [
        (
            "driftloop-retraining-requested",
            "retraining",
            {"source": ["driftloop"], "detail-type": ["Retraining Requested"]},
        ),
        (
            "driftloop-pipeline-ended",
            "episode",
            {
                "source": ["aws.sagemaker"],
                "detail-type": ["SageMaker Model Building Pipeline Execution Status Change"],
                "detail": {
                    "pipelineArn": [{"prefix": ARN.format(service="sagemaker", name="pipeline/driftloop-")}],
                    "currentPipelineExecutionStatus": ["Succeeded", "Failed", "Stopped"],
                },
            },
        ),
        (
            "driftloop-endpoint-changed",
            "endpoint",
            {
                "source": ["aws.sagemaker"],
                "detail-type": ["SageMaker Endpoint State Change", "SageMaker Endpoint Deployment State Change"],
                "detail": {"EndpointName": [{"prefix": "driftloop-"}]},
            },
        ),
    ],
)
def test_events_reach_their_queue(platform: Template, rule: str, work: str, pattern: dict[str, object]) -> None:
    found = platform.named("AWS::Events::Rule", "Name", rule)
    assert found["EventPattern"] == pattern
    (target,) = found["Targets"]
    assert (target["Arn"], target["DeadLetterConfig"]) == (queue_arn(work), {"Arn": queue_arn(f"{work}-dlq")})


def test_tracking_ends_at_the_statuses_that_the_handler_takes_for_ends(platform: Template) -> None:
    rule = platform.named("AWS::Events::Rule", "Name", "driftloop-pipeline-ended")
    assert set(rule["EventPattern"]["detail"]["currentPipelineExecutionStatus"]) == ENDED


def test_every_owner_is_subscribed_once(disposable: Path) -> None:
    subscriptions = Template.load(disposable, "driftloop-platform").of_type("AWS::SNS::Subscription").values()
    assert sorted(item["Endpoint"] for item in subscriptions if item["Protocol"] == "email") == [
        "ops@example.com",
        "risk@example.com",
    ]


def test_data_stay_when_the_platform_goes(platform: Template) -> None:
    stateful = [item for item in platform.content["Resources"].values() if item["Type"] in RETAINED]
    assert len(stateful) == 6
    assert {item["DeletionPolicy"] for item in stateful} == {"Retain"}


def test_data_go_with_a_disposable_platform(disposable: Path) -> None:
    content = Template.load(disposable, "driftloop-platform").content
    stateful = [item for item in content["Resources"].values() if item["Type"] in RETAINED]
    assert {item["DeletionPolicy"] for item in stateful} == {"Delete"}


def test_the_live_bucket_refuses_training_roles_of_all_models(platform: Template) -> None:
    (statement,) = [
        statement
        for policy in platform.of_type("AWS::S3::BucketPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement.get("Sid") == "TrainingNeverReadsLiveData"
    ]
    bucket = "arn:aws:s3:::driftloop-live-111122223333-eu-central-1"
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Resource"] == [bucket, f"{bucket}/*"]
    role = "arn:aws:iam::111122223333:role/driftloop-*-training-eu-central-1"
    assert statement["Condition"] == {"ArnLike": {"aws:PrincipalArn": role}}


def test_everything_that_is_stored_is_encrypted_with_the_kits_key(platform: Template) -> None:
    buckets = platform.of_type("AWS::S3::Bucket").values()
    defaults = {
        item["BucketName"].split("-1111")[0]: item["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
        for item in buckets
    }
    algorithms = {name: item["ServerSideEncryptionByDefault"]["SSEAlgorithm"] for name, item in defaults.items()}
    # S3 cannot deliver access logs into a bucket whose default is a customer's key.
    assert algorithms.pop("driftloop-access-logs") == "AES256"
    assert set(algorithms.values()) == {"aws:kms"}
    assert all(
        item["KmsKeyId"].startswith("<EncryptionKey") for item in platform.of_type("AWS::Logs::LogGroup").values()
    )


def test_services_that_send_into_encrypted_queues_may_use_the_key(platform: Template) -> None:
    (key,) = platform.of_type("AWS::KMS::Key").values()
    senders = {
        service.removesuffix(".amazonaws.com"): statement["Condition"]
        for statement in key["KeyPolicy"]["Statement"]
        if statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
        for service in as_list(statement["Principal"]["Service"])
    }
    own = {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    topic = {"ArnEquals": {"aws:SourceArn": ANSWERED}}
    assert senders == {"s3": own, "events": own, "cloudwatch": own, "sns": topic}
    assert key["EnableKeyRotation"] is True
