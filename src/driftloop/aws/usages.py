"""CloudWatch's metrics of SageMaker endpoints as the Usages port."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from driftloop.ports import Usage

_METRICS = {"requests": "Invocations", "errors": "Invocation5XXErrors", "latency": "ModelLatency"}
_MINUTE = 60


class CloudWatchUsages:
    """Sums, so that any number of minutes or hours is added up exactly."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch

    def of(self, endpoint: str, variant: str, start: datetime, end: datetime) -> Usage:
        """What a variant did, to the minute."""
        dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
        sums: dict[str, float] = dict.fromkeys(_METRICS, 0.0)
        pages = self._cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[
                {
                    "Id": name,
                    "MetricStat": {
                        "Metric": {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions},
                        "Period": _MINUTE,
                        "Stat": "Sum",
                    },
                }
                for name, metric in _METRICS.items()
            ],
            StartTime=start,
            EndTime=end,
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                sums[result["Id"]] += sum(result["Values"])
        requests = round(sums["requests"])
        # SageMaker measures it in microseconds.
        latency = sums["latency"] / requests / 1e6 if requests else None
        return Usage(requests, round(sums["errors"]), latency)
