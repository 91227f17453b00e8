"""A small model and its traffic, for tests: one category, one number, a week of rows."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from driftloop.data.schema import Columns
from driftloop.monitoring.baseline import Baseline, Windowing, build_baseline
from driftloop.ports import Champion, Deployment, Model, Package, Resources
from driftloop.retraining.episode import Episode, Request, Status, Trigger, open_episode
from driftloop.spec.model import ModelSpec

NAME = "late_train"
BASE = "driftloop-late-train"
START = datetime(2026, 3, 2, tzinfo=UTC)
LIVE, ARTIFACTS = "live-bucket", "artifact-bucket"
BASELINE_KEY = f"evaluations/{NAME}/1/baseline.json"
BASELINE_URI = f"s3://{ARTIFACTS}/{BASELINE_KEY}"
ROLE = "arn:aws:iam::123456789012:role/driftloop-late-train-serving-eu-central-1"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sklearn:1"
GROUP_ARN = f"arn:aws:sagemaker:eu-central-1:123456789012:model-package/{BASE}"


def raw_spec(**parts: Any) -> dict[str, Any]:
    """A model file as plain values; parts are merged over the default ones."""
    raw: dict[str, Any] = {
        "name": NAME,
        "owner": "ops@example.com",
        "task": "binary_classification",
        "data": {
            "id": "trip",
            "time": "departure",
            "label": "late",
            "label_delay": "12h",
            "features": {"line": "category", "delay": {"type": "number", "range": [0, 100]}},
        },
        "monitoring": {"window": "1d", "min_rows": 20, "smoothing": 2},
        "retraining": {"on": ["drift", "quality"], "cooldown": "3d", "budget": {"per_month": 2}},
    }
    return {
        key: {**raw.get(key, {}), **value} if isinstance(value, dict) else value for key, value in parts.items()
    } | {key: value for key, value in raw.items() if key not in parts}


def spec(**parts: Any) -> dict[str, Any]:
    """A compiled model file."""
    return ModelSpec.model_validate(raw_spec(**parts)).compiled()


def model(name: str = NAME, **parts: Any) -> Model:
    """A deployed model."""
    base = f"driftloop-{name.replace('_', '-')}"
    return Model(name, spec(name=name, **parts), Resources(base, base, base, ROLE, IMAGE))


SCHEMA = model().schema


def traffic(rows: int, start: datetime = START, days: float = 1, seed: int = 0, shift: float = 0.0) -> Columns:
    """Payload columns, scores and labels of calibrated predictions, evenly spread over some days."""
    rng = np.random.default_rng(seed)
    seconds = (np.arange(rows) * days * 86400 / rows).astype("timedelta64[s]")
    score = np.clip(rng.beta(2, 5, rows), 0.01, 0.99)
    return {
        "trip": np.array([f"t{start:%j}-{seed}-{number}" for number in range(rows)], dtype=object),
        "departure": np.datetime64(start.replace(tzinfo=None), "s") + seconds,
        "line": rng.choice(["north", "south", "east"], rows, p=[0.5, 0.3, 0.2]).astype(object),
        "delay": np.round(rng.gamma(2.0, 5.0, rows) + shift, 3),
        "score": np.round(score, 6),
        "late": (rng.random(rows) < score).astype(np.int8),
    }


def baseline() -> Baseline:
    """A baseline from a month of the same world as ``traffic``."""
    columns = traffic(6000, days=30, seed=99)
    return build_baseline(SCHEMA, columns, columns, {"line": 1.0, "delay": 3.0}, Windowing(86400, 20, 2, 0.01, 7))


def payload(columns: Columns, rows: Sequence[int]) -> str:
    """Request text of some rows."""
    lines = []
    for row in rows:
        delay = columns["delay"][row]
        cells = [columns["trip"][row], f"{columns['departure'][row]}Z", columns["line"][row], delay]
        lines.append(",".join(map(str, cells)))
    return "\n".join(lines)


def record(inputs: str, outputs: str, encoding: str = "CSV") -> bytes:
    """One line of a capture file."""

    def part(mode: str, text: str) -> dict[str, str]:
        data = base64.b64encode(text.encode()).decode() if encoding == "BASE64" else text
        return {"observedContentType": "text/csv", "mode": mode, "data": data, "encoding": encoding}

    meta = {"eventId": "6e8d62c3-1111-2222-3333-444455556666", "inferenceTime": "2026-03-02T10:00:00Z"}
    capture = {"endpointInput": part("INPUT", inputs), "endpointOutput": part("OUTPUT", outputs)}
    return json.dumps({"captureData": capture, "eventMetadata": meta, "eventVersion": "0"}).encode() + b"\n"


def capture(columns: Columns, per_record: int = 7) -> bytes:
    """A capture file of all rows, some rows a record."""
    rows = range(len(columns["trip"]))
    chunks = [rows[place : place + per_record] for place in rows[::per_record]]
    return b"".join(record(payload(columns, c), "\n".join(str(columns["score"][r]) for r in c)) for c in chunks)


def label_line(row_id: str, label: object) -> bytes:
    """One line of a ground truth file."""
    data = {"data": str(label), "encoding": "CSV"}
    value = {"groundTruthData": data, "eventMetadata": {"eventId": row_id}, "eventVersion": "0"}
    return json.dumps(value).encode() + b"\n"


def labels(columns: Columns) -> bytes:
    """A ground truth file for all rows."""
    return b"".join(label_line(i, v) for i, v in zip(columns["trip"], columns["late"].tolist(), strict=True))


def request(trigger: Trigger = Trigger.DRIFT, cause: str = "alarm@1", at: datetime = START) -> Request:
    """Somebody asks for a retraining."""
    return Request(NAME, trigger, cause, "threshold crossed", at)


def episode(status: Status = Status.REQUESTED, at: datetime = START, cause: str = "alarm@1") -> Episode:
    """An episode that was opened in a status."""
    return open_episode(request(cause=cause, at=at), status, "start")


def package(version: int = 1, episode_id: str = "", approval: str = "Approved") -> Package:
    """A registered version."""
    properties = {"baseline_uri": BASELINE_URI, "episode_id": episode_id}
    return Package(
        f"{GROUP_ARN}/{version}", BASE, version, approval, IMAGE, f"s3://{ARTIFACTS}/m{version}.tar.gz",
        {"SAGEMAKER_PROGRAM": "inference.py"}, properties,
    )  # fmt: skip


def champion(
    version: int = 1, since: datetime = START - timedelta(days=40), previous: Champion | None = None
) -> Champion:
    """A version that serves."""
    return Champion(version, f"{GROUP_ARN}/{version}", BASELINE_URI, f"{BASE}-v{version}", since, previous)


def deployment(version: int = 1, phase: str = "updating", episode_id: str = "") -> Deployment:
    """A rollout."""
    return Deployment(version, f"{GROUP_ARN}/{version}", BASELINE_URI, f"{BASE}-v{version}", episode_id, START, phase)
