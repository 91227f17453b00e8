"""From a prediction back to the rows that taught the version that gave it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from driftloop.cli.captured import Answer, Capture, Search, asked_row, captures, find_request
from driftloop.cli.cloud import Cloud
from driftloop.cli.lineage import Lineage, lineage
from driftloop.cli.words import plain, stamp
from driftloop.data.decoded import SCORE
from driftloop.data.rows import OBJECT, read_outcomes
from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import iso
from driftloop.ports import Champion, Model

_THREADS = 16
_LABEL = 12
"""Columns of the labels."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_HOUR = timedelta(hours=1)
_HOURS = 24
"""Whose captures are searched for a request, the last ones if nothing is said."""

Line = tuple[str, str]


@click.command()
@click.argument("inference_id")
@click.option("--model", help="The model that gave it; can be left out where one is deployed.")
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Date of the row's event or of the request, in UTC. Without it all rows are searched, and the requests of the "
    "last 24 hours.",
)
@click.option("--hour", type=click.IntRange(0, 23), help="Hour of the request on that date, in UTC.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead.")
def trace(inference_id: str, model: str | None, day: datetime | None, hour: int | None, as_json: bool) -> None:
    """Say which version answered INFERENCE_ID, and what that version was made from.

    INFERENCE_ID is the id of a row that was sent, or of a request: its X-Amzn-SageMaker-Inference-Id, or the eventId of
    its capture. Rows come first. The latest answer counts if something was sent more than once.
    """
    if hour is not None and day is None:
        raise click.UsageError("--hour needs --date")
    cloud = Cloud.of_environment()
    deployed = _model(cloud, model)
    answers = _answers(cloud, deployed, inference_id, f"{day:%Y-%m-%d}" if day else None)
    if answers:
        _tell_row(cloud, deployed, answers, as_json)
    else:
        hours = _hours(cloud, day, hour)
        _tell_request(cloud, deployed, inference_id, find_request(cloud, deployed, inference_id, hours), hours, as_json)


def _tell_row(cloud: Cloud, model: Model, answers: Sequence[Answer], as_json: bool) -> None:
    found = [(answer, asked_row(cloud, model, answer)) for answer in answers]
    answer, capture = max(found, key=lambda pair: pair[1].inference_time if pair[1] else _NEVER)
    label = _labels(cloud, model, [answer]).get(answer.id)
    champion, made = _version(cloud, model.name, capture)
    if as_json:
        row = {"model": model.name, **_row(answer, label), "capture": capture and capture.as_dict()}
        _print_json(row, champion, made)
        return
    lines = [("row", f"{answer.id} of {model.name}, event at {answer.time}"), ("answer", _said(answer, label))]
    if capture:
        lines += _captured(capture)
    else:
        lines.append(("captured", "the capture object has been deleted, so the version that answered is not known"))
    _print(lines, made)


def _tell_request(
    cloud: Cloud, model: Model, request_id: str, search: Search, hours: Sequence[datetime], as_json: bool
) -> None:
    """Raises ClickException if nothing was found."""
    capture = search.capture
    if capture is None:
        raise click.ClickException(_not_found(cloud, model, request_id, search, hours))
    answers, refused = capture.answers(model.schema)
    labels = _labels(cloud, model, answers)
    champion, made = _version(cloud, model.name, capture)
    if as_json:
        told = {
            "model": model.name, "inference_id": capture.inference_id or None,
            "rows": [_row(answer, labels.get(answer.id)) for answer in answers], "refused": refused,
            "unreadable_records": search.unreadable, "capture": capture.as_dict(),
        }  # fmt: skip
        _print_json(told, champion, made)
        return
    named = f"inference id {plain(capture.inference_id)}, " if capture.inference_id else ""
    lines = [("request", f"{named}event {capture.event_id} of {model.name}"), *_captured(capture)]
    rows = [f"{answer.id}, event at {answer.time}: {_said(answer, labels.get(answer.id))}" for answer in answers]
    lines += [("" if place else "rows", row) for place, row in enumerate(rows)]
    lines += [("" if place else "refused", plain(reason)) for place, reason in enumerate(refused)]
    if search.unreadable:
        lines.append(("skipped", f"{search.unreadable} records that cannot be read"))
    _print(lines, made)


