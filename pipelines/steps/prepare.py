"""Step 1: promote labelled rows from live and history data to a data set that a manifest pins.

Identifiers stay behind: the id is replaced by a keyed hash, whose key can be computed only by who can read all the
sources. The same sources, windows and model file give the same data set and the same manifest.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import boto3
import numpy as np
from botocore.config import Config

from driftloop.data.manifests import MANIFEST, digest
from driftloop.data.parsing import to_columns
from driftloop.data.rows import OBJECT, concatenate, latest_upload, select
from driftloop.data.schema import Columns, Schema
from driftloop.data.tables import ROWS, write_table
from driftloop.data.windows import Window, iso
from pipelines.steps.coverage import Days, count_labels
from pipelines.steps.manifest import build_manifest
from pipelines.steps.region import region
from pipelines.steps.sources import (
    THREADS,
    Source,
    contents,
    list_predictions,
    list_sources,
    parse,
    parse_predictions,
)
from pipelines.steps.step import StepError, add_instants, add_paths, arguments, read_spec, run, say

_OUTPUT = "/opt/ml/processing/output"


def parser() -> argparse.ArgumentParser:
    """The step's arguments."""
    options = arguments("prepare", __doc__)
    options.add_argument("--live-bucket", required=True)
    options.add_argument("--curated-bucket", required=True)
    add_instants(options, "window-start", "window-end", "holdout-end")
    add_paths(options, training=f"{_OUTPUT}/training", holdout=f"{_OUTPUT}/holdout", manifest=f"{_OUTPUT}/manifest")
    return options


def main(argv: list[str]) -> int:
    """Command line; exit status."""
    return run(prepare, parser().parse_args(argv))


def prepare(args: argparse.Namespace) -> None:
    """Read, cut, write. Raises StepError."""
    spec = read_spec(args.spec)
    schema = Schema.from_spec(spec)
    windows = {
        "training": Window(args.window_start, args.window_end),
        "holdout": Window(args.window_end, args.holdout_end),
    }
    _check_order(windows)
    days = Window(args.window_start, args.holdout_end).dates()
    s3 = boto3.client("s3", region_name=region(), config=Config(max_pool_connections=THREADS))
    sources = list_sources(s3, args.live_bucket, args.curated_bucket, spec["name"], days)
    say(f"prepare: {len(sources)} source files for {days[0]} to {days[-1]}")
    rows, salt, listed = _read(s3, schema, sources)
    files = {}
    for name, window in windows.items():
        chosen = _anonymous(schema, window.rows(rows, schema.time), salt)
        content = write_table(schema, chosen)
        _write(getattr(args, name) / ROWS, content)
        files[f"{name}/{ROWS}"] = {"rows": len(chosen[schema.id]), "sha256": digest(content)}
        say(f"prepare: {name} {iso(window.start)} to {iso(window.end)}: {len(chosen[schema.id])} rows")
    labels = _coverage(s3, schema, args.live_bucket, spec["name"], windows["holdout"], rows)
    manifest = build_manifest(spec, windows, listed, files, labels)
    _write(args.manifest / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())
    say(f"prepare: manifest {manifest['manifest_sha256']}")


def _read(s3: Any, schema: Schema, sources: list[Source]) -> tuple[Columns, bytes, list[dict[str, Any]]]:
    """One row per id, the key for the ids, and what the manifest says about the sources."""
    salt, parts, listed = hashlib.sha256(b"driftloop row id"), [_no_rows(schema)], []
    for source, content in contents(s3, sources):
        salt.update(content)
        parts.append(parse(schema, source, content))
        place = {"origin": source.origin, "bucket": source.bucket, "key": source.key}
        listed.append({**place, "size": len(content), "sha256": digest(content)})
    return _one_per_id(schema, concatenate(parts)), salt.digest(), listed


def _coverage(s3: Any, schema: Schema, bucket: str, model: str, window: Window, rows: Columns) -> Days:
    """How many predictions of a window have labels; none are known of what was imported."""
    labelled = set(rows[schema.id].tolist())
    asked = (
        window.rows(parse_predictions(schema, source, content), schema.time)
        for source, content in contents(s3, list_predictions(s3, bucket, model, window.dates()))
    )
    return count_labels(schema, asked, labelled)


def _check_order(windows: dict[str, Window]) -> None:
    for name, window in windows.items():
        if window.start >= window.end:
            raise StepError(f"the {name} window {iso(window.start)} to {iso(window.end)} is empty; swap its ends")


def _no_rows(schema: Schema) -> Columns:
    return to_columns(schema, []) | {schema.label: np.array([], dtype=np.int8), OBJECT: np.array([], dtype=object)}


def _one_per_id(schema: Schema, rows: Columns) -> Columns:
    """Of several rows with one id the one whose label was uploaded last counts; imported history is older than all."""
    found = len(rows[schema.id])
    kept = latest_upload(rows, schema.id) if found else rows
    say(f"prepare: {found} rows read, {found - len(kept[schema.id])} of them repeat an id")
    return kept


def _anonymous(schema: Schema, rows: Columns, salt: bytes) -> Columns:
    hashed = [hmac.digest(salt, row_id.encode(), "sha256")[:16].hex() for row_id in rows[schema.id].tolist()]
    ids = np.array(hashed, dtype=object)
    # The order must not hang on the key, or the same rows from other files would train another model.
    order = np.lexsort((rows[schema.id].astype(str), rows[schema.time]))
    return select(rows | {schema.id: ids}, order)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
