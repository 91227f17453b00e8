"""Data sets that versions were made from: what is in one, how two differ, and who learned from a row."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from driftloop.cli.cloud import Cloud
from driftloop.cli.lineage import SOUND, DataSet, data_sets

_THREADS = 16
_SHORTEST = 6
"""Digits of a hash or an execution id that are enough."""


@click.group()
def data() -> None:
    """Data sets that versions were made from."""


@data.command()
@click.argument("model")
@click.argument("dataset", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON instead: one manifest a line.")
def show(model: str, dataset: str | None, as_json: bool) -> None:
    """List the data sets of MODEL, oldest first; or show DATASET, the start of a manifest's hash or an execution's id."""
    cloud = _cloud(model)
    found = data_sets(cloud, model)
    chosen = [_find(found, dataset)] if dataset else found
    for one in chosen:
        if as_json:
            click.echo(json.dumps(one.as_dict()))
        elif dataset is None:
            click.echo(_line(one))
        else:
            for line in _lines(one):
                click.echo(line)


@data.command()
@click.argument("model")
@click.argument("before")
@click.argument("after")
@click.option("--json", "as_json", is_flag=True, help="JSON instead.")
def diff(model: str, before: str, after: str, as_json: bool) -> None:
    """Say how data set AFTER of MODEL differs from BEFORE: windows, rows, model file, and the objects they were read from."""
    found = data_sets(_cloud(model), model)
    old, new = _find(found, before), _find(found, after)
    difference = _difference(old, new)
    if as_json:
        click.echo(json.dumps(difference, indent=1))
        return
    for name, (was, now) in difference["changed"].items():
        click.echo(f"{name}: {was} -> {now}")
    for what in ("added", "removed", "rewritten"):
        keys = difference["sources"][what]
        click.echo(f"{len(keys)} objects {what}{': ' if keys else ''}{', '.join(keys[:3])}{' ...' if keys[3:] else ''}")
    click.echo(f"{difference['sources']['same']} objects are the same")


@data.command()
@click.argument("model")
@click.argument("row")
@click.option("--json", "as_json", is_flag=True, help="JSON instead.")
def trace(model: str, row: str, as_json: bool) -> None:
    """Say which labelled objects hold ROW, an id, and which data sets of MODEL were read from them as they are now."""
    cloud = _cloud(model)
    objects = _holding(cloud, model, row)
    if not objects:
        raise click.ClickException(f"no labelled or imported row of {model} has the id {row!r}")
    learned = [
        one for one in data_sets(cloud, model)
        if any((source["bucket"], source["key"]) in objects for source in one.manifest["sources"])
    ]  # fmt: skip
    if as_json:
        uris = [f"s3://{bucket}/{key}" for bucket, key in objects]
        sets = [{"execution": one.execution, "manifest_sha256": one.hash, "uri": one.uri} for one in learned]
        click.echo(json.dumps({"model": model, "row": row, "objects": uris, "data_sets": sets}, indent=1))
        return
    for bucket, key in objects:
        click.echo(f"in    s3://{bucket}/{key}")
    for one in learned:
        click.echo(f"read  {_line(one)}")
    if not learned:
        click.echo("read  by no data set")


def _cloud(model: str) -> Cloud:
    cloud = Cloud.of_environment()
    cloud.model(model)
    return cloud


def _find(found: list[DataSet], digits: str) -> DataSet:
    """Raises ClickException unless one data set is meant."""
    if len(digits) < _SHORTEST:
        raise click.ClickException(
            f"{digits!r} is too short: write {_SHORTEST} or more digits of a hash or an execution"
        )
    chosen = [one for one in found if one.hash.startswith(digits) or one.execution.startswith(digits)]
    # Runs that were asked for again on the same rows have made the same data set.
    if len(chosen) == 1 or (chosen and len({one.hash or one.execution for one in chosen}) == 1):
        return chosen[0]
    if chosen:
        meant = ", ".join(f"{one.hash[:12]} ({one.execution})" if one.hash else one.execution for one in chosen)
        raise click.ClickException(f"{digits} is the start of {meant}")
    ids = [text for one in found for text in (one.hash, one.execution)]
    close = difflib.get_close_matches(digits, [text[: len(digits)] for text in ids], n=1, cutoff=0.0)
    full = next(text for text in ids if text.startswith(close[0]))
    raise click.ClickException(
        f"no data set has a hash or an execution that begins with {digits}; the closest is {full}"
    )


def _line(one: DataSet) -> str:
    changed = "" if one.state == SOUND else f"; {one.state}"
    return (
        f"{one.hash[:12]}  {one.execution}  {one.window('training')}: {one.rows('training')} rows; "
        f"holdout to {one.manifest['windows']['holdout']['end']}: {one.rows('holdout')}{changed}"
    )


def _lines(one: DataSet) -> Iterator[str]:
    yield f"manifest  {one.hash}, {one.state}"
    yield f"          {one.uri}"
    for part in ("training", "holdout"):
        yield f"{part:10}{one.window(part)}: {one.rows(part)} rows"
    sources = one.manifest["sources"]
    yield f"sources   {len(sources)} objects, {sum(source['size'] for source in sources):,} bytes"
    for source in sources:
        yield f"  {source['sha256'][:12]}  {source['size']:>10,}  s3://{source['bucket']}/{source['key']}"


def _difference(old: DataSet, new: DataSet) -> dict[str, Any]:
    facts = [_facts(one) for one in (old, new)]
    before, after = (_sources(one.manifest) for one in (old, new))
    both = before.keys() & after.keys()
    rewritten = sorted(uri for uri in both if before[uri] != after[uri])
    return {
        "before": old.hash,
        "after": new.hash,
        "changed": {name: [facts[0][name], facts[1][name]] for name in facts[0] if facts[0][name] != facts[1][name]},
        "sources": {
            "added": sorted(after.keys() - before.keys()),
            "removed": sorted(before.keys() - after.keys()),
            "rewritten": rewritten,
            "same": len(both) - len(rewritten),
        },
    }


def _facts(one: DataSet) -> dict[str, str | int]:
    parts = ("training", "holdout")
    windows = {part: one.window(part) for part in parts}
    rows = {f"{part} rows": one.rows(part) for part in parts}
    return {**windows, **rows, "model file": str(one.manifest.get("spec_sha256", ""))}


def _sources(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {f"s3://{source['bucket']}/{source['key']}": source["sha256"] for source in manifest["sources"]}


def _holding(cloud: Cloud, model: str, row: str) -> list[tuple[str, str]]:
    """(bucket, key) of labelled objects and history files with a row of this id."""
    places = [(cloud.bucket("live"), f"labelled/{model}/"), (cloud.bucket("curated"), f"history/{model}/")]
    objects = [(bucket, key) for bucket, prefix in places for key in cloud.objects.keys(bucket, prefix)]
    with ThreadPoolExecutor(_THREADS) as pool:
        held = pool.map(lambda place: _has(cloud.objects.read(*place), row), objects)
        return [place for place, found in zip(objects, held, strict=True) if found]


def _has(content: bytes, row: str) -> bool:
    """True if a line has the id among its first two cells: first in history, behind the object where labels were joined."""
    if row.encode() not in content:
        return False
    return any(row in cells for cells in (line.split(",", 2)[:2] for line in content.decode().splitlines()[1:]))