def _row(answer: Answer, label: int | None) -> dict[str, Any]:
    return {"id": answer.id, "time": answer.time, "score": answer.score, "label": label}


def _said(answer: Answer, label: int | None) -> str:
    return f"{answer.score:.6f}; {'no label yet' if label is None else f'the label is {label}'}"


def _captured(capture: Capture) -> list[Line]:
    return [("captured", f"{stamp(capture.inference_time)}, record {capture.event_id}"), ("", capture.uri)]


def _print_json(told: dict[str, Any], champion: Champion | None, made: Lineage | None) -> None:
    since = {"served_since": champion and iso(champion.since)}
    click.echo(json.dumps({**told, **since, **(made.as_dict() if made else {"version": None})}, indent=1))


def _print(lines: Sequence[Line], made: Lineage | None) -> None:
    for name, text in [*lines, *(made.lines() if made else [])]:
        click.echo(f"{name:{_LABEL}}{text}")


def _hours(cloud: Cloud, day: datetime | None, hour: int | None) -> list[datetime]:
    """Hours whose captures are searched. One more than was asked for: a record may be kept with those after it."""
    if day is None:
        last = cloud.now().astimezone(UTC)
        return [last - _HOUR * back for back in range(_HOURS, -1, -1)]
    first, count = (day, _HOURS) if hour is None else (day + _HOUR * hour, 1)
    return [first + _HOUR * place for place in range(count + 1)]


def _not_found(cloud: Cloud, model: Model, request_id: str, search: Search, hours: Sequence[datetime]) -> str:
    """What was searched, and what to try."""
    share = model.spec["serving"]["capture"]
    unreadable = f"; {search.unreadable} records there cannot be read" if search.unreadable else ""
    kept = f"; {share:.0%} of the requests are captured" if share < 1 else ""
    return (
        f"no row {request_id!r} of these dates was counted for {model.name}, and no request of this id is among the "
        f"{search.objects} objects from {hours[0]:%Y-%m-%d %H}h to {hours[-1]:%Y-%m-%d %H}h in "
        f"{captures(cloud, model)}{unreadable}{kept}; say when it was sent: --date, and for a request --hour"
    )


def _version(cloud: Cloud, model: str, capture: Capture | None) -> tuple[Champion | None, Lineage | None]:
    """The version that served then, and what it was made from."""
    before = [
        champion
        for champion in cloud.ledger.served(model)
        # Records know whole seconds only.
        if capture and champion.since.replace(microsecond=0) <= capture.inference_time
    ]
    return (before[-1], lineage(cloud, model, before[-1].package_arn)) if before else (None, None)


def _model(cloud: Cloud, name: str | None) -> Model:
    if name is not None:
        return cloud.model(name)
    deployed, _ = cloud.models.all()
    if len(deployed) != 1:
        if not deployed:
            raise click.ClickException(f"no model is deployed to {cloud.place}; deploy the stacks first")
        raise click.ClickException(f"say which --model: {', '.join(model.name for model in deployed)}")
    return deployed[0]


def _answers(cloud: Cloud, model: Model, row_id: str, day: str | None) -> list[Answer]:
    """All of the last date that has any."""
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
    return []


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


def _labels(cloud: Cloud, model: Model, answers: Collection[Answer]) -> dict[str, int]:
    """Id -> what came of it, as far as labels say. Each labelled file is read once, however many rows are asked for."""
    bucket, schema = cloud.bucket("live"), model.schema
    found: dict[str, dict[str, int]] = {}
    for day in sorted({answer.time[:10] for answer in answers}):
        ids = {answer.id for answer in answers if answer.time[:10] == day}
        for key in cloud.objects.keys(bucket, f"labelled/{model.name}/{day}/"):
            content = cloud.objects.read(bucket, key)
            if any(id_.encode() in content for id_ in ids):
                columns = read_outcomes(schema, content)
                rows = zip(*(columns[name].tolist() for name in (schema.id, OBJECT, schema.label)), strict=True)
                for id_, upload, label in (row for row in rows if row[0] in ids):
                    # The object sorts by its upload.
                    found.setdefault(id_, {})[upload] = int(label)
    return {id_: labels[max(labels)] for id_, labels in found.items()}
