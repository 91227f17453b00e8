"""Profile what is too much for one machine, with Spark: past captures become shards, a table becomes one profile.

The driver cuts the work into parts, and the executors run the library's own code on each
(``pipelines.steps.partitions``). Profiles are sums of whole numbers, so how the work was cut cannot be seen in them.
"""

from __future__ import annotations

import argparse
import json
import operator
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3

from driftloop.aws.captures import S3Captures
from driftloop.aws.objects import S3Objects
from driftloop.data.decoded import SCORE
from driftloop.data.schema import Schema
from driftloop.loop import backfill
from driftloop.loop.sources import Source
from driftloop.monitoring.baseline import Baseline
from driftloop.names import ModelNames, parse_uri
from driftloop.ports import NotFoundError
from pipelines.steps.partitions import Counted, Shards, Table
from pipelines.steps.region import region
from pipelines.steps.step import StepError, add_paths, arguments, instant, read_spec, run, say

PROFILE, REBUILT = "profile.json", "rebuilt.json"
CAPTURES = "captures"
_TASKS_PER_CORE = 4
"""Parts are of unequal size; a few for each core even that out."""


def parser() -> argparse.ArgumentParser:
    """The step's arguments."""
    options = arguments("profile_spark", __doc__)
    options.add_argument("--baseline", required=True, help="s3://.../baseline.json to count for")
    options.add_argument("--source", default=CAPTURES, help=f"{CAPTURES}, or the URI of a table in Parquet")
    options.add_argument("--live-bucket", required=True)
    options.add_argument("--from", dest="start", default="", help="first hour of captures, ISO-8601 with offset")
    options.add_argument("--to", dest="end", default="", help="the hour after the last one")
    add_paths(options, profile="/opt/ml/processing/output/profile")
    return options


def main(argv: list[str]) -> int:
    """Command line; exit status."""
    return run(profile_spark, parser().parse_args(argv))


def profile_spark(args: argparse.Namespace) -> None:
    """Do what the source asks for. Raises StepError."""
    spec = read_spec(args.spec)
    s3 = boto3.client("s3", region_name=region())
    text = _read_baseline(s3, args.baseline)
    parts = _parts(s3, args, spec) if args.source == CAPTURES else []
    session = _session(spec["name"])
    try:
        if args.source == CAPTURES:
            _write(args.profile / REBUILT, spec, text, vars(_rebuild(session, Shards(spec, args.baseline), parts)))
        else:
            counted = profile_table(session, spec, text, args.source)
            _write(args.profile / PROFILE, spec, text, {"profile": counted.profile.to_dict()})
    finally:
        session.stop()


def profile_table(session: Any, spec: dict[str, Any], baseline: bytes, uri: str) -> Counted:
    """One profile of all rows of a table. Raises StepError if columns are missing or rows cannot be read."""
    schema = Schema.from_spec(spec)
    frame = session.read.parquet(uri)
    if missing := [name for name in schema.payload if name not in frame.columns]:
        raise StepError(f"{uri} has no column {', '.join(missing)}; it has {', '.join(frame.columns)}")
    scored = SCORE in frame.columns
    wanted = [*schema.payload, *([SCORE] if scored else [])]
    rows = frame.select(*(_column(frame, name) for name in wanted)).rdd
    counted: Counted = rows.mapPartitions(Table(spec, baseline, scored)).treeReduce(operator.add)
    if counted.refused:
        raise StepError(f"{uri}: {counted.refused} rows cannot be read", *counted.reasons)
    say(f"profile_spark: {counted.profile.rows} rows of {uri} in {rows.getNumPartitions()} partitions")
    return counted


def _column(frame: Any, name: str) -> Any:
    """A timestamp as text: Spark would hand it to Python in the time zone of whichever machine that runs on."""
    column = frame[name]
    return (
        column.cast("string").alias(name) if frame.schema[name].dataType.typeName().startswith("timestamp") else column
    )


def _parts(s3: Any, args: argparse.Namespace, spec: dict[str, Any]) -> list[list[Source]]:
    span = _hour("--from", args.start), _hour("--to", args.end)
    endpoint = ModelNames(spec["name"]).base
    found = backfill.plan(S3Captures(s3), args.live_bucket, endpoint, span, spec)
    say(f"profile_spark: {found.objects} capture objects, {found.size} bytes in {len(found.hours)} hours")
    return [part for sources in found.hours.values() for part in backfill.parts(sources)]


def _rebuild(session: Any, shards: Shards, parts: Sequence[Sequence[Source]]) -> backfill.Rebuilt:
    if not parts:
        say("profile_spark: nothing to do")
        return backfill.Rebuilt()
    context = session.sparkContext
    slices = min(len(parts), max(1, context.defaultParallelism * _TASKS_PER_CORE))
    done: backfill.Rebuilt = (
        context.parallelize(parts, slices).mapPartitions(shards).fold(backfill.Rebuilt(), operator.add)
    )
    say(f"profile_spark: {done.rows} rows of {done.objects} objects, {done.quarantined} quarantined")
    return done


def _hour(option: str, text: str) -> datetime:
    try:
        moment = instant(text)
    except ValueError as error:
        raise StepError(f"{option} {text!r} is not ISO-8601 with an offset: {error}") from error
    if moment != moment.replace(minute=0, second=0, microsecond=0):
        raise StepError(f"{option} {text!r} is not a whole hour")
    return moment


def _read_baseline(s3: Any, uri: str) -> bytes:
    try:
        text = S3Objects(s3).read(*parse_uri(uri))
        Baseline.from_json(text)
    except (ValueError, KeyError, NotFoundError) as error:
        raise StepError(f"--baseline {uri} cannot be used: {error}") from error
    return text


def _write(path: Path, spec: dict[str, Any], baseline: bytes, found: dict[str, Any]) -> None:
    value = {"model": spec["name"], "baseline": Baseline.from_json(baseline).id, **found}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, sort_keys=True, separators=(",", ":")), encoding="utf-8")


def _session(name: str) -> Any:
    # Only Spark's own image has it.
    from pyspark.sql import SparkSession  # noqa: PLC0415

    builder = SparkSession.builder.appName(f"driftloop-{name}-profile").config("spark.sql.session.timeZone", "UTC")
    return builder.getOrCreate()
