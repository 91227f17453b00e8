"""Model archives: read them without trusting their paths."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from pipelines.steps.step import StepError

ARCHIVE = "model.tar.gz"
BASELINE, TRAINING = "baseline.json", "training.json"
"""Members that say what the version was made from."""


def extract(content: bytes, folder: Path, source: str) -> None:
    """Extract a model archive; absolute paths, links that lead out and devices are refused. Raises StepError."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise StepError(f"{source} is not a model archive that can be opened safely: {error}") from error
