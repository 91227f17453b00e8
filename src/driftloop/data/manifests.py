"""Manifests of data sets: what proves that one is as it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

MANIFEST = "manifest.json"
HASH = "manifest_sha256"
"""Field of a manifest with the hash of all others."""


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def content_hash(manifest: Mapping[str, Any]) -> str:
    """Hash of a manifest's content, whatever hash it says that it has."""
    content = {name: value for name, value in manifest.items() if name != HASH}
    return digest(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
