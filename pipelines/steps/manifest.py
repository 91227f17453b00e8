"""The manifest: what a data set was made from, for which windows, and the hashes that prove it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from driftloop.data.manifests import HASH, content_hash, digest
from driftloop.data.windows import Window, iso

FORMAT = 1


def build_manifest(
    spec: Mapping[str, Any],
    windows: Mapping[str, Window],
    sources: list[dict[str, Any]],
    files: Mapping[str, Any],
    labels: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The manifest of a data set, with the hash of its own canonical content. ``labels`` says how many predictions have one."""
    content = {
        "format": FORMAT,
        "model": spec["name"],
        "spec_sha256": _spec_hash(spec),
        "windows": _plain(windows),
        "sources": sorted(sources, key=lambda source: (source["bucket"], source["key"])),
        "files": files,
        "labels": labels or {},
    }
    return {**content, HASH: content_hash(content)}


def manifest_faults(
    manifest: Mapping[str, Any], spec: Mapping[str, Any], windows: Mapping[str, Window]
) -> Iterator[str]:
    """Why this manifest does not belong to this run, in words."""
    if manifest.get(HASH) != content_hash(manifest):
        yield "the manifest does not have the content that its hash was made of"
    if manifest.get("spec_sha256") != _spec_hash(spec):
        yield "the data set was made with another model file"
    if manifest.get("windows") != _plain(windows):
        yield "the data set was made for other windows"


def _plain(windows: Mapping[str, Window]) -> dict[str, dict[str, str]]:
    return {name: {"start": iso(window.start), "end": iso(window.end)} for name, window in windows.items()}


def _spec_hash(spec: Mapping[str, Any]) -> str:
    # In the file's own order, because that of the features is the order of the payload.
    return digest(json.dumps(spec, separators=(",", ":")).encode())
