"""The alarms of one model: is its input drifting, is its quality going, is its endpoint failing or slow?"""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from driftloop.names import NAMESPACE, VARIANT, Metric, ModelNames
from driftloop.spec import ModelSpec
from infra import references as ref
from infra.references import arn

SIGNALS = {"drift": Metric.INPUT_DRIFT, "quality": Metric.QUALITY_LOSS}


class ModelAlarms(Construct):
    """Scores are relative to their limits, so an alarm never has to know the baseline: 1 is the threshold of all."""

    def __init__(self, scope: Construct, id: str, spec: ModelSpec) -> None:  # noqa: A002
        super().__init__(scope, id)
        self._names = ModelNames(spec.name)
        monitoring = spec.monitoring
        for signal, metric in SIGNALS.items():
            self._alarm(
                signal,
                namespace=NAMESPACE,
                metric=metric,
                dimensions={"Model": spec.name},
                statistic="Maximum",
                period=int(monitoring.window.total_seconds()),
                datapoints=monitoring.datapoints,
                of=monitoring.of,
            )
        # Rollouts watch this one, so it has to see a version that fails within the bake time even under little
        # traffic; a single failed minute is forgiven. But for mode realtime there is little traffic by nature.
        self._alarm(
            "errors",
            namespace="AWS/SageMaker",
            # Of a request that waits, reading and writing may fail as well.
            metric="InvocationFailures" if spec.serving.mode == "asynchronous" else "Invocation5XXErrors",
            dimensions={"EndpointName": self._names.base, "VariantName": VARIANT},
            statistic="Sum",
            period=60,
            datapoints=2,
            of=3 if spec.serving.mode == "realtime" else 15,
        )
        # Looked at every minute of a rollout.
        self._alarm(
            "shift",
            namespace=NAMESPACE,
            metric=Metric.PREDICTION_SHIFT,
            dimensions={"Model": spec.name},
            statistic="Maximum",
            period=60,
            datapoints=2,
            of=3,
        )
        if spec.serving.max_latency is not None:
            self._alarm(
                "latency",
                namespace="AWS/SageMaker",
                metric="ModelLatency",
                dimensions={"EndpointName": self._names.base, "VariantName": VARIANT},
                statistic="Average",
                period=60,
                datapoints=2,
                of=3,
                # SageMaker measures it in microseconds.
                threshold=spec.serving.max_latency.total_seconds() * 1e6,
            )

        if spec.serving.has_url:
            self._own(
                "predict", namespace="AWS/Lambda", metric="Errors",
                dimensions={"FunctionName": self._names.predict_function},
            )  # fmt: skip
        if spec.serving.mode == "serverless":
            self._own("captures", namespace=NAMESPACE, metric=Metric.CAPTURES_LOST, dimensions={"Model": spec.name})

    def _own(self, signal: str, *, namespace: str, metric: str, dimensions: Mapping[str, str]) -> None:
        """The function that answers does not do its work; one time is enough to tell people."""
        self._alarm(
            signal, namespace=namespace, metric=metric, dimensions=dimensions, statistic="Sum", period=300, datapoints=1,
            of=1,
        )  # fmt: skip

    def _alarm(
        self,
        signal: str,
        *,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        statistic: str,
        period: int,
        datapoints: int,
        of: int,
        threshold: float = 1,
    ) -> None:
        cloudwatch.CfnAlarm(
            self,
            signal.title(),
            alarm_name=self._names.alarm(signal),
            alarm_description=f"{metric} of {self._names.model}: {datapoints} of {of} periods of {period} s at {threshold:g} or over",
            namespace=namespace,
            metric_name=metric,
            dimensions=[{"name": name, "value": value} for name, value in dimensions.items()],
            statistic=statistic,
            period=period,
            evaluation_periods=of,
            datapoints_to_alarm=datapoints,
            threshold=threshold,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[ref.sub(arn("sns", ref.TOPIC))],
        )
