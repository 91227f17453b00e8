"""On schedule: the last complete window of a model against its champion's baseline."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from driftloop.data.capture import SCORE
from driftloop.data.rows import concatenate, latest_by_id, read_outcomes
from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import Window, floor_time, iso, last_complete
from driftloop.loop.baselines import load_baseline
from driftloop.loop.warm import WarmFiles
from driftloop.monitoring.baseline import Baseline
from driftloop.monitoring.outcomes import Outcomes, count_outcomes
from driftloop.monitoring.profile import Profile, merge
from driftloop.monitoring.report import DriftReport, assess
from driftloop.ports import Champion, Ledger, Model, Models, Objects

_LABELLED = WarmFiles()


@dataclass(frozen=True)
class Detector:
    """Computes and keeps drift reports."""

    models: Models
    ledger: Ledger
    objects: Objects
    live_bucket: str

    def detect(self, name: str, now: datetime) -> DriftReport | None:
        """Report on the last complete window; None if no version serves yet."""
        champion = self.ledger.champion(name)
        if champion is None:
            return None
        model = self.models.get(name)
        monitoring = model.spec["monitoring"]
        window = last_complete(now, timedelta(seconds=monitoring["window"]))
        baseline = load_baseline(self.objects, champion.baseline_uri)
        report = assess(
            baseline,
            self._profile(name, baseline, window),
            self._outcomes(model, champion, now),
            model=name,
            version=champion.version,
            window=window,
            min_rows=monitoring["min_rows"],
        )
        content = json.dumps(report.to_dict(), sort_keys=True).encode()
        self.objects.write(self.live_bucket, f"reports/{name}/{iso(window.start)}.json", content)
        return report

    def _profile(self, name: str, baseline: Baseline, window: Window) -> Profile:
        profiles: list[Profile] = []
        seen: set[tuple[str, str]] = set()
        for day in window.dates():
            hours = {f"{hour:02d}" for hour in window.hours(day)}
            for key in self.objects.keys(self.live_bucket, f"shards/{name}/{baseline.id}/{day}/"):
                for shard in json.loads(self.objects.read(self.live_bucket, key)):
                    if (day, shard["object"]) not in seen:
                        seen.add((day, shard["object"]))
                        profiles.extend(Profile.from_dict(p) for hour, p in shard["hours"].items() if hour in hours)
        return merge(baseline.bins, profiles)

    def _outcomes(self, model: Model, champion: Champion, now: datetime) -> Outcomes | None:
        """Labelled predictions of the champion in the last windows whose labels can be known; None while too few."""
        monitoring, schema = model.spec["monitoring"], model.schema
        step = timedelta(seconds=monitoring["window"])
        end = floor_time(now - schema.label_delay, step)
        span = Window(end - step * monitoring["smoothing"], end)
        if champion.since > span.start:
            return None
        keys = [k for day in span.dates() for k in self.objects.keys(self.live_bucket, f"labelled/{model.name}/{day}/")]
        if not keys:
            return None
        parts = _LABELLED.read((model.name, schema), keys, lambda key: self._labelled(schema, key))
        rows = concatenate(parts)
        rows = latest_by_id(span.rows(rows, schema.time), schema.id)
        if len(rows[schema.id]) < monitoring["min_rows"]:
            return None
        return count_outcomes(rows[schema.label], rows[SCORE])

    def _labelled(self, schema: Schema, key: str) -> Columns:
        return read_outcomes(schema, self.objects.read(self.live_bucket, key))
