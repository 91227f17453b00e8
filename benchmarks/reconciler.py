"""One pass of the reconciler over many models: ``python -m benchmarks.reconciler --models 1000 --out FILE.json``.

The function's own handler runs against the embedded AWS, whose answers take longer than those of AWS when many are asked
for at a time. So calls are counted, too, and the time on AWS can be estimated from them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from benchmarks.results import publish
from driftloop.aws import wiring
from driftloop.aws.clients import client
from driftloop.names import ModelNames
from driftloop.ports import Champion, Resources
from driftloop.retraining.episode import Request, Status, Trigger, open_episode
from driftloop.spec import load_model
from driftloop.twin import lifecycle
from functions.reconcile.handler import handler

SERVICES = ("ssm", "dynamodb", "cloudwatch", "sagemaker", "sqs", "sns", "events")
MODEL = Path(__file__).resolve().parents[1] / "models" / "flight_delay" / "model.yaml"
PARAMETERS = ("WindowStart", "WindowEnd", "HoldoutEnd", "EpisodeId", "Trigger", "ApprovalStatus")
PIPELINE = {
    "Version": "2020-12-01",
    "Parameters": [{"Name": name, "Type": "String", "DefaultValue": ""} for name in PARAMETERS],
    "Steps": [],
}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"


@dataclass(frozen=True)
class Case:
    """An account in which the pass runs."""

    name: str
    alarms: bool = False
    """Whether every model's drift alarm stands and nobody has answered it."""
    on: tuple[str, ...] = ("drift", "quality")
    history: int = 0
    """Episodes of the last 90 days that each model has behind it."""


CASES = (
    Case("idle"),
    Case("idle, asked by data and code", on=("drift", "quality", "data", "code")),
    Case("the same with 30 episodes each", on=("drift", "quality", "data", "code"), history=30),
    Case("every drift alarm stands", alarms=True),
)


class _Context(LambdaContext):
    def __init__(self) -> None:
        self._function_name = self._invoked_function_arn = self._aws_request_id = "reconcile"
        self._memory_limit_in_mb = 512


def _models(count: int) -> list[str]:
    return [f"model_{number:04d}" for number in range(count)]


def _deploy(case: Case, count: int) -> None:
    """What the stacks of that many models leave behind, with a version of each in service."""
    client("dynamodb").create_table(
        TableName="ledger", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "model", "KeyType": "HASH"}, {"AttributeName": "item", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("model", "item")],
    )  # fmt: skip
    topic = client("sns").create_topic(Name="driftloop")["TopicArn"]
    buckets = {f"{name}_BUCKET": name.lower() for name in ("LIVE", "CURATED", "ARTIFACT")}
    os.environ |= {
        "LEDGER_TABLE": "ledger",
        "TOPIC_ARN": topic,
        "ANSWERS_TOPIC_ARN": topic,
        "KMS_KEY_ARN": KEY,
        **buckets,
    }
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = client("iam").create_role(RoleName="pipeline", AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    spec = load_model(MODEL).compiled()
    ledger, now = wiring.ledger(), datetime.now(UTC)
    for name in _models(count):
        base = ModelNames(name).base
        content = {
            "spec": {**spec, "name": name, "retraining": {**spec["retraining"], "on": case.on}},
            "resources": vars(Resources(base, base, base, role, "image", "a" * 12)),
        }
        client("ssm").put_parameter(Name=ModelNames(name).parameter, Value=json.dumps(content), Type="String")
        client("sagemaker").create_pipeline(
            PipelineName=base, PipelineDefinition=json.dumps(PIPELINE), ClientRequestToken="c" * 32, RoleArn=role
        )
        ledger.set_champion(name, Champion(1, f"{base}/1", "s3://a/b", f"{base}-v1", now - timedelta(days=60)))
        for number in range(case.history):
            opened = now - timedelta(days=3 * number + 1)
            request = Request(name, Trigger.SCHEDULE, f"s{number}", "schedule", opened, "schedule")
            ledger.record(open_episode(request, Status.REFUSED, "cooled_down", "cooldown", opened))


def _raise_alarms(count: int) -> None:
    for name in _models(count):
        alarm = ModelNames(name).alarm(Trigger.DRIFT)
        client("cloudwatch").put_metric_alarm(
            AlarmName=alarm, Namespace="driftloop", MetricName="InputDrift", Statistic="Maximum", Period=86400,
            EvaluationPeriods=3, Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="ignore",
        )  # fmt: skip
        client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="3 of 3")


@contextmanager
def _counting() -> Iterator[Counter[str]]:
    calls: Counter[str] = Counter()

    def count(event_name: str, **_: Any) -> None:
        calls[event_name.removeprefix("before-call.")] += 1

    for service in SERVICES:
        client(service).meta.events.register("before-call", count, unique_id="benchmark")
    try:
        yield calls
    finally:
        for service in SERVICES:
            client(service).meta.events.unregister("before-call", unique_id="benchmark")


def _pass(count: int, latency: float) -> dict[str, Any]:
    with _counting() as calls, redirect_stdout(StringIO()):
        begun = time.perf_counter()
        found = handler({}, _Context())
        seconds = time.perf_counter() - begun
    if found["failed"]:
        raise SystemExit(f"models that were not looked after: {found['failed']}")
    total = sum(calls.values())
    return {
        "models": count,
        "retrainings": len(found["done"]),
        "calls": total,
        "calls_by_operation": dict(sorted(calls.items())),
        "estimated_seconds": round(total * latency / wiring.AT_A_TIME, 1),
        "seconds_here": round(seconds, 1),
    }


def measure(count: int, latency: float) -> list[dict[str, Any]]:
    """One pass per case, in an account of its own; after the one in which all are started, one more."""
    runs = []
    for case in CASES:
        with TemporaryDirectory() as folder:
            twin = lifecycle.start(Path(folder, "twin"), attached=True)
            os.environ |= twin.environment()
            try:
                _forget()
                _deploy(case, count)
                if case.alarms:
                    _raise_alarms(count)
                runs.append({"case": case.name, **_pass(count, latency)})
                if case.alarms:
                    if runs[-1]["retrainings"] != count:
                        raise SystemExit(f"{runs[-1]['retrainings']} of {count} retrainings were started")
                    runs.append({"case": "the pass after that", **_pass(count, latency)})
            finally:
                twin.stop()
        sys.stderr.write(f"{runs[-1]}\n")
    return runs


def _forget() -> None:
    """A new account needs new clients."""
    for wired in (client, *vars(wiring).values()):
        if hasattr(wired, "cache_clear"):
            wired.cache_clear()


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconciler", description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--milliseconds", type=float, default=20, help="what a call to AWS is taken to last")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    options = parser.parse_args(arguments)
    runs = measure(options.models, options.milliseconds / 1000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    publish({"runs": runs, "peak_mb": round(peak)}, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
