"""What a replay is worth: figures of one policy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from benchmarks.detection.replay import History
from benchmarks.detection.stream import Stream
from driftloop.data.windows import iso
from driftloop.monitoring.statistics import auc, log_loss
from driftloop.retraining.episode import Status


def delays(history: History, changes: Sequence[datetime]) -> list[int | None]:
    """Windows from each change to the first alarm, 1 for the window in which it happens; None if none came before the
    next change.
    """
    found: list[int | None] = []
    for change, following in zip(changes, [*changes, None][1:], strict=True):
        places = [
            place
            for place, window in enumerate(history.windows)
            if window.end > change and (following is None or window.end <= following)
        ]
        first = next((count for count, place in enumerate(places, start=1) if history.alarms[place]), None)
        found.append(first)
    return found


def figures(stream: Stream, name: str, history: History, changes: Sequence[datetime]) -> dict[str, Any]:
    """Prequential quality over all rows that were answered, and how often the policy cried and retrained."""
    served = ~np.isnan(history.scores)
    labels, scores = stream.labels[served], history.scores[served]
    area = auc(labels, scores)
    waits = delays(history, changes)
    known = [wait for wait in waits if wait is not None]
    return {
        "name": name,
        "rows": int(served.sum()),
        "windows": len(history.windows),
        "alarms": sum(history.alarms),
        "refused": len(history.refused),
        "retrainings": sum(1 for episode in history.episodes if episode.status is not Status.FAILED),
        "promoted": history.count(Status.PROMOTED),
        "rejected": history.count(Status.REJECTED),
        "failed": history.count(Status.FAILED),
        "log_loss": round(log_loss(labels, scores), 6),
        "auc": None if area is None else round(area, 6),
        "accuracy": round(float(((scores >= 0.5) == (labels == 1)).mean()), 6),
        "delay_windows": round(sum(known) / len(known), 3) if known else None,
        "changes": len(waits),
        "changes_missed": len(waits) - len(known),
        "null_alarm_rate": None,
        "episodes": [
            {"at": iso(e.opened_at), "trigger": str(e.trigger), "status": str(e.status), "outcome": e.outcome}
            for e in history.episodes
        ],
    }
