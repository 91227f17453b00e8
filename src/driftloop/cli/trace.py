"""From a prediction back to the rows that taught the version that gave it."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from driftloop.cli.cloud import Cloud
from driftloop.cli.lineage import lineage
from driftloop.cli.words import stamp
from driftloop.data.decoded import SCORE
from driftloop.data.rows import OBJECT, read_outcomes
from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import iso
from driftloop.loop.sources import Source
from driftloop.names import VARIANT, ModelNames
from driftloop.ports import Champion, Model

_THREADS = 16
_LABEL = 12
"""Columns of the labels."""
_AROUND = timedelta(days=1)
"""How long before or after its event a row may have been asked about."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    """One prediction, as it was captured."""

    id: str
    time: str
    """Event time, ISO-8601 in UTC."""
    score: float
    object: str
    """Identity of the capture object."""


@dataclass(frozen=True)
class Capture:
    """The record that holds the prediction."""

    uri: str
    version_id: str
    event_id: str
    inference_time: datetime


@click.command()
@click.argument("inference_id")
@click.option("--model", help="The model that gave it; can be left out where one is deployed.")
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Date of the event; all are searched without it."
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead.")
def trace(inference_id: str, model: str | None, day: datetime | None, as_json: bool) -> None:
    """Say which version answered INFERENCE_ID, the id of a row that was sent, and what that version was made from.

    The latest answer counts if a row was sent more than once.
    """
    cloud = Cloud.of_environment()
    deployed = _model(cloud, model)
    answers = _answers(cloud, deployed, inference_id, f"{day:%Y-%m-%d}" if day else None)
    found = [(answer, _capture(cloud, deployed, answer)) for answer in answers]
    answer, capture = max(found, key=lambda pair: pair[1].inference_time if pair[1] else _NEVER)
    champion = _serving(cloud, deployed.name, capture.inference_time if capture else None)
    label = _outcome(cloud, deployed, answer)
    made = lineage(cloud, deployed.name, champion.package_arn) if champion else None
    if as_json:
        told = {
            "model": deployed.name, "id": answer.id, "time": answer.time, "score": answer.score, "label": label,
            "capture": capture and {
                "uri": capture.uri, "version_id": capture.version_id, "event_id": capture.event_id,
                "inference_time": iso(capture.inference_time),
            },
            "served_since": champion and iso(champion.since), **(made.as_dict() if made else {"version": None}),
        }  # fmt: skip
        click.echo(json.dumps(told, indent=1))
        return
    lines = [("row", f"{answer.id} of {deployed.name}, event at {answer.time}")]
    lines.append(("answer", f"{answer.score:.6f}; {'no label yet' if label is None else f'the label is {label}'}"))
    if capture:
        lines += [("captured", f"{stamp(capture.inference_time)}, record {capture.event_id}"), ("", capture.uri)]
    else:
        lines.append(("captured", "the capture object has been deleted, so the version that answered is not known"))
    lines += made.lines() if made else []
    for name, text in lines:
        click.echo(f"{name:{_LABEL}}{text}")


def _model(cloud: Cloud, name: str | None) -> Model:
    if name is not None:
        return cloud.model(name)
    deployed, _ = cloud.models.all()
    if len(deployed) != 1:
        there = ", ".join(model.name for model in deployed) or "none"
        raise click.ClickException(f"say which --model: {there}")
    return deployed[0]


def _answers(cloud: Cloud, model: Model, row_id: str, day: str | None) -> list[Answer]:
    """All of the last date that has any. Raises ClickException if no row of this id was counted."""
    bucket, prefix = cloud.bucket("live"), f"rows/{model.name}/"
    keys = cloud.objects.keys(bucket, f"{prefix}{day}/" if day else prefix)
    days: dict[str, list[str]] = {}
    for key in keys:
        days.setdefault(key.split("/")[2], []).append(key)
    with ThreadPoolExecutor(_THREADS) as pool:
        for date_of in sorted(days, reverse=True):
            parts = pool.map(lambda key: _rows_of(cloud, bucket, key, model.schema, row_id), days[date_of])
            found = [answer for part in parts for answer in part]
            if found:
                return found
    where = f"of {day}" if day else f"of {len(days)} days"
    raise click.ClickException(f"no row {row_id!r} {where} was counted for {model.name} in s3://{bucket}/{prefix}")


def _rows_of(cloud: Cloud, bucket: str, key: str, schema: Schema, row_id: str) -> list[Answer]:
    content = cloud.objects.read(bucket, key)
    if row_id.encode() not in content:
        return []
    columns = read_outcomes(schema, content, label=False)
    return [
        Answer(row_id, f"{columns[schema.time][place]}Z", float(columns[SCORE][place]), columns[OBJECT][place])
        for place in _places(columns, schema, row_id)
    ]


def _places(columns: Columns, schema: Schema, row_id: str) -> list[int]:
    """Where a table has the row."""
    return [place for place, value in enumerate(columns[schema.id].tolist()) if value == row_id]


def _capture(cloud: Cloud, model: Model, answer: Answer) -> Capture | None:
    """The object that an answer was read from, by its identity; None if it is gone."""
    bucket, base = cloud.bucket("live"), ModelNames(model.name).base
    event = datetime.fromisoformat(answer.time)
    pages = cloud.client("s3").get_paginator("list_object_versions")
    for moment in _days(event.date()):
        prefix = f"capture/{base}/{VARIANT}/{moment:%Y/%m/%d}/"
        for page in pages.paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Versions", ()):
                source = Source(bucket, item["Key"], item["VersionId"], item["ETag"], item["Size"])
                if answer.object.partition(".")[0] == source.id:
                    return _record(cloud, source, answer.id)
    return None


def _days(event: date) -> list[date]:
    """The date of the event first, then those around it."""
    return [event, event - _AROUND, event + _AROUND]


def _record(cloud: Cloud, source: Source, row_id: str) -> Capture | None:
    content = b"".join(cloud.objects.blocks(source.bucket, source.key, source.version))
    records = [json.loads(line) for line in content.splitlines() if line.strip()]
    for record in records:
        if row_id.encode() in _payload(record["captureData"]["endpointInput"]):
            event = record["eventMetadata"]
            moment = datetime.fromisoformat(event["inferenceTime"])
            return Capture(f"s3://{source.bucket}/{source.key}", source.version or "", event["eventId"], moment)
    return None


def _payload(part: dict[str, Any]) -> bytes:
    text = str(part["data"])
    return base64.b64decode(text) if part.get("encoding") == "BASE64" else text.encode()


def _serving(cloud: Cloud, model: str, moment: datetime | None) -> Champion | None:
    """The version that served then."""
    before = [champion for champion in cloud.ledger.served(model) if moment and champion.since <= moment]
    return before[-1] if before else None


def _outcome(cloud: Cloud, model: Model, answer: Answer) -> int | None:
    """What came of it, as far as labels say."""
    bucket, schema = cloud.bucket("live"), model.schema
    found: dict[str, int] = {}
    for key in cloud.objects.keys(bucket, f"labelled/{model.name}/{answer.time[:10]}/"):
        content = cloud.objects.read(bucket, key)
        if answer.id.encode() in content:
            columns = read_outcomes(schema, content)
            found |= _labels(columns, schema, answer.id)
    return found[max(found)] if found else None


def _labels(columns: Columns, schema: Schema, row_id: str) -> dict[str, Any]:
    """Object (which sorts by its upload) -> label."""
    return {columns[OBJECT][place]: int(columns[schema.label][place]) for place in _places(columns, schema, row_id)}
