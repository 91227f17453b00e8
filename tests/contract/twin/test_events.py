"""Metrics, alarms, events, rules and schedules in virtual time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from driftloop.aws.alarms import CloudWatchAlarms
from driftloop.aws.events import AlarmStateChange
from driftloop.retraining.episode import alarm_cause

from .cloud import Cloud, allow, message_of, policy

HOUR = 3600
MODEL = {"Model": "m"}


def queue_for_events(cloud: Cloud) -> tuple[str, str]:
    """URL and ARN of a queue that EventBridge and its scheduler may write to."""
    url, arn = cloud.queue()
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}  # fmt: skip
    cloud.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(statement)})
    return url, arn


def rule(cloud: Cloud, pattern: dict[str, Any]) -> str:
    """URL of a queue that gets the events of a pattern."""
    url, arn = queue_for_events(cloud)
    name = cloud.name("rule")
    cloud.client("events").put_rule(Name=name, EventPattern=json.dumps(pattern))
    cloud.client("events").put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    return url


class Alarm:
    """An alarm on a metric of its own, and the queue that its events go to."""

    def __init__(self, cloud: Cloud, name: str = "", **changes: Any) -> None:
        self._cloud, self.name = cloud, name or cloud.name("alarm")
        self.url = rule(cloud, {"source": ["aws.cloudwatch"], "detail": {"alarmName": [self.name]}})
        settings: dict[str, Any] = {
            "Namespace": "tests", "MetricName": self.name, "Dimensions": [{"Name": "Model", "Value": "m"}],
            "Statistic": "Maximum", "Period": HOUR, "EvaluationPeriods": 1, "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
        }  # fmt: skip
        cloud.client("cloudwatch").put_metric_alarm(AlarmName=self.name, **(settings | changes))
        cloud.take(self.url)

    def put(self, value: float, at: datetime | None = None, dimensions: Mapping[str, str] = MODEL) -> None:
        data = {"MetricName": self.name, "Value": value}
        named = [{"Name": k, "Value": v} for k, v in dimensions.items()]
        stamp = {"Timestamp": at} if at else {}
        self._cloud.client("cloudwatch").put_metric_data(
            Namespace="tests", MetricData=[data | stamp | {"Dimensions": named}]
        )  # fmt: skip

    def state(self) -> str:
        found = self._cloud.client("cloudwatch").describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        return str(found[0]["StateValue"])

    def moves(self) -> list[tuple[str, str]]:
        """Old and new state of each event since the last time."""
        details = [json.loads(body)["detail"] for body in self._cloud.take(self.url)]
        return [(detail["previousState"]["value"], detail["state"]["value"]) for detail in details]


def test_alarms_that_stand_are_found_with_the_time_that_their_event_has(cloud: Cloud) -> None:
    alarm, calm = Alarm(cloud, "driftloop-m-drift"), Alarm(cloud)
    calm.put(0)
    alarm.put(1.5)
    (event,) = [json.loads(body) for body in cloud.take(alarm.url)]
    (raised,) = [found for found in CloudWatchAlarms(cloud.client("cloudwatch")).raised() if found.name == alarm.name]
    told = AlarmStateChange.model_validate(event).detail.state
    assert alarm_cause(alarm.name, raised.since) == alarm_cause(alarm.name, told.timestamp)
    assert raised.reason == told.reason


def test_an_alarm_becomes_an_event_becomes_a_message(cloud: Cloud) -> None:
    alarm = Alarm(cloud)
    assert alarm.state() == "OK"
    alarm.put(1.5)
    assert alarm.state() == "ALARM"
    (event,) = [json.loads(body) for body in cloud.take(alarm.url)]
    assert (event["source"], event["detail-type"]) == ("aws.cloudwatch", "CloudWatch Alarm State Change")
    assert event["resources"] == [cloud.arn("cloudwatch", f"alarm:{alarm.name}")]
    assert (event["detail"]["previousState"]["value"], event["detail"]["state"]["value"]) == ("OK", "ALARM")
    assert "1.5" in event["detail"]["state"]["reason"]
    assert event["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"] == {
        "namespace": "tests", "name": alarm.name, "dimensions": {"Model": "m"},
    }  # fmt: skip
    assert {"alarm": alarm.name, "old": "OK", "new": "ALARM"}.items() <= cloud.twin.door("alarms")[-1].items()


def test_an_alarm_that_stays_tells_once_and_calms_when_time_passes(cloud: Cloud) -> None:
    alarm = Alarm(cloud)
    for _ in range(3):
        alarm.put(2)
    assert alarm.moves() == [("OK", "ALARM")]
    cloud.move(hours=1)
    alarm.put(2)
    assert alarm.moves() == []
    cloud.move(hours=6)
    assert alarm.moves() == [("ALARM", "OK")]


@pytest.mark.parametrize("dimensions", [{"Model": "other"}, {"Model": "m", "Region": "r"}, {"Region": "m"}])
def test_only_the_exact_dimensions_count(cloud: Cloud, dimensions: dict[str, str]) -> None:
    alarm = Alarm(cloud)
    alarm.put(5, dimensions=dimensions)
    assert alarm.state() == "OK"
    alarm.put(5)
    assert alarm.state() == "ALARM"


def test_two_of_three_periods(cloud: Cloud) -> None:
    alarm = Alarm(cloud, EvaluationPeriods=3, DatapointsToAlarm=2)
    for value, state in ((2, "OK"), (0, "OK"), (2, "ALARM"), (0, "OK"), (0, "OK")):
        cloud.move(hours=1)
        alarm.put(value)
        assert alarm.state() == state


def test_a_late_data_point_does_not_hide_newer_ones(cloud: Cloud) -> None:
    alarm = Alarm(cloud)
    alarm.put(2)
    assert alarm.state() == "ALARM"
    alarm.put(0, at=cloud.now() - timedelta(days=3))
    assert alarm.state() == "ALARM"
    assert alarm.moves() == [("OK", "ALARM")]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("breaching", "ALARM"), ("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("ignore", "OK")],
)
def test_silence_alone_moves_an_alarm(cloud: Cloud, missing: str, expected: str) -> None:
    alarm = Alarm(cloud, TreatMissingData=missing)
    alarm.put(0)
    assert alarm.state() == "OK"
    alarm.moves()
    cloud.move(hours=8)
    assert alarm.moves() == ([] if expected == "OK" else [("OK", expected)])


def test_alarms_that_the_twin_cannot_evaluate_are_refused(cloud: Cloud) -> None:
    math = [
        {"Id": "a", "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "b", "Expression": "a * 2", "ReturnData": True},
    ]  # fmt: skip
    common = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": 1.0}
    client = cloud.client("cloudwatch")
    for said, settings in (
        ("metric math", {"Metrics": math}),
        ("p99", {"Namespace": "n", "MetricName": "m", "Period": 60, "ExtendedStatistic": "p99"}),
    ):
        message = message_of(lambda s=settings: client.put_metric_alarm(AlarmName="absent", **common, **s))  # type: ignore[misc]
        assert said in message
        assert not client.describe_alarms(AlarmNames=["absent"])["MetricAlarms"]
    alarm = Alarm(cloud)
    alarm.put(2)
    assert alarm.state() == "ALARM", "the others still work"


def test_a_composite_alarm_follows_its_parts(cloud: Cloud) -> None:
    alarm, name = Alarm(cloud), cloud.name("composite")
    url = rule(cloud, {"source": ["aws.cloudwatch"], "detail": {"alarmName": [name]}})
    cloud.client("cloudwatch").put_composite_alarm(AlarmName=name, AlarmRule=f"ALARM({alarm.name})")
    cloud.take(url)
    alarm.put(5)
    (event,) = [json.loads(body)["detail"] for body in cloud.take(url)]
    assert event["state"]["value"] == "ALARM"
    assert event["configuration"]["alarmRule"] == f"ALARM({alarm.name})"
    assert alarm.moves() == [("OK", "ALARM")]


def test_a_rule_matches_its_pattern_and_nothing_else(cloud: Cloud) -> None:
    url = rule(cloud, {"source": ["mine"], "detail": {"name": [{"prefix": "driftloop-"}], "size": [{"numeric": [">", 3]}]}})  # fmt: skip
    for source, detail in (
        ("mine", {"name": "driftloop-a", "size": 4}),
        ("mine", {"name": "other", "size": 4}),
        ("mine", {"name": "driftloop-b", "size": 3}),
        ("yours", {"name": "driftloop-c", "size": 4}),
    ):
        entry = {"Source": source, "DetailType": "t", "Detail": json.dumps(detail)}
        assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    cloud.settle()
    assert [json.loads(body)["detail"]["name"] for body in cloud.take(url)] == ["driftloop-a"]


def test_nobody_can_speak_for_aws(cloud: Cloud) -> None:
    entry = {"Source": "aws.sagemaker", "DetailType": "t", "Detail": "{}"}
    answer = cloud.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


def schedule(cloud: Cloud, expression: str, body: str = "{}", **more: Any) -> str:
    """URL of a queue that a schedule writes to."""
    url, arn = cloud.queue()
    role = cloud.role(allow("sqs:SendMessage", arn), trusts=["scheduler.amazonaws.com"])
    cloud.client("scheduler").create_schedule(
        Name=cloud.name("schedule"), ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role, "Input": body}, **more,
    )  # fmt: skip
    return url


TELLER = """
import time, boto3
sqs = boto3.client("sqs")
def handler(event, context):
    sqs.send_message(QueueUrl=event["url"], MessageBody=event["name"] + " " + str(time.time()))
