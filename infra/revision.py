"""What a version would be trained from now: a name that changes when a retraining would make another version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

LENGTH = 12
"""Hexadecimal digits; revisions are compared with the one before only."""
_HOW_FAST = ("instance", "max_runtime")
"""Keys of ``training`` that change the bill and not the version."""


def training_revision(code: str, compiled: Mapping[str, Any]) -> str:
    """Short hash of the steps' code and of the parts of a compiled model file that training depends on.

    Gate, serving, monitoring and retraining are left out: they can be changed without another version.

    Args:
        code: hash of the published code of the pipeline's steps.
    """
    training = {key: value for key, value in compiled["training"].items() if key not in _HOW_FAST}
    # The order of the features is the order of the payload, so keys stay as they are.
    parts = json.dumps([code, compiled["task"], compiled["data"], training], separators=(",", ":"))
    return hashlib.sha256(parts.encode()).hexdigest()[:LENGTH]
