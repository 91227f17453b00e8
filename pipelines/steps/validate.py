"""Step 2: refuse a data set that a model must not learn from. All faults are collected before the step fails."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.data.manifests import MANIFEST, digest
from driftloop.data.parsing import BadRowError
from driftloop.data.schema import Columns, Feature, Schema
from driftloop.data.tables import ROWS, read_table
from driftloop.data.windows import Window, iso, to_numpy
from driftloop.monitoring.calibration import blocks_needed
from pipelines.steps.conflicts import conflict_faults
from pipelines.steps.coverage import coverage_faults
from pipelines.steps.leakage import leakage_faults
from pipelines.steps.manifest import manifest_faults
from pipelines.steps.out_of_time import fold_starts
from pipelines.steps.step import StepError, add_instants, add_paths, arguments, only_file, read_spec, run, say

MAX_UNREAL = 0.01
"""Share of known values outside the model file's range above which a feature is taken as broken."""
_INPUT = "/opt/ml/processing/input"


def parser() -> argparse.ArgumentParser:
    """The step's arguments."""
    options = arguments("validate", __doc__)
    add_instants(options, "window-start", "window-end", "holdout-end")
    add_paths(options, training=f"{_INPUT}/training", holdout=f"{_INPUT}/holdout", manifest=f"{_INPUT}/manifest")
    return options


def main(argv: list[str]) -> int:
    """Command line; exit status."""
    return run(validate, parser().parse_args(argv))


def validate(args: argparse.Namespace) -> None:
    """Check both parts and the manifest. Raises StepError with every fault."""
    spec = read_spec(args.spec)
    schema = Schema.from_spec(spec)
    needed = {"training": spec["training"]["min_rows"], "holdout": spec["monitoring"]["min_rows"]}
    windows = {
        "training": Window(args.window_start, args.window_end),
        "holdout": Window(args.window_end, args.holdout_end),
    }
    manifest = _manifest(args.manifest)
    faults, ids = list(manifest_faults(manifest, spec, windows)), {}
    sound: dict[str, Columns] = {}
    for name, window in windows.items():
        content = only_file(getattr(args, name), ROWS)
        faults.extend(_content_faults(manifest, name, content))
        try:
            columns = read_table(schema, content)
        except BadRowError as error:
            faults.append(f"{name}: {error}")
            continue
        ids[name] = set(columns[schema.id].tolist())
        wrong = (
            *table_faults(schema, columns, window, needed[name]),
            *conflict_faults(schema, columns, spec["training"]["max_conflicts"]),
        )
        if name == "training":
            wrong = (*wrong, *window_faults(columns[schema.time], spec["monitoring"]))
        found = [f"{name}: {fault}" for fault in wrong]
        say(f"validate: {name} has {len(columns[schema.id])} rows and {len(found)} faults")
        faults.extend(found)
        if not found:
            sound[name] = columns
    late = coverage_faults(manifest.get("labels", {}), spec["training"]["label_coverage"], needed["holdout"])
    faults.extend(f"holdout: {fault}" for fault in late)
    if len(sound) == 2:
        faults.extend(leakage_faults(schema, sound["training"], sound["holdout"], spec["training"]["max_feature_auc"]))
    shared = ids["training"] & ids["holdout"] if len(ids) == 2 else set()
    if shared:
        faults.append(f"{len(shared)} ids are in the training and in the holdout rows")
    if faults:
        raise StepError(*faults)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(only_file(folder, MANIFEST))
    except ValueError as error:
        raise StepError(f"{folder / MANIFEST} is not JSON: {error}") from error
    return manifest


def _content_faults(manifest: dict[str, Any], name: str, content: bytes) -> Iterator[str]:
    listed = manifest.get("files", {}).get(f"{name}/{ROWS}", {})
    if listed.get("sha256") != digest(content):
        yield f"{name}: {ROWS} is not the file that the manifest lists"


def table_faults(schema: Schema, columns: Columns, window: Window, min_rows: int) -> Iterator[str]:
    """Everything that is wrong with one part of a data set, in words."""
    ids, times, labels = columns[schema.id], columns[schema.time], columns[schema.label]
    if len(ids) < min_rows:
        yield f"{len(ids)} rows, and at least {min_rows} are needed"
    if not len(ids):
        return
    repeated = len(ids) - len(set(ids.tolist()))
    if repeated:
        yield f"{repeated} rows repeat an id"
    outside = int(((times < to_numpy(window.start)) | (times >= to_numpy(window.end))).sum())
    if outside:
        yield f"{outside} rows lie outside {iso(window.start)} to {iso(window.end)}"
    classes = np.unique(labels).tolist()
    if len(classes) < 2:
        yield f"{schema.label} is {classes[0]} in all rows; both classes are needed"
    for feature in schema.features:
        yield from _feature_faults(feature, columns[feature.name])


def window_faults(times: np.ndarray[Any, Any], monitoring: Mapping[str, Any]) -> Iterator[str]:
    """Whether limits can be set: they are from windows with as many rows as one must have live, of those that are predicted
    out of time."""
    length, least = monitoring["window"], monitoring["min_rows"]
    days = times.astype("datetime64[D]")
    starts = fold_starts(days)
    if not starts:
        return
    times = times[days >= starts[0]]
    rows = np.unique(times.astype("datetime64[s]").astype(np.int64) // length, return_counts=True)[1]
    full, needed = int((rows >= least).sum()), blocks_needed(monitoring["smoothing"])
    if full < needed:
        yield (
            f"{full} of the last {len(rows)} windows of {length // 3600} h have monitoring.min_rows ({least}) rows (half of all have "
            f"{int(np.median(rows))} or more), and at least {needed} are needed to set limits for a monitoring.smoothing of "
            f"{monitoring['smoothing']}: lower min_rows or smoothing, or lengthen monitoring.window or training.window"
        )


def _feature_faults(feature: Feature, values: np.ndarray[Any, Any]) -> Iterator[str]:
    missing = values == "" if feature.is_category else np.isnan(values.astype(float))
    if missing.mean() > feature.max_missing:
        yield f"{feature.name} is missing in {missing.mean():.1%} of rows (max_missing {feature.max_missing:.1%})"
    if feature.is_category or missing.all():
        return
    known = values[~missing]
    if feature.low is not None and feature.high is not None:
        unreal = (known < feature.low) | (known > feature.high)
        if unreal.mean() > MAX_UNREAL:
            yield (
                f"{feature.name} lies outside {feature.low:g} to {feature.high:g} in {unreal.mean():.1%} of rows "
                f"(from {known.min():g} to {known.max():g})"
            )
    if feature.type == "integer":
        broken = known != np.round(known)
        if broken.any():
            yield f"{feature.name} is not a whole number in {int(broken.sum())} rows, e.g. {known[broken][0]:g}"
