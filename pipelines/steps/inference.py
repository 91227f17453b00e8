"""Serve a version: text/csv rows in (id, time, features; no header), one probability per line out.

The same code scores in the evaluation step, so that what is compared is what will be served. It is copied into the
model archive, with the few modules of driftloop that it imports beside it.
"""

from __future__ import annotations

import atexit
import csv
import hashlib
import importlib
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np

from driftloop.data.parsing import BadRowError, parse_row, to_columns
from driftloop.data.schema import Columns, Schema

CSV = "text/csv"
MODEL, SPEC = "model.joblib", "spec.json"
Matrix = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Predictor:
    """A loaded version."""

    schema: Schema
    classifier: Any
    """A fitted classifier of the classes 0 and 1, as scikit-learn has them: its ``predict_proba`` is what is asked."""
    categories: dict[str, list[str]]
    """Known values of each category feature; their places are the codes."""


def model_fn(model_dir: str) -> Predictor:
    """Load a version from an extracted model archive."""
    folder = Path(model_dir)
    spec = json.loads((folder / SPEC).read_bytes())
    own_code(spec["training"])
    saved = joblib.load(folder / MODEL)
    return Predictor(Schema.from_spec(spec), saved["classifier"], saved["categories"])


def own_code(training: Mapping[str, Any]) -> ModuleType | None:
    """The model's own training code as a module, if it has any; its classifier may be of a class that is defined there.

    It is named by its content, so that two versions with different code can be loaded side by side.
    """
    source = training.get("source")
    if source is None:
        return None
    name = f"driftloop_training_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    if name not in sys.modules:
        # A file, because processes that its classifier starts have to import it as well.
        folder = tempfile.mkdtemp(prefix="driftloop-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        Path(folder, f"{name}.py").write_text(source, encoding="utf-8")
        sys.path.append(folder)
    return importlib.import_module(name)


def input_fn(body: str | bytes, content_type: str) -> _Request | _Refusal:
    """Rows of a request, read exactly as monitoring reads them; what cannot be read is refused with its row."""
    if content_type.partition(";")[0].strip().lower() != CSV:
        return _Refusal(415, f"content type {content_type!r} is not supported; send {CSV}")
    return _Request(body.decode("utf-8") if isinstance(body, bytes) else body)


def predict_fn(request: _Request | _Refusal, predictor: Predictor) -> Matrix | _Refusal:
    """Probability of label 1 of each row."""
    if isinstance(request, _Refusal):
        return request
    rows = []
    try:
        cells = csv.reader(io.StringIO(request.text, newline=""), strict=True)
        for number, row in enumerate((row for row in cells if row), start=1):
            try:
                rows.append(parse_row(predictor.schema, row))
            except BadRowError as error:
                return _Refusal(400, f"row {number}: {error}")
    except csv.Error as error:
        return _Refusal(400, f"not CSV: {error}")
    return score(predictor, to_columns(predictor.schema, rows)) if rows else np.empty(0)


def output_fn(scores: Matrix | _Refusal, accept: str) -> Any:
    """One probability per line."""
    if isinstance(scores, _Refusal):
        return scores.answer()
    return "".join(f"{value:.6f}\n" for value in scores.tolist()), CSV


def score(predictor: Predictor, columns: Columns) -> Matrix:
    """Probability of label 1 of each row of a table."""
    matrix = encode(predictor.schema, predictor.categories, columns)
    return probabilities(predictor.classifier, matrix)


def probabilities(classifier: Any, matrix: Matrix) -> Matrix:
    """Probability of label 1 of each row of encoded features. Raises ValueError if the answer has another shape."""
    # What somebody's own classifier does to its input must not reach the next one who asks.
    answers = np.asarray(classifier.predict_proba(matrix.copy()), dtype=float)
    if answers.shape != (len(matrix), 2):
        raise ValueError(
            f"predict_proba answered {len(matrix)} rows with an array of shape {answers.shape}; it needs one row for each, "
            "with the probabilities of the labels 0 and 1"
        )
    return np.asarray(answers[:, 1])


def encode(schema: Schema, categories: dict[str, list[str]], columns: Columns) -> Matrix:
    """Features as numbers, in order; categories as their codes, those that are rare or unknown as missing."""
    matrix = np.empty((len(columns[schema.features[0].name]), len(schema.features)))
    for place, feature in enumerate(schema.features):
        values = columns[feature.name]
        if feature.is_category:
            code = {value: float(number) for number, value in enumerate(categories[feature.name])}
            matrix[:, place] = [code.get(value, np.nan) for value in values.tolist()]
        else:
            matrix[:, place] = values
    return matrix


@dataclass(frozen=True)
class _Request:
    """Text of a request; only the model knows its columns, so it is parsed when it meets one."""

    text: str


@dataclass(frozen=True)
class _Refusal:
    """Why a request is not answered. It is handed on until it can be told: one of the toolkits makes 500 of any error."""

    status: int
    reason: str

    def answer(self) -> Any:
        """An answer of its own status: sagemaker-containers' response, or the error that sagemaker-inference knows."""
        containers = sys.modules.get("sagemaker_containers.beta.framework")
        if containers is not None:
            return containers.worker.Response(response=self.reason, status=self.status, mimetype="text/plain")
        from sagemaker_inference.errors import GenericInferenceToolkitError  # noqa: PLC0415 - only where it serves

        raise GenericInferenceToolkitError(self.status, self.reason)
