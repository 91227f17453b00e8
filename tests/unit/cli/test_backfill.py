"""``driftloop backfill``: what it finds, whom it asks, and how it follows the work."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from click.testing import Result

from driftloop.aws.objects import S3Objects
from driftloop.cli import backfill as command
from driftloop.loop.backfill import hour_prefix, receipts
from driftloop.names import ModelNames, bucket
from driftloop.ports import Champion
from tests.fakes import examples as ex
from tests.unit.cli.conftest import ACCOUNT, REGION, Account, Run, refusal

LIVE, ARTIFACTS = bucket("live", ACCOUNT, REGION), bucket("artifacts", ACCOUNT, REGION)
KEY = "evaluations/late_train/1/baseline.json"
RANGE = ("--from", "2026-03-02", "--to", "2026-03-03T06:00Z")
HOURS = [ex.START, ex.START + timedelta(hours=7), ex.START + timedelta(hours=29)]


@pytest.fixture
def queues(account: Account) -> tuple[str, str]:
    """URLs of the work queue and its dead letters."""
    made = [account.sqs.create_queue(QueueName=f"driftloop-backfill{end}")["QueueUrl"] for end in ("", "-dlq")]
    return made[0], made[1]


@pytest.fixture
def captured(account: Account) -> Account:
    """A version serves, and traffic arrived in three hours of the range and in one after it."""
    account.ledger.set_champion(ex.NAME, Champion(1, "arn", f"s3://{ARTIFACTS}/{KEY}", "c", ex.START))
    account.s3.put_object(Bucket=ARTIFACTS, Key=KEY, Body=ex.baseline().to_json())
    for hour in [*HOURS, HOURS[-1] + timedelta(hours=1)]:
        account.s3.put_object(Bucket=LIVE, Key=f"{hour_prefix(ex.BASE, hour)}a.jsonl", Body=b"x" * 1000)
    return account


def _messages(account: Account, queue: str) -> list[dict[str, Any]]:
    found = []
    while answer := account.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in answer]
    return sorted(found, key=lambda message: str(message["hour"]))


def test_one_message_for_each_hour_that_has_objects(captured: Account, queues: tuple[str, str], run: Run) -> None:
    result = run("backfill", ex.NAME, *RANGE)
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first == f"late_train: 3 capture objects of 3 kB in 3 hours; baseline {ex.baseline().id}"
    assert "3 hours asked for" in second
    messages = _messages(captured, queues[0])
    assert [message["hour"] for message in messages] == [hour.isoformat() for hour in HOURS]
    assert {message["baseline"] for message in messages} == {f"s3://{ARTIFACTS}/{KEY}"}
    (name,) = {message["run"] for message in messages}
    assert receipts(ex.NAME, name) in second


def test_another_baseline(captured: Account, queues: tuple[str, str], run: Run) -> None:
    captured.s3.put_object(Bucket=ARTIFACTS, Key="evaluations/other.json", Body=ex.baseline().to_json() + b"\n")
    uri = f"s3://{ARTIFACTS}/evaluations/other.json"
    assert run("backfill", ex.NAME, *RANGE, "--baseline", uri).exit_code == 0
    assert {message["baseline"] for message in _messages(captured, queues[0])} == {uri}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """What happens while the command waits."""

    def meanwhile(happens: Callable[[], None]) -> None:
        monkeypatch.setattr(command.time, "sleep", lambda _: happens())

    return meanwhile


def _asked(account: Account, queue: str) -> list[dict[str, Any]]:
    return _messages(account, queue)


def test_waiting_ends_with_the_last_hour(
    captured: Account, queues: tuple[str, str], run: Run, impatient: Callable[[Callable[[], None]], None]
) -> None:
    def work() -> None:
        for message in _asked(captured, queues[0]):
            key = f"{receipts(ex.NAME, message['run'])}{message['hour'][:13]}.json"
            content = json.dumps({"objects": 1, "rows": 20, "quarantined": 2}).encode()
            S3Objects(captured.s3).write(LIVE, key, content)

    impatient(work)
    result = run("backfill", ex.NAME, *RANGE, "--wait")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "rebuilt 60 rows of 3 objects, 6 quarantined"


def test_waiting_ends_when_hours_were_given_up(
    captured: Account, queues: tuple[str, str], run: Run, impatient: Callable[[Callable[[], None]], None]
) -> None:
    captured.sqs.send_message(QueueUrl=queues[1], MessageBody="of an earlier backfill")

    def fail() -> None:
        for message in _asked(captured, queues[0]):
            captured.sqs.send_message(QueueUrl=queues[1], MessageBody=json.dumps(message))

    impatient(fail)
    result = run("backfill", ex.NAME, *RANGE, "--wait")
    assert result.exit_code == 1
    assert "3 of 3 hours were given up and wait in driftloop-backfill-dlq" in result.stderr


def _with_spark(account: Account, above: str) -> None:
    """The model file names a size, and its stack has the pipeline."""
    name = ModelNames(ex.NAME).parameter
    value = json.loads(account.ssm.get_parameter(Name=name)["Parameter"]["Value"])
    value["spec"] = ex.spec(monitoring={"spark_above": above, "smoothing": 2})
    account.ssm.put_parameter(Name=name, Value=json.dumps(value), Overwrite=True)
    boto3.client("sagemaker").create_pipeline(
        PipelineName="driftloop-late-train-profile",
        PipelineDefinition=json.dumps({"Version": "2020-12-01", "Steps": []}),
        ClientRequestToken="0" * 32,
        RoleArn="arn:aws:iam::123456789012:role/x",
    )


def _executions() -> list[Any]:
    found: list[Any] = boto3.client("sagemaker").list_pipeline_executions(PipelineName="driftloop-late-train-profile")[
        "PipelineExecutionSummaries"
    ]
    return found


@pytest.mark.parametrize(
    ("engine", "above", "spark"), [("auto", "1MB", False), ("spark", "1MB", True), ("functions", "1MB", False)]
)
def test_who_does_it(
    captured: Account, queues: tuple[str, str], run: Run, engine: str, above: str, spark: bool
) -> None:
    _with_spark(captured, above)
    result = run("backfill", ex.NAME, *RANGE, "--engine", engine)
    assert result.exit_code == 0, result.output
    assert len(_messages(captured, queues[0])) == (0 if spark else 3)
    assert len(_executions()) == spark


def test_more_than_the_model_file_wants_goes_to_spark(captured: Account, run: Run) -> None:
    _with_spark(captured, "1MB")
    captured.s3.put_object(Bucket=LIVE, Key=f"{hour_prefix(ex.BASE, HOURS[0])}b.jsonl", Body=b"x" * 1_000_001)
    result = run("backfill", ex.NAME, *RANGE, "--wait")
    assert result.exit_code == 0, result.output
    assert "Spark job started" in result.stdout
    assert result.stdout.splitlines()[-1] == "the Spark job has ended: Succeeded"
    (execution,) = _executions()
    told = boto3.client("sagemaker").list_pipeline_parameters_for_execution(
        PipelineExecutionArn=execution["PipelineExecutionArn"]
    )["PipelineParameters"]
    assert {item["Name"]: item["Value"] for item in told} == {
        "From": "2026-03-02T00:00:00+00:00",
        "To": "2026-03-03T06:00:00+00:00",
        "BaselineUri": f"s3://{ARTIFACTS}/{KEY}",
    }


REFUSALS: list[tuple[tuple[str, ...], str]] = [
    (
        ("--from", "2026-03-03", "--to", "2026-03-03"),
        "--from 2026-03-03T00 is not before --to 2026-03-03T00; swap them",
    ),
    (("--from", "2020-01-01", "--to", "2026-03-03"), "2253 days are more than 366; take a part at a time"),
    (("--from", "2026-01-01", "--to", "2026-01-02"), "nothing arrived in these hours, or it has expired"),
    (
        (*RANGE, "--baseline", "baseline.json"),
        "--baseline baseline.json cannot be used: 'baseline.json' is not an S3 object",
    ),
    ((*RANGE, "--baseline", f"s3://{ARTIFACTS}/no"), f"s3://{ARTIFACTS}/no does not exist"),
    ((*RANGE, "--engine", "spark"), "late_train has no Spark job: set monitoring.spark_above in its model file"),
    (RANGE, "there is no queue driftloop-backfill"),
]


@pytest.mark.parametrize(("arguments", "reason"), REFUSALS)
def test_what_cannot_be_done_is_refused_in_a_line(
    captured: Account, run: Run, arguments: tuple[str, ...], reason: str
) -> None:
    assert reason in refusal(run("backfill", ex.NAME, *arguments))


def test_before_the_first_version_a_baseline_must_be_named(account: Account, run: Run) -> None:
    assert "so no baseline is in force; name one with --baseline" in refusal(run("backfill", ex.NAME, *RANGE))


@pytest.mark.parametrize(
    ("text", "reason"), [("yesterday", "is not a time"), ("2026-03-02T06:30Z", "is not a whole hour in UTC")]
)
def test_times_that_are_none(run: Run, text: str, reason: str) -> None:
    result: Result = run("backfill", ex.NAME, "--from", text, "--to", "2026-03-03")
    assert result.exit_code == 2
    assert reason in result.stderr
