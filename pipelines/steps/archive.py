"""Model archives: read them without trusting their paths."""

from __future__ import annotations

from pathlib import Path

from driftloop.data.archives import ArchiveError, extract_archive
from pipelines.steps.step import StepError

ARCHIVE = "model.tar.gz"
BASELINE, TRAINING = "baseline.json", "training.json"
"""Members that say what the version was made from."""


def extract(content: bytes, folder: Path, source: str) -> None:
    """Extract a model archive; links, devices and paths that lead out are refused. Raises StepError."""
    try:
        extract_archive(content, folder)
    except ArchiveError as error:
        raise StepError(f"{source} is not a model archive that can be opened safely: {error}") from error
