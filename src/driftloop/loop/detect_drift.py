"""On schedule: the last complete window of a model against its champion's baseline."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from driftloop.data.decoded import SCORE
from driftloop.data.parsing import BadRowError
from driftloop.data.rows import concatenate, latest_upload, read_outcomes
from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import Window, floor_time, iso, last_complete
from driftloop.loop.baselines import load_baseline
from driftloop.loop.warm import WarmFiles
from driftloop.monitoring.assessment import Labelled, assess, faults
from driftloop.monitoring.baseline import Baseline
from driftloop.monitoring.outcomes import NO_OUTCOMES, count_outcomes
from driftloop.monitoring.profile import Profile, merge
from driftloop.monitoring.report import DriftReport, Verdict, WindowQuality
from driftloop.names import report_prefix
from driftloop.ports import Ledger, Model, Models, NotFoundError, Notifier, Objects, TerminalError
from driftloop.retraining.decision import LOOK_BACK
from driftloop.retraining.evidence import Watch

_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading JSON of another form than expected raises."""


@dataclass(frozen=True)
class Bundle:
    """What one file of shards holds, added up: where each request is an object of its own there are a great many."""

    sources: frozenset[str]
    """Capture objects."""
    hours: Mapping[str, Profile]


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
        serving = self.ledger.champion(name)
        if serving is None:
            return None
        model = self.models.get(name)
        monitoring, delay = model.spec["monitoring"], model.schema.label_delay
        length, smoothing = timedelta(seconds=monitoring["window"]), monitoring["smoothing"]
        window = last_complete(now, length)
        champion = serving.at(window.end)
        baseline = load_baseline(self.objects, champion.baseline_uri)
        waiting = (window.end - floor_time(now - delay, length)) // length
        windows = _last_windows(window.end, length, smoothing + waiting)
        profiles = self._profiles(name, baseline, windows)
        restated = self._restate(model, windows, profiles)
        # A version that has just begun to serve has no traffic in its own cells from before.
        count = max(1, min(smoothing, (window.end - champion.since) // length))
        report = assess(
            baseline,
            profiles[-count:],
            # A version answers for its own predictions only.
            _judged(baseline, restated[:smoothing], profiles, monitoring["min_rows"])
            if champion.since <= windows[0].start
            else None,
            model=name,
            version=champion.version,
            window=window,
            min_rows=monitoring["min_rows"],
            smoothing=smoothing,
        )
        report = replace(report, restated=restated, superseded=champion is not serving)
        self._remember(report)
        self._tell(report, Window(window.start - length, window.start))
        content = json.dumps(report.to_dict(), sort_keys=True).encode()
        self.objects.write(self.live_bucket, _report_key(name, window), content)
        return report

    def _remember(self, report: DriftReport) -> None:
        """What decisions about retraining look at."""
        before = self.ledger.watch(report.model)
        known = dict(before.labelled) if before else {}
        known |= {quality.window.start: quality.outcomes.total for quality in report.restated}
        kept = {start: rows for start, rows in known.items() if start > report.window.end - LOOK_BACK}
        watch = Watch(report.window.end, report.version, str(report.verdict), tuple(report.reasons), kept)
        self.ledger.set_watch(report.model, watch)

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
        try:
            return bool(json.loads(content)["verdict"] == Verdict.BROKEN_UPSTREAM)
        except _DAMAGED:
            # Told once too often rather than never.
            return False

    def _profiles(self, name: str, baseline: Baseline, windows: Sequence[Window]) -> list[Profile]:
        """Traffic of each window; every capture object counts once, whatever bundles it is in."""
        dates = sorted({day for window in windows for day in window.dates()})
        places = [(day, f"shards/{name}/{baseline.id}/{day}/") for day in dates]
        keys = [(day, key) for day, place in places for key in self.objects.keys(self.live_bucket, place)]
        bundles = _SHARDS.read((name, baseline.id), [key for _, key in keys], lambda key: self._bundle(baseline, key))
        hours: dict[tuple[str, str], list[Profile]] = {}
        seen: dict[str, set[str]] = {day: set() for day in dates}
        for (day, key), found in zip(keys, bundles, strict=True):
            twice = found.sources & seen[day]
            bundle = self._bundle(baseline, key, twice) if twice else found
            seen[day] |= found.sources
            for hour, profile in bundle.hours.items():
                hours.setdefault((day, hour), []).append(profile)
        return [merge(baseline.bins, _of_window(hours, window)) for window in windows]

    def _bundle(self, baseline: Baseline, key: str, without: Collection[str] = ()) -> Bundle:
        text = self.objects.read(self.live_bucket, key)
        sources, hours = set(without), dict[str, Profile]()
        try:
            for shard in json.loads(text):
                if shard["object"] not in sources:
                    sources.add(shard["object"])
                    for hour, content in shard["hours"].items():
                        profile = Profile.from_dict(content, baseline.bins)
                        hours[hour] = hours[hour] + profile if hour in hours else profile
            return Bundle(frozenset(sources), hours)
        except _DAMAGED as error:
            hint = "delete it and count its hours again with driftloop backfill"
            reason = f"{type(error).__name__}: {error}"
            raise TerminalError(f"s3://{self.live_bucket}/{key} holds no shards ({reason}); {hint}") from error

    def _restate(self, model: Model, windows: list[Window], profiles: list[Profile]) -> list[WindowQuality]:
        """What is known by now of each window: labels go on arriving after it was judged."""
        rows = self._labelled_rows(model, Window(windows[0].start, windows[-1].end))
        qualities = []
        for window, profile in zip(windows, profiles, strict=True):
            mine = window.rows(rows, model.schema.time) if rows else None
            outcomes = count_outcomes(mine[model.schema.label], mine[SCORE]) if mine else NO_OUTCOMES
            qualities.append(WindowQuality(window, profile.rows, outcomes))
        return qualities

    def _labelled_rows(self, model: Model, span: Window) -> Columns | None:
        """Labelled rows of a span, one per id; None if there are none."""
        schema = model.schema
        keys = [k for day in span.dates() for k in self.objects.keys(self.live_bucket, f"labelled/{model.name}/{day}/")]
        if not keys:
            return None
        parts = _LABELLED.read((model.name, schema), keys, lambda key: self._labelled(schema, key))
        return latest_upload(span.rows(concatenate(parts), schema.time), schema.id)

    def _labelled(self, schema: Schema, key: str) -> Columns:
        try:
            return read_outcomes(schema, self.objects.read(self.live_bucket, key))
        except BadRowError as error:
            hint = "delete it and upload the labels again"
            raise TerminalError(f"s3://{self.live_bucket}/{key} holds no labelled rows ({error}); {hint}") from error


def _last_windows(end: datetime, length: timedelta, count: int) -> list[Window]:
    """The ``count`` windows up to ``end``, oldest first."""
    return [Window(end - length * (back + 1), end - length * back) for back in reversed(range(count))]


def _judged(
    baseline: Baseline, qualities: Sequence[WindowQuality], profiles: Sequence[Profile], min_rows: int
) -> Labelled | None:
    """Labelled predictions of the windows whose labels can be known together; None while they are too few.

    Where the feed was broken, labels tell of the fault and not of the model.
    """
    sound = [quality for quality, profile in zip(qualities, profiles, strict=False) if not faults(baseline, profile)]
    outcomes = sum((quality.outcomes for quality in sound), start=NO_OUTCOMES)
    if outcomes.total < min_rows:
        return None
    seen = sum(quality.rows for quality in sound)
    return Labelled(outcomes, min(1.0, outcomes.total / seen) if seen else 1.0)


def _report_key(name: str, window: Window) -> str:
    return f"{report_prefix(name)}{iso(window.start)}.json"


def _broken_message(report: DriftReport) -> str:
    reasons = "\n".join(f"- {reason}" for reason in report.reasons)
    steps = "\n".join(f"- {step}" for step in report.next_steps)
    return f"""Version {report.version} of {report.model}, traffic from {iso(report.window.start)} to {iso(report.window.end)}:
{reasons}

This looks like a fault of the feed and not like a change of the world. Predictions of such rows cannot be trusted.
No scores are published while it lasts, so no alarm is raised and nothing is retrained on it.

What to do:
{steps}
If the columns are meant to be like this from now on, change the model file (data.features) and ask for a retraining once
enough labelled rows are there: driftloop retrain {report.model} --reason ...
The report, drawn: driftloop report {report.model} --window {iso(report.window.start)}
You are told again when a later window breaks after a sound one.
"""


def _of_window(hours: Mapping[tuple[str, str], list[Profile]], window: Window) -> list[Profile]:
    return [
        profile
        for day in window.dates()
        for hour in sorted(window.hours(day))
        for profile in hours.get((day, f"{hour:02d}"), ())
    ]
