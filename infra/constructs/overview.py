"""The dashboard: all models at a glance."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from driftloop.names import NAMESPACE, PREFIX, Metric
from infra import references as ref
from infra.function_catalog import FUNCTIONS

_DAY = Duration.days(1)


class Overview(Construct):
    """Found by search, so a new model appears without a change here."""

    def __init__(self, scope: Construct, id: str, dead_letters: Sequence[cloudwatch.Alarm]) -> None:  # noqa: A002
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
                    cloudwatch.AlarmStatusWidget(title="Dead letters", alarms=list(dead_letters), width=8),
                ],
            ],
        )


def _models(title: str, metric: str, statistic: str) -> cloudwatch.GraphWidget:
    search = f"SEARCH('{{{NAMESPACE},Model}} MetricName=\"{metric}\"', '{statistic}', {_DAY.to_seconds()})"
    found = cloudwatch.MathExpression(expression=search, label="", period=_DAY, using_metrics={})
    return cloudwatch.GraphWidget(title=title, left=[found], width=8, period=_DAY)


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
