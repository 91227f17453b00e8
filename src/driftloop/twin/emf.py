"""CloudWatch's embedded metric format: metrics in log lines. Pure.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import math
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
            except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
                continue


def _data(record: Mapping[str, Any]) -> list[Datum]:
    header = record["_aws"]
    found = []
    for directive in header["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: str(record[name]) for name in names}
            for metric in directive["Metrics"]:
                value = record[metric["Name"]]
                values = tuple(_number(v) for v in (value if isinstance(value, list) else [value]))
                unit = _text(metric.get("Unit", "None"))
                when = _number(header["Timestamp"]) / 1000
                found.append(
                    Datum(_text(directive["Namespace"]), _text(metric["Name"]), dimensions, when, unit, values)
                )
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
