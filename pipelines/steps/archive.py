"""Model archives: write their content, and read them without trusting their paths."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib

from driftloop.data.archives import ArchiveError, extract_archive
from pipelines.steps.inference import MODEL, SPEC, Predictor
from pipelines.steps.record import TRAINING
from pipelines.steps.step import StepError

ARCHIVE = "model.tar.gz"
BASELINE = "baseline.json"
"""Member that says what live traffic is compared with."""

_CODE = {
    "inference.py": ("pipelines.steps", "inference.py"),
    "driftloop/__init__.py": ("driftloop", "__init__.py"),
    "driftloop/data/__init__.py": ("driftloop.data", "__init__.py"),
    "driftloop/data/parsing.py": ("driftloop.data", "parsing.py"),
    "driftloop/data/schema.py": ("driftloop.data", "schema.py"),
}
"""Path below code/ in the archive -> where the file comes from: what inference.py imports, and nothing else."""


def write_content(
    folder: Path, spec: Mapping[str, Any], predictor: Predictor, baseline: bytes, record: Mapping[str, Any]
) -> None:
    """Write the files that SageMaker packs into the archive when the job ends."""
    for name, (package, file) in _CODE.items():
        target = folder / "code" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(importlib.resources.files(package).joinpath(file).read_bytes())
    # Plain values around the classifier: an archive must open under later versions of this code.
    joblib.dump({"classifier": predictor.classifier, "categories": predictor.categories}, folder / MODEL)
    (folder / SPEC).write_text(json.dumps(spec, indent=1))
    (folder / BASELINE).write_bytes(baseline)
    (folder / TRAINING).write_text(json.dumps(record, indent=1, sort_keys=True))


def extract(content: bytes, folder: Path, source: str) -> None:
    """Extract a model archive; links, devices and paths that lead out are refused. Raises StepError."""
    try:
        extract_archive(content, folder)
    except ArchiveError as error:
        raise StepError(f"{source} is not a model archive that can be opened safely: {error}") from error
