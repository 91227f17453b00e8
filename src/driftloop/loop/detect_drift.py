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
from driftloop.monitoring.report import DriftReport, Verdict, assess
from driftloop.ports import Champion, Ledger, Model, Models, NotFoundError, Notifier, Objects

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
    notifier: Notifier
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
        count = max(1, min(monitoring["smoothing"], (window.end - champion.since) // length))
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
        self._tell(report, Window(window.start - length, window.start))
        content = json.dumps(report.to_dict(), sort_keys=True).encode()
        self.objects.write(self.live_bucket, _report_key(name, window), content)
        return report

    def _tell(self, report: DriftReport, before: Window) -> None:
        """Tell people that a feed has broken: when it breaks, not in every window that it stays so."""
        # The report itself is written afterwards: a call that died in between is repeated, and told once more.
        told = (before, report.window)
        if report.verdict is Verdict.BROKEN_UPSTREAM and not any(self._was_broken(report.model, w) for w in told):
            self.notifier.publish(f"[driftloop] {report.model}: broken upstream", _broken_message(report))

    def _was_broken(self, name: str, window: Window) -> bool:
        try:
            content = self.objects.read(self.live_bucket, _report_key(name, window))
        except NotFoundError:
            return False
        return bool(json.loads(content)["verdict"] == Verdict.BROKEN_UPSTREAM)

    def _profiles(self, name: str, baseline: Baseline, windows: Sequence[Window]) -> list[Profile]:
        """Traffic of each window; every capture object counts once, whatever bundles it is in."""
        dates = sorted({day for window in windows for day in window.dates()})
        places = [(day, f"shards/{name}/{baseline.id}/{day}/") for day in dates]
        keys = [(day, key) for day, place in places for key in self.objects.keys(self.live_bucket, place)]
        bundles = _SHARDS.read((name, baseline.id), [key for _, key in keys], lambda key: self._bundle(baseline, key))
        hours: dict[tuple[str, str], list[Profile]] = {}
        seen: set[tuple[str, str]] = set()
        for (day, _), bundle in zip(keys, bundles, strict=True):
            for source, shard in bundle.items():
                if (day, source) not in seen:
                    seen.add((day, source))
                    for hour, profile in shard.items():
                        hours.setdefault((day, hour), []).append(profile)
        return [merge(baseline.bins, _of_window(hours, window)) for window in windows]

    def _bundle(self, baseline: Baseline, key: str) -> Bundle:
        shards = json.loads(self.objects.read(self.live_bucket, key))
        return {s["object"]: {h: Profile.from_dict(p, baseline.bins) for h, p in s["hours"].items()} for s in shards}

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


def _report_key(name: str, window: Window) -> str:
    return f"reports/{name}/{iso(window.start)}.json"


def _broken_message(report: DriftReport) -> str:
    reasons = "\n".join(f"- {reason}" for reason in report.reasons)
    return f"""Version {report.version} of {report.model}, traffic from {iso(report.window.start)} to {iso(report.window.end)}:
{reasons}

This looks like a fault of the feed and not like a change of the world. Predictions of such rows cannot be trusted.
No scores are published while it lasts, so no alarm is raised and nothing is retrained on it.

What to do: repair what delivers these columns. If they are meant to be like this from now on, change the model file
(data.features) and ask for a retraining once enough labelled rows are there: driftloop retrain {report.model}
You are told again when a later window breaks after a sound one.
"""


def _of_window(hours: Mapping[tuple[str, str], list[Profile]], window: Window) -> list[Profile]:
    return [
        profile
        for day in window.dates()
        for hour in sorted(window.hours(day))
        for profile in hours.get((day, f"{hour:02d}"), ())
    ]
