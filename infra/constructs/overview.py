"""The dashboard: all models at a glance."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from driftloop.names import NAMESPACE, PREFIX, Metric
from infra import references as ref
from infra.constructs.reconciler_watch import reconciler_metric
from infra.function_catalog import FUNCTIONS

_DAY = Duration.days(1)
_WORK = [function.work.name for function in FUNCTIONS if function.work]
_FAILURES = [function.failures for function in FUNCTIONS if function.failures]
_QUEUES = [ref.queue(work) for work in _WORK]
_DEAD_LETTERS = [ref.dead_letter_queue(work) for work in (*_WORK, *_FAILURES)]
_SAGEMAKER_PIPELINES = "AWS/Sagemaker/ModelBuildingPipeline"
"""SageMaker's own namespace, spelt as SageMaker does."""


class Overview(Construct):
    """Found by search, so a new model appears without a change here."""

    def __init__(self, scope: Construct, id: str, alarms: Sequence[cloudwatch.Alarm]) -> None:  # noqa: A002
        """``alarms`` are those of the platform itself: dead letters, and the reconciler."""
        super().__init__(scope, id)
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=PREFIX,
            widgets=[
                [
                    _models("Input drift (1 = at the limit)", Metric.INPUT_DRIFT, "Maximum"),
                    _models("Quality loss (1 = at the limit)", Metric.QUALITY_LOSS, "Maximum"),
                    _models("Prediction drift (1 = at the limit)", Metric.PREDICTION_DRIFT, "Maximum"),
                ],
                [
                    _models("Estimated loss (1 = at the limit)", Metric.ESTIMATED_LOSS, "Maximum"),
                    _models("Rows counted", Metric.ROWS_COUNTED, "Sum"),
                    _models("Rows in quarantine", Metric.ROWS_QUARANTINED, "Sum"),
                ],
                [
                    _models("Labels joined", Metric.LABELS_JOINED, "Sum"),
                    _errors(),
                    cloudwatch.AlarmStatusWidget(title="Alarms of the platform", alarms=list(alarms), width=8),
                ],
                [
                    _reconciler(),
                    _pipelines("Retrainings started", "ExecutionStarted"),
                    _pipelines("Retrainings failed or rejected", "ExecutionFailed"),
                ],
                [
                    _queues("Messages that came, per queue", "NumberOfMessagesSent", "Sum", _QUEUES),
                    _queues("Dead letters", "ApproximateNumberOfMessagesVisible", "Maximum", _DEAD_LETTERS),
                ],
            ],
        )


def _models(title: str, metric: str, statistic: str) -> cloudwatch.GraphWidget:
    search = f"SEARCH('{{{NAMESPACE},Model}} MetricName=\"{metric}\"', '{statistic}', {_DAY.to_seconds()})"
    found = cloudwatch.MathExpression(expression=search, label="", period=_DAY, using_metrics={})
    return cloudwatch.GraphWidget(title=title, left=[found], width=8, period=_DAY)


def _pipelines(title: str, metric: str) -> cloudwatch.GraphWidget:
    where = f'{{{_SAGEMAKER_PIPELINES},PipelineName}} MetricName="{metric}" PipelineName={PREFIX}'
    search = f"SEARCH('{where}', 'Sum', {_DAY.to_seconds()})"
    found = cloudwatch.MathExpression(expression=search, label="", period=_DAY, using_metrics={})
    return cloudwatch.GraphWidget(title=title, left=[found], width=8, period=_DAY)


def _reconciler() -> cloudwatch.GraphWidget:
    lines = {Metric.MODELS_RECONCILED: "looked after", Metric.MODELS_FAILED: "could not be"}
    metrics: list[cloudwatch.IMetric] = [reconciler_metric(name, label) for name, label in lines.items()]
    return cloudwatch.GraphWidget(title="Models that reconcile looked after", left=metrics, width=8)


def _queues(title: str, metric: str, statistic: str, names: Sequence[str]) -> cloudwatch.GraphWidget:
    metrics: list[cloudwatch.IMetric] = [
        cloudwatch.Metric(
            namespace="AWS/SQS",
            metric_name=metric,
            dimensions_map={"QueueName": name},
            label=name.removeprefix(f"{PREFIX}-"),
            statistic=statistic,
            period=Duration.minutes(5),
        )
        for name in names
    ]
    return cloudwatch.GraphWidget(title=title, left=metrics, width=12)


def _errors() -> cloudwatch.GraphWidget:
    metrics: list[cloudwatch.IMetric] = [
        cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions_map={"FunctionName": ref.function(function.name)},
            label=function.name,
            statistic="Sum",
            period=Duration.minutes(5),
        )
        for function in FUNCTIONS
    ]
    return cloudwatch.GraphWidget(title="Failed invocations", left=metrics, width=8)
