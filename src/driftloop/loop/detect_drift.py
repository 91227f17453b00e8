"""On schedule: the last complete window of a model against its champion's baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

Bundle = dict[str, dict[str, Profile]]
"""Capture object -> hour -> profile: what one file of shards holds."""

_LABELLED: WarmFiles[Columns] = WarmFiles()
_SHARDS: WarmFiles[Bundle] = WarmFiles()


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
        length = timedelta(seconds=monitoring["window"])
        window = last_complete(now, length)
        baseline = load_baseline(self.objects, champion.baseline_uri)
        # A version that has just begun to serve has no traffic in its own cells from before.
        count = monitoring["smoothing"] if champion.since <= window.end - length * monitoring["smoothing"] else 1
        windows = [Window(window.start - length * i, window.end - length * i) for i in reversed(range(count))]
        report = assess(
            baseline,
            self._profiles(name, baseline, windows),
            self._outcomes(model, champion, now),
            model=name,
            version=champion.version,
            window=window,
            min_rows=monitoring["min_rows"],
            smoothing=monitoring["smoothing"],
        )
        content = json.dumps(report.to_dict(), sort_keys=True).encode()
        self.objects.write(self.live_bucket, f"reports/{name}/{iso(window.start)}.json", content)
        return report

    def _profiles(self, name: str, baseline: Baseline, windows: Sequence[Window]) -> list[Profile]:
        """Traffic of each window; every capture object counts once, whatever bundles it is in."""
        dates = sorted({day for window in windows for day in window.dates()})
        places = [(day, f"shards/{name}/{baseline.id}/{day}/") for day in dates]
        keys = [(day, key) for day, place in places for key in self.objects.keys(self.live_bucket, place)]
        bundles = _SHARDS.read((name, baseline.id), [key for _, key in keys], self._bundle)
        hours: dict[tuple[str, str], list[Profile]] = {}
        seen: set[tuple[str, str]] = set()
        for (day, _), bundle in zip(keys, bundles, strict=True):
            for source, shard in bundle.items():
                if (day, source) not in seen:
                    seen.add((day, source))
                    for hour, profile in shard.items():
                        hours.setdefault((day, hour), []).append(profile)
        return [merge(baseline.bins, _of_window(hours, window)) for window in windows]

    def _bundle(self, key: str) -> Bundle:
        shards = json.loads(self.objects.read(self.live_bucket, key))
        return {s["object"]: {hour: Profile.from_dict(p) for hour, p in s["hours"].items()} for s in shards}

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


def _of_window(hours: Mapping[tuple[str, str], list[Profile]], window: Window) -> list[Profile]:
    return [
        profile
        for day in window.dates()
        for hour in sorted(window.hours(day))
        for profile in hours.get((day, f"{hour:02d}"), ())
    ]
