"""Served quality against the first version, which is never retrained, on the same rows."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.data.archives import extract_archive
from driftloop.data.windows import iso
from driftloop.demo.replay import Traffic
from driftloop.demo.stage import Stage
from driftloop.monitoring.statistics import Floats, auc, log_loss
from driftloop.names import ModelNames
from driftloop.twin.model_process import ModelServer
from driftloop.twin.storage import split_uri

_BATCH = 20_000
_PATH = "/usr/bin:/bin"


def static_scores(stage: Stage, model: str, traffic: Traffic, folder: Path) -> Floats:
    """Scores of the first version for all rows, by the code that is in its archive."""
    packages = stage.client("sagemaker").list_model_packages(
        ModelPackageGroupName=ModelNames(model).base, SortBy="CreationTime", SortOrder="Ascending"
    )["ModelPackageSummaryList"]
    first = next(p for p in packages if p["ModelPackageVersion"] == 1)
    described = stage.client("sagemaker").describe_model_package(ModelPackageName=first["ModelPackageArn"])
    container = described["InferenceSpecification"]["Containers"][0]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    bucket, key = split_uri(container["ModelDataUrl"])
    extract_archive(stage.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read(), folder / "model")
    server = ModelServer(folder, {"PATH": _PATH, "SAGEMAKER_PROGRAM": container["Environment"]["SAGEMAKER_PROGRAM"]})
    try:
        server.wait_ready()
        return np.concatenate([_score(server, traffic.lines[i : i + _BATCH]) for i in range(0, len(traffic), _BATCH)])
    finally:
        server.stop()


def _score(server: ModelServer, lines: list[str]) -> Floats:
    reply = server.invoke("text/csv", "text/csv", "\n".join(lines).encode())
    if reply.status != 200:
        raise RuntimeError(f"the first version answered {reply.status}: {reply.body[:300]!r}")
    return np.array([float(line) for line in reply.body.split()])


def daily_quality(traffic: Traffic, served: Floats, static: Floats) -> list[dict[str, Any]]:
    """Both versions' quality by day of departure (UTC), over the rows that were served."""
    days: dict[datetime, list[int]] = {}
    for hour, rows in traffic.bounds.items():
        days.setdefault(hour.astimezone(UTC).replace(hour=0), []).extend(range(*rows))
    windows = []
    for day, members in sorted(days.items()):
        chosen = np.array([row for row in members if not np.isnan(served[row])])
        if len(chosen):
            labels = traffic.labels[chosen]
            windows.append(
                {
                    "window_start": iso(day),
                    "rows": len(chosen),
                    "served": quality(labels, served[chosen]),
                    "static": quality(labels, static[chosen]),
                }
            )
    return windows


def quality(labels: np.ndarray[Any, Any], scores: Floats) -> dict[str, float | None]:
    """Log-loss in nats per row, and AUC where both classes occur."""
    area = auc(labels, scores)
    return {"log_loss": round(log_loss(labels, scores), 6), "auc": None if area is None else round(area, 6)}
