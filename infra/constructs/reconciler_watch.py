"""Who looks after the one that looks after all: alarms on the reconciler itself."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from driftloop.names import NAMESPACE, PREFIX, Metric
from infra.constructs.reconciliation import PERIOD

_RUNS = 3
"""Runs that must be missed or fail: one may fall into the hour before, or meet a service that is down."""


class ReconcilerWatch(Construct):
    """Other alarms need the loop to run; silence is the one fault that only its absence shows."""

    def __init__(self, scope: Construct, id: str, topic: sns.ITopic) -> None:  # noqa: A002
        super().__init__(scope, id)
        self._topic = topic
        self.alarms: Sequence[cloudwatch.Alarm] = (
            self._alarm(
                "Silent",
                Metric.MODELS_RECONCILED,
                cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
                cloudwatch.TreatMissingData.BREACHING,
                "No model is looked after: reconcile does not run, fails for all models, or finds none deployed.",
            ),
            self._alarm(
                "Failing",
                Metric.MODELS_FAILED,
                cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                # Silence is the other alarm's.
                cloudwatch.TreatMissingData.NOT_BREACHING,
                "Some model could not be looked after, run after run; the log of reconcile names it and the reason.",
            ),
        )

    def _alarm(
        self,
        kind: str,
        metric: str,
        comparison: cloudwatch.ComparisonOperator,
        missing: cloudwatch.TreatMissingData,
        description: str,
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            kind,
            alarm_name=f"{PREFIX}-reconcile-{kind.lower()}",
            alarm_description=description,
            metric=reconciler_metric(metric),
            threshold=1,
            comparison_operator=comparison,
            evaluation_periods=_RUNS,
            datapoints_to_alarm=_RUNS,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm


def reconciler_metric(name: str, label: str | None = None) -> cloudwatch.Metric:
    """What ``reconcile`` says of itself, one point a run."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"Function": "reconcile"},
        statistic="Maximum",
        period=Duration.seconds(int(PERIOD.total_seconds())),
        label=label,
    )
