"""What Spark's executors do with their part of the work: the library's own functions, so the counts are the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Any

import boto3
import numpy as np

from driftloop.aws.objects import S3Objects
from driftloop.data.decoded import SCORE
from driftloop.data.parsing import BadRowError, Row, parse_row, to_columns
from driftloop.data.schema import Columns, Schema
from driftloop.data.typed_rows import CLASS, csv_score
from driftloop.loop.backfill import Rebuilt, rebuild_part
from driftloop.loop.sources import Source
from driftloop.monitoring.baseline import Baseline
from driftloop.monitoring.profile import Profile, empty_profile, profile_columns
from driftloop.names import ModelNames
from driftloop.ports import Model, NotFoundError, Resources
from pipelines.steps.region import region

ROWS_AT_ONCE = 50_000
REASONS = 5
"""Refused rows that are told of with their reasons."""


@dataclass(frozen=True)
class OneModel:
    """The Models port of a job, which knows only its own compiled model file."""

    spec: dict[str, Any]

    def get(self, name: str) -> Model:
        """The model. Raises NotFoundError for any other."""
        if name != self.spec["name"]:
            raise NotFoundError(f"this job is for {self.spec['name']!r} and not for {name!r}")
        base = ModelNames(name).base
        return Model(name, self.spec, Resources(base, base, base, serving_role_arn="", serving_image=""))

    def all(self) -> tuple[list[Model], dict[str, str]]:
        """The one model."""
        return [self.get(self.spec["name"])], {}


@dataclass(frozen=True)
class Shards:
    """Writes the shards of parts of the captured traffic."""

    spec: dict[str, Any]
    baseline_uri: str

    def __call__(self, parts: Iterable[Sequence[Source]]) -> Iterator[Rebuilt]:
        """Rebuild each part."""
        objects = S3Objects(boto3.client("s3", region_name=region()))
        for part in parts:
            yield rebuild_part(OneModel(self.spec), objects, self.spec["name"], self.baseline_uri, part)


@dataclass(frozen=True)
class Counted:
    """Profile of some rows of a table, and what was refused. Adding two gives that of both."""

    profile: Profile
    refused: int = 0
    reasons: tuple[str, ...] = ()

    def __add__(self, other: Counted) -> Counted:
        reasons = sorted({*self.reasons, *other.reasons})[:REASONS]
        return Counted(self.profile + other.profile, self.refused + other.refused, tuple(reasons))


@dataclass(frozen=True)
class Table:
    """Profiles rows of a table: id, time, features in order, and a score if the table has one."""

    spec: dict[str, Any]
    baseline: bytes
    """Text of the baseline."""
    scored: bool

    @cached_property
    def schema(self) -> Schema:
        """Columns of the model."""
        return Schema.from_spec(self.spec)

    def __call__(self, rows: Iterable[Sequence[Any]]) -> Iterator[Counted]:
        """One result for all rows of a partition."""
        bins = dict(Baseline.from_json(self.baseline).bins)
        if not self.scored:
            bins.pop(SCORE, None)
        counted = Counted(empty_profile(bins))
        remaining = iter(rows)
        while some := list(islice(remaining, ROWS_AT_ONCE)):
            columns, reasons = self.columns(some)
            profile = profile_columns(bins, columns, self.schema)
            counted += Counted(profile, len(reasons), tuple(sorted(set(reasons))[:REASONS]))
        yield counted

    def columns(self, rows: Iterable[Sequence[Any]]) -> tuple[Columns, list[str]]:
        """Typed columns of the good rows, by the same rules as captured text; reasons of the refused ones."""
        width = len(self.schema.payload)
        good: list[Row] = []
        scores: list[Any] = []
        reasons: list[str] = []
        for row in rows:
            try:
                parsed = parse_row(self.schema, [text(value) for value in row[:width]])
                if self.scored:
                    scores.append(csv_score(self.schema.output, text(row[width])))
                good.append(parsed)
            except BadRowError as error:
                reasons.append(str(error))
        columns = to_columns(self.schema, good)
        if self.scored:
            columns[SCORE] = np.array(scores, dtype=object if self.schema.output == CLASS else np.float64)
        return columns, reasons


def text(value: object) -> str:
    """A cell as a capture would have it: missing is empty, numbers come back exactly, times are UTC."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return str(value)
