"""Watches what the loop does, from outside, and tells it: alarms, decisions, gate results, promotions, windows."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from driftloop.demo.display import Display
from driftloop.demo.stage import Stage
from driftloop.names import ModelNames, report_prefix
from driftloop.retraining.episode import Episode, Status

_NEVER_RUN = (Status.REFUSED, Status.DEFERRED, Status.MERGED)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Chronicle:
    """Reads the ledger, the alarms and the reports; says what is new since the last look."""

    def __init__(self, stage: Stage, display: Display) -> None:
        self._stage, self._display = stage, display
        self._s3 = stage.client("s3")
        self._alarms = 0
        self._told: set[tuple[str, Status]] = set()
        self._since: datetime = BEGINNING
        self.reports: dict[str, dict[str, Any]] = {}
        self._verdicts: Counter[str] = Counter()

    def look(self, now: datetime) -> None:
        """Tell what has happened since the last look."""
        self._look_at_reports()
        self._look_at_alarms()
        for episode in self._stage.ledger.episodes(self._stage.model, BEGINNING):
            self._tell_episode(episode)
        if now.day == 1 and self._verdicts:
            counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self._verdicts.items()))
            self._display.say("window", f"verdicts of the last month: {counts}", now)
            self._verdicts.clear()

    def alarms(self) -> list[dict[str, str]]:
        """Every change of an alarm of the model."""
        changes: list[dict[str, str]] = self._stage.twin.door("alarms")
        base = ModelNames(self._stage.model).base
        return [change for change in changes if change["alarm"].startswith(f"{base}-")]

    def episodes(self) -> list[Episode]:
        """All episodes, oldest first."""
        return self._stage.ledger.episodes(self._stage.model, BEGINNING)

    def evaluation(self, episode: Episode) -> dict[str, Any] | None:
        """What the gate decided in an episode, if it came that far."""
        execution = episode.pipeline_execution_arn.rpartition("/")[2]
        if not execution:
            return None
        key = f"evaluations/{episode.model}/{execution}/evaluation.json"
        try:
            content = self._s3.get_object(Bucket=self._stage.bucket("artifacts"), Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        return dict(json.loads(content))

    def _look_at_reports(self) -> None:
        bucket, prefix = self._stage.bucket("live"), report_prefix(self._stage.model)
        newest = max(self.reports, default="")
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=newest)
        for page in pages:
            for item in page.get("Contents", ()):
                content = self._s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                report = self.reports[item["Key"]] = json.loads(content)
                self._verdicts[report["verdict"]] += 1

    def _look_at_alarms(self) -> None:
        changes = self.alarms()
        for change in changes[self._alarms :]:
            if "ALARM" in (change["new"], change["old"]):
                at = datetime.fromisoformat(change["at"])
                self._display.say(
                    "alarm", f"{change['alarm']} {change['old']} -> {change['new']}: {change['reason']}", at
                )
        self._alarms = len(changes)

    def _tell_episode(self, episode: Episode) -> None:
        if (episode.id, episode.status) in self._told:
            return
        name, at = f"episode {episode.id[:6]}", episode.closed_at or episode.opened_at
        first = not any(told == episode.id for told, _ in self._told)
        self._told.add((episode.id, episode.status))
        if episode.status in _NEVER_RUN:
            said = f"{name} {episode.status} ({episode.rule}): {episode.outcome}"
            self._display.say("decision", said, episode.opened_at)
            return
        if first:
            self._display.say(
                "decision", f"{name} starts a retraining ({episode.trigger}): {episode.reason}", episode.opened_at
            )
        result = self.evaluation(episode)
        if result and (episode.id, "gate") not in self._told:
            self._told.add((episode.id, "gate"))  # type: ignore[arg-type]
            self._display.say("gate", f"{name} {result['gate']['decision']}: {result['gate']['reason']}", at)
        if episode.status.is_final:
            kind = "promotion" if episode.status is Status.PROMOTED else "decision"
            self._display.say(kind, f"{name} {episode.status}: {episode.outcome}", at)
