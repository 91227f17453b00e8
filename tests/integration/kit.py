"""The kit in a twin, as its users see it: the command line, boto3, and the clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, partial
from typing import Any

from click.testing import CliRunner, Result

from driftloop.aws.ledger import DynamoLedger
from driftloop.cli import main
from driftloop.loop.announce import EPISODE_CHANGED, VERSION_CHANGED
from driftloop.names import LEDGER_TABLE, NAMESPACE, PREFIX, VARIANT, ModelNames, bucket
from driftloop.retraining.episode import Episode
from driftloop.twin import deployment
from driftloop.twin.lifecycle import Twin

NAME = "integration"
_LISTENER = "listener"
"""Rule and queue of somebody else, who listens to the kit."""


class Kit:
    """A deployed kit."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.client = cache(partial(deployment.client, twin))
        self._heard: list[dict[str, Any]] = []

    def run(self, *arguments: object) -> Result:
        """``driftloop ...`` with the twin's environment."""
        return CliRunner(env=self.twin.environment()).invoke(main, [str(argument) for argument in arguments])

    def done(self, *arguments: object) -> str:
        """Output of a command that must succeed."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def settle(self) -> None:
        """Wait until everything that was set off has ended."""
        self.twin.door("settle")

    def move(self, moment: datetime) -> None:
        """Let virtual time pass."""
        self.twin.move_clock(moment)

    def now(self) -> datetime:
        """Virtual time."""
        return datetime.fromisoformat(self.twin.door("status")["now"])

    @cached_property
    def ledger(self) -> DynamoLedger:
        """The ledger."""
        return DynamoLedger(self.client("dynamodb"), LEDGER_TABLE)

    def episodes(self, model: str) -> list[Episode]:
        """All episodes, oldest first."""
        return self.ledger.episodes(model, datetime(1970, 1, 1, tzinfo=UTC))

    def retrain(self, model: str, reason: str) -> Episode:
        """Ask for a retraining and wait for its end."""
        before = {episode.id for episode in self.episodes(model)}
        self.done("retrain", model, "--reason", reason)
        self.settle()
        [episode] = [episode for episode in self.episodes(model) if episode.id not in before]
        return episode

    def bucket(self, kind: str) -> str:
        """Name of a bucket."""
        return bucket(kind, self.twin.account, self.twin.region)

    def put(self, key: str, content: bytes, kind: str = "live") -> str:
        """Write an object; its version."""
        return str(self.client("s3").put_object(Bucket=self.bucket(kind), Key=key, Body=content)["VersionId"])

    def read(self, key: str, kind: str = "live") -> bytes:
        """An object."""
        content: bytes = self.client("s3").get_object(Bucket=self.bucket(kind), Key=key)["Body"].read()
        return content

    def keys(self, prefix: str, kind: str = "live") -> list[str]:
        """Keys below a prefix."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket(kind), Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def metric(self, model: str, name: str) -> float:
        """Sum of a metric since the beginning."""
        end = self.now() + timedelta(days=1)
        points = self.client("cloudwatch").get_metric_statistics(
            Namespace=NAMESPACE, MetricName=name, Dimensions=[{"Name": "Model", "Value": model}],
            StartTime=end - timedelta(days=30), EndTime=end, Period=86400, Statistics=["Sum"],
        )["Datapoints"]  # fmt: skip
        return float(sum(point["Sum"] for point in points))

    def report(self, model: str, day: datetime) -> dict[str, Any]:
        """The drift report of one day."""
        report: dict[str, Any] = json.loads(self.read(f"reports/{model}/{day:%Y-%m-%dT%H:%M:%SZ}.json"))
        return report

    def quarantined(self, kind: str, model: str) -> list[dict[str, Any]]:
        """What was refused, with the reasons."""
        keys = self.keys(f"quarantine/{kind}/{model}/")
        return [json.loads(line) for key in keys for line in self.read(key).splitlines()]

    def predict(self, model: str, lines: Sequence[str]) -> list[float]:
        """Ask the endpoint."""
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=ModelNames(model).base, ContentType="text/csv", Body="\n".join(lines).encode()
        )
        return [float(line) for line in answer["Body"].read().split()]

    def send(self, queue: str, message: dict[str, Any]) -> None:
        """A message for one of the work queues."""
        url = self.client("sqs").get_queue_url(QueueName=f"driftloop-{queue}")["QueueUrl"]
        self.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(message))

    def waiting(self, queue: str) -> int:
        """Messages of a queue, visible or not."""
        url = self.client("sqs").get_queue_url(QueueName=f"driftloop-{queue}")["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def listen(self) -> None:
        """From now on the kit's events are kept for ``heard``."""
        self.client("sqs").create_queue(QueueName=_LISTENER)
        kinds = [EPISODE_CHANGED, VERSION_CHANGED]
        pattern = json.dumps({"source": [PREFIX], "detail-type": kinds})
        self.client("events").put_rule(Name=_LISTENER, EventPattern=pattern)
        arn = f"arn:aws:sqs:{self.twin.region}:{self.twin.account}:{_LISTENER}"
        self.client("events").put_targets(Rule=_LISTENER, Targets=[{"Id": "1", "Arn": arn}])

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """Details of all events of a kind, oldest first."""
        url = self.client("sqs").get_queue_url(QueueName=_LISTENER)["QueueUrl"]
        while messages := self.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self._heard.append(json.loads(message["Body"]))
                self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [event["detail"] for event in self._heard if event["detail-type"] == kind]

    def log(self, function: str) -> str:
        """All that a function has written."""
        pages = (
            self.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=f"/aws/lambda/{PREFIX}-{function.replace('_', '-')}")
        )
        return "\n".join(event["message"] for page in pages for event in page["events"])

    def executions(self, model: str) -> list[dict[str, Any]]:
        """Pipeline executions."""
        found: list[dict[str, Any]] = self.client("sagemaker").list_pipeline_executions(
            PipelineName=ModelNames(model).base
        )["PipelineExecutionSummaries"]
        return found

    def scaled(self, model: str) -> list[tuple[int, int]]:
        """Instances at least and at most, where their number follows the requests."""
        found = self.client("application-autoscaling").describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{ModelNames(model).base}/variant/{VARIANT}"]
        )["ScalableTargets"]
        return [(target["MinCapacity"], target["MaxCapacity"]) for target in found]

    def endpoint(self, model: str) -> tuple[str, str]:
        """Status and configuration of the endpoint."""
        found = self.client("sagemaker").describe_endpoint(EndpointName=ModelNames(model).base)
        return found["EndpointStatus"], found["EndpointConfigName"]