"""


def test_daily_schedules_fire_once_a_day_in_their_order(cloud: Cloud) -> None:
    """A month: each day the early one before the late one, each at its time, and nothing twice."""
    url, arn = cloud.queue(MessageRetentionPeriod=str(14 * 86_400))
    teller = cloud.function(TELLER, allow("sqs:SendMessage", arn))
    role = cloud.role(allow("lambda:InvokeFunction"), trusts=["scheduler.amazonaws.com"])
    for name, expression in (("late", "cron(30 21 * * ? *)"), ("early", "cron(0 4 * * ? *)")):
        cloud.client("scheduler").create_schedule(
            Name=name, ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": cloud.arn("lambda", f"function:{teller}"), "RoleArn": role,
                "Input": json.dumps({"url": url, "name": name}),
            },
        )  # fmt: skip
    begin = (cloud.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0)
    cloud.twin.move_clock(begin)
    cloud.settle()
    cloud.take(url)
    bodies = []
    for day in (1, 2, 10, 20, 30):
        cloud.twin.move_clock(begin + timedelta(days=day))
        cloud.settle()
        bodies += cloud.take(url)
    for name in ("late", "early"):
        cloud.client("scheduler").delete_schedule(Name=name)
    told = sorted((float(stamp), name) for name, stamp in map(str.split, bodies))
    moments = [(datetime.fromtimestamp(stamp, UTC), name) for stamp, name in told]
    expected = [
        (begin + timedelta(days=day, minutes=minutes), name)
        for day in range(30)
        for name, minutes in (("early", 4 * 60), ("late", 21 * 60 + 30))
    ]
    assert [name for _, name in moments] == [name for _, name in expected]
    assert all(timedelta() <= seen - due < timedelta(minutes=1) for (seen, _), (due, _) in zip(moments, expected, strict=True))  # fmt: skip


def test_rates_count_from_their_creation(cloud: Cloud) -> None:
    url = schedule(cloud, "rate(6 hours)", "beat")
    cloud.move(hours=5)
    assert cloud.take(url) == []
    cloud.move(hours=20)
    assert cloud.take(url) == ["beat"] * 4


def test_a_single_moment_fires_once(cloud: Cloud) -> None:
    moment = cloud.now() + timedelta(hours=3)
    url = schedule(cloud, f"at({moment:%Y-%m-%dT%H:%M:%S})", "once")
    cloud.move(hours=2)
    assert cloud.take(url) == []
    cloud.move(days=3)
    assert cloud.take(url) == ["once"]


def test_a_schedule_writes_into_its_message_when_it_was_due(cloud: Cloud) -> None:
    begin = cloud.now()
    url = schedule(
        cloud, "rate(6 hours)", '{"at": "<aws.scheduler.scheduled-time>", "of": "<aws.scheduler.schedule-arn>"}'
    )
    cloud.move(hours=7)
    [body] = cloud.take(url)
    filled = json.loads(body)
    assert begin <= datetime.strptime(filled["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) <= cloud.now()
    assert filled["of"].startswith("arn:aws:scheduler:")


def test_a_schedule_ends_and_another_one_is_disabled(cloud: Cloud) -> None:
    begin = cloud.now()
    ending = schedule(cloud, "rate(1 hours)", "beat", EndDate=begin + timedelta(hours=3, minutes=30))
    later = schedule(cloud, "rate(1 hours)", "late", StartDate=begin + timedelta(hours=4, minutes=30))
    disabled = schedule(cloud, "rate(1 hours)", State="DISABLED")
    cloud.move(hours=8, minutes=10)
    assert cloud.take(ending) == ["beat"] * 3
    assert len(cloud.take(later)) in (3, 4)
    assert cloud.take(disabled) == []


def test_a_scheduled_rule_fires_in_virtual_time(cloud: Cloud) -> None:
    url, arn = queue_for_events(cloud)
    name = cloud.name("rule")
    cloud.client("events").put_rule(Name=name, ScheduleExpression="rate(1 day)")
    cloud.client("events").put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    cloud.move(days=3, minutes=5)
    events = [json.loads(body) for body in cloud.take(url)]
    assert [event["detail-type"] for event in events] == ["Scheduled Event"] * 3
    cloud.client("events").disable_rule(Name=name)
    cloud.move(days=2)
    assert cloud.take(url) == []


def test_a_clock_cannot_be_moved_back(cloud: Cloud) -> None:
    before = cloud.now()
    cloud.twin.move_clock(before - timedelta(days=30))
    assert cloud.now() >= before
