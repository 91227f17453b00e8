"""Reads the profile shards that ``profile_traffic`` writes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from driftloop.data.windows import Window
from driftloop.loop.warm import WarmFiles
from driftloop.monitoring.baseline import Baseline
from driftloop.monitoring.profile import Profile
from driftloop.ports import Objects, TerminalError

DAMAGED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading JSON of another form than expected raises."""

Hours = Mapping[tuple[str, str], list[Profile]]
"""Event date and hour (two digits) -> profiles."""


@dataclass(frozen=True)
class Bundle:
    """What one file of shards holds, added up: where each request is an object of its own there are a great many."""

    sources: frozenset[str]
    """Capture objects."""
    hours: Mapping[str, Profile]


_SHARDS: WarmFiles[Bundle] = WarmFiles()


def read_shards(objects: Objects, live_bucket: str, model: str, baseline: Baseline, dates: Iterable[str]) -> Hours:
    """Traffic of some event dates in the cells of a baseline; every capture object counts once, whatever bundles it is in.

    Raises TerminalError for a file that holds no shards.
    """
    places = [(day, f"shards/{model}/{baseline.id}/{day}/") for day in sorted(dates)]
    keys = [(day, key) for day, place in places for key in objects.keys(live_bucket, place)]

    def read(key: str, without: Collection[str] = ()) -> Bundle:
        return _bundle(objects, live_bucket, baseline, key, without)

    bundles = _SHARDS.read((model, baseline.id), [key for _, key in keys], read)
    hours: dict[tuple[str, str], list[Profile]] = {}
    seen: dict[str, set[str]] = {day: set() for day, _ in places}
    for (day, key), found in zip(keys, bundles, strict=True):
        twice = found.sources & seen[day]
        bundle = read(key, twice) if twice else found
        seen[day] |= found.sources
        for hour, profile in bundle.hours.items():
            hours.setdefault((day, hour), []).append(profile)
    return hours


def _bundle(objects: Objects, live_bucket: str, baseline: Baseline, key: str, without: Collection[str]) -> Bundle:
    text = objects.read(live_bucket, key)
    sources, hours = set(without), dict[str, Profile]()
    try:
        for shard in json.loads(text):
            if shard["object"] not in sources:
                sources.add(shard["object"])
                for hour, content in shard["hours"].items():
                    profile = Profile.from_dict(content, baseline.bins)
                    hours[hour] = hours[hour] + profile if hour in hours else profile
        return Bundle(frozenset(sources), hours)
    except DAMAGED as error:
        hint = "delete it and count its hours again with driftloop backfill"
        reason = f"{type(error).__name__}: {error}"
        raise TerminalError(f"s3://{live_bucket}/{key} holds no shards ({reason}); {hint}") from error


def of_window(hours: Hours, window: Window) -> list[Profile]:
    """The profiles of a window of whole hours."""
    return [
        profile
        for day in window.dates()
        for hour in sorted(window.hours(day))
        for profile in hours.get((day, f"{hour:02d}"), ())
    ]
