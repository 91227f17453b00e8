"""Flights sent through the endpoint, every three hours; their labels follow half a day after departure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from driftloop.data.schema import Schema
from driftloop.data.tables import history_tables, read_table, write_table
from driftloop.demo.stage import Stage
from driftloop.monitoring.statistics import Floats
from driftloop.names import ModelNames
from driftloop.spec import ModelSpec

HOUR = timedelta(hours=1)
STEP = timedelta(hours=3)
"""How often the client asks about the departures of the next three hours, and uploads the labels that are known by now:
each arrives half a day after departure, or up to three hours later."""


@dataclass(frozen=True)
class Traffic:
    """Rows in order of departure: what a client sends, and what becomes known later."""

    lines: list[str]
    """Request rows: id, time and features as CSV."""
    ids: list[str]
    labels: np.ndarray[Any, np.dtype[np.int8]]
    bounds: dict[datetime, tuple[int, int]]
    """Hour of departure (UTC) -> first row and the row after the last."""

    def __len__(self) -> int:
        return len(self.lines)


def traffic_of(spec: ModelSpec, flights: pd.DataFrame) -> Traffic:
    """Requests and labels of some flights (as ``load_flights`` gives them)."""
    payload = [spec.data.id, spec.data.time, *spec.data.features]
    hours = flights.index.to_numpy()
    starts = np.flatnonzero(np.r_[True, hours[1:] != hours[:-1]])
    ends = np.r_[starts[1:], len(hours)]
    moments = [moment.to_pydatetime().astimezone(UTC) for moment in flights.index[starts]]
    return Traffic(
        lines=csv_lines(flights[payload]),
        ids=flights[spec.data.id].tolist(),
        labels=flights[spec.data.label].to_numpy(np.int8),
        bounds={moment: (int(a), int(b)) for moment, a, b in zip(moments, starts, ends, strict=True)},
    )


def csv_lines(table: pd.DataFrame) -> list[str]:
    """Rows as CSV text, without a header."""
    return str(table.to_csv(index=False, header=False, lineterminator="\n")).splitlines()


def import_history(stage: Stage, spec: ModelSpec, flights: pd.DataFrame) -> None:
    """Labelled rows from before there was a version, into the curated bucket, a file a day."""
    s3, bucket = stage.client("s3"), stage.bucket("curated")
    schema = Schema.from_spec(spec.compiled())
    text = flights[[*schema.payload, schema.label]].to_csv(index=False, lineterminator="\n")
    rows = read_table(schema, text.encode(), unique=True)
    for key, day in history_tables(schema, spec.name, rows).items():
        s3.put_object(Bucket=bucket, Key=key, Body=write_table(schema, day))


class Replay:
    """Sends traffic and labels, and keeps what the endpoint answered."""

    def __init__(self, stage: Stage, spec: ModelSpec, traffic: Traffic) -> None:
        self._stage, self._spec, self._traffic = stage, spec, traffic
        self._endpoint = ModelNames(spec.name).base
        self._runtime, self._s3 = stage.client("sagemaker-runtime"), stage.client("s3")
        self.scores: Floats = np.full(len(traffic), np.nan)
        """Answer for each row: probability of a late arrival."""

    def steps(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """Replay from ``first`` until before ``last``, step by step; labels go on until the last one has arrived."""
        now, delay = first, self._spec.data.label_delay
        while now < last + delay + STEP:
            self._stage.twin.move_clock(now)
            self._send_labels(now - delay)
            if now < last:
                self._send_requests(now)
            yield now
            now += STEP

    def _rows(self, since: datetime) -> list[int]:
        """Flights that leave in the three hours from ``since`` on."""
        hours = [since + HOUR * number for number in range(STEP // HOUR)]
        return [row for hour in hours for row in range(*self._traffic.bounds.get(hour, (0, 0)))]

    def _send_requests(self, now: datetime) -> None:
        rows = self._rows(now)
        if rows:
            body = "\n".join(self._traffic.lines[row] for row in rows)
            answer = self._runtime.invoke_endpoint(
                EndpointName=self._endpoint, ContentType="text/csv", Accept="text/csv", Body=body.encode()
            )
            self.scores[rows] = [float(line) for line in answer["Body"].read().split()]

    def _send_labels(self, until: datetime) -> None:
        """Labels of the flights that left in the three hours before ``until``, in SageMaker's format for ground truth."""
        rows = self._rows(until - STEP)
        body = "".join(json.dumps(self._label(row)) + "\n" for row in rows if not np.isnan(self.scores[row]))
        if body:
            key = f"labels/{self._spec.name}/{until:%Y-%m-%dT%H}.jsonl"
            self._s3.put_object(Bucket=self._stage.bucket("live"), Key=key, Body=body.encode())

    def _label(self, row: int) -> dict[str, Any]:
        data = {"data": str(self._traffic.labels[row]), "encoding": "CSV"}
        return {"groundTruthData": data, "eventMetadata": {"eventId": self._traffic.ids[row]}, "eventVersion": "0"}
