"""Metrics in CloudWatch's embedded metric format: a line of the log, no API call and no permission."""

from __future__ import annotations

from collections.abc import Mapping

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from driftloop.names import NAMESPACE


def emit(model: str, values: Mapping[str, float], unit: MetricUnit = MetricUnit.Count) -> None:
    """Write one model's metrics. ``Model`` is the only dimension: alarms match dimensions exactly."""
    _emit("Model", model, values, unit)


def emit_function(function: str, values: Mapping[str, float]) -> None:
    """Write what a function says of itself, over all models."""
    _emit("Function", function, values, MetricUnit.Count)


def _emit(dimension: str, of: str, values: Mapping[str, float], unit: MetricUnit) -> None:
    for name, value in values.items():
        with single_metric(name, unit, value, namespace=NAMESPACE) as metric:
            metric.add_dimension(dimension, of)
