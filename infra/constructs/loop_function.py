"""One shared function and the queue that feeds it."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra import references as ref
from infra.constructs.python_function import Program, PythonFunction
from infra.function_catalog import SharedFunction, Work
from infra.grants import Grant
from infra.references import arn


class LoopFunction(PythonFunction):
    """A function of the catalogue."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        function: SharedFunction,
        *,
        code: assets.Asset,
        environment: Mapping[str, str],
        key_arn: str,
        queue_arn: str | None,
        failures_arn: str | None,
    ) -> None:
        """``queue_arn`` feeds the function; ``failures_arn`` keeps asynchronous calls that failed."""
        name = ref.function(function.name)
        super().__init__(
            scope,
            id,
            Program(name, function.name, function.description, function.memory, function.timeout),
            code=code,
            environment=environment,
            key_arn=key_arn,
            grants=[*function.grants, *_queue_grants(function)],
            failures_arn=failures_arn,
        )
        if function.work and queue_arn:
            self._feed(function.work, queue_arn)

    def _feed(self, work: Work, queue_arn: str) -> None:
        scaling = lambda_.CfnEventSourceMapping.ScalingConfigProperty(maximum_concurrency=work.concurrency)
        lambda_.CfnEventSourceMapping(
            self,
            "Feed",
            event_source_arn=queue_arn,
            function_name=self.resource.ref,
            batch_size=work.batch_size,
            maximum_batching_window_in_seconds=work.batching_seconds,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=scaling if work.concurrency else None,
        )


def _queue_grants(function: SharedFunction) -> list[Grant]:
    grants = []
    if function.work:
        actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        grants.append(Grant(actions, [arn("sqs", ref.queue(function.work.name))]))
    if function.failures:
        grants.append(Grant(["sqs:SendMessage"], [arn("sqs", ref.dead_letter_queue(function.failures))]))
    return grants
