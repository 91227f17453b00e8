"""CloudWatch's embedded metric format: metrics in log lines. Pure.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Datum:
    """One metric value."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    timestamp: float
    unit: str
    values: tuple[float, ...]


def metrics_of(lines: Iterable[str]) -> Iterator[Datum]:
    """Metric values in the lines of a log; other lines are skipped, as CloudWatch does."""
    for line in lines:
        if '"_aws"' in line:
            try:
                yield from _data(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue


def _data(record: Mapping[str, Any]) -> list[Datum]:
    header = record["_aws"]
    found = []
    for directive in header["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: str(record[name]) for name in names}
            for metric in directive["Metrics"]:
                value = record[metric["Name"]]
                values = tuple(float(v) for v in (value if isinstance(value, list) else [value]))
                unit = metric.get("Unit", "None")
                when = header["Timestamp"] / 1000
                found.append(Datum(directive["Namespace"], metric["Name"], dimensions, when, unit, values))
    return found
