"""Command line of the detection benchmark."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from benchmarks.detection import inject
from benchmarks.detection.catalog import DEFAULT, Catalog
from benchmarks.detection.display import Display
from benchmarks.detection.figures import figures
from benchmarks.detection.nulls import null_rate
from benchmarks.detection.peers import PeerError
from benchmarks.detection.replay import replay
from benchmarks.detection.sources import NAMES, Source, UsageError, default_spec, read_source, table
from benchmarks.detection.stream import Stream
from benchmarks.detection.versions import Version, Workshop
from driftloop.data.parsing import BadRowError
from driftloop.data.windows import DAY, Window
from driftloop.spec.loading import SpecError
from pipelines.steps.step import StepError

CACHE = Path("build/detection")
_MONTH = 30 * DAY
_NAMED = 3
"""Windows that a peer refused, of which the reason is shown."""


def parser() -> argparse.ArgumentParser:
    """All options."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    options.add_argument("--data", default="flights", help=f"CSV file, or {', '.join(NAMES)}")
    options.add_argument("--spec", type=Path, help="model file; the streams above bring their own")
    options.add_argument("--policies", type=_names, default=DEFAULT, help="comma-separated; none: ''")
    options.add_argument("--out", type=Path, help="JSON file for the result")
    options.add_argument("--write", nargs=2, metavar=("NAME", "FILE"), help="write one of the streams as CSV, and end")
    options.add_argument(
        "--first", type=_moment, help="when the first version is trained; default: one training window in"
    )
    options.add_argument("--last", type=_moment, help="rows from then on are not replayed")
    options.add_argument("--change-points", type=_moments, help="comma-separated; default: those of a generated stream")
    options.add_argument("--null-shuffles", type=int, default=0, metavar="N", help="shuffled copies for false alarms")
    options.add_argument("--null-windows", type=int, default=60, help="windows of each copy (default 60)")
    options.add_argument("--inject", action="store_true", help="put faults into sound windows")
    options.add_argument("--trials", type=int, default=40, help="of each kind of fault (default 40)")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--set", type=_setting, action="append", default=[], metavar="PLACE=VALUE",
                         help="change the model file, e.g. retraining.cooldown=7d")  # fmt: skip
    options.add_argument("--no-cache", action="store_true", help=f"do not keep fitted models in {CACHE}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay, print, write. Exit status 2 for what the user can mend."""
    options = parser().parse_args(arguments)
    display = Display()
    try:
        if options.write:
            return _write(options, *options.write)
        result = run(options, display)
    except (BadRowError, SpecError, StepError, PeerError, UsageError, OSError) as error:
        display.fault(str(error))
        return 2
    display.tables(result)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def run(options: argparse.Namespace, display: Display) -> dict[str, Any]:
    """The whole benchmark."""
    settings = dict(options.set)
    source = read_source(options.data, options.spec, settings, options.seed)
    stream = source.stream
    first = options.first or source.first or stream.start + timedelta(seconds=stream.spec["training"]["window"])
    windows = [w for w in stream.windows(first) if options.last is None or w.start < options.last]
    if not windows:
        raise UsageError(f"no window from {first} on: the stream ends at {stream.times[-1]}")
    catalog = Catalog()
    try:
        policies = _replay(options, display, catalog, source, first, windows)
    finally:
        catalog.close()
    faults = _inject(options, display, stream, first) if options.inject else []
    about = {"data": source.name, "first": first.isoformat(), "seed": options.seed, "settings": settings}
    return {"policies": policies, "faults": faults, "run": about}


def _replay(
    options: argparse.Namespace,
    display: Display,
    catalog: Catalog,
    source: Source,
    first: datetime,
    windows: list[Window],
) -> list[dict[str, Any]]:
    stream, changes = source.stream, options.change_points or source.changes
    workshop = Workshop(stream, None if options.no_cache else CACHE)
    makers = {}
    for name in options.policies:
        maker, missing = catalog.maker(name), catalog.missing(name)
        if missing:
            display.say(missing)
        else:
            makers[name] = maker
    results = []
    for name, make in makers.items():
        with display.progress(name, len(windows)) as tick:
            history = replay(workshop, make(), first, windows=windows, tick=tick)
        for reason in history.refused[:_NAMED]:
            display.say(f"{name} could not judge a window: {reason}")
        results.append(figures(stream, name, history, changes))
    if options.null_shuffles and makers:
        total = options.null_shuffles * min(options.null_windows, len(windows)) * len(makers)
        with display.progress("shuffled copies", total) as tick:
            rates = null_rate(stream, makers, first, options.null_shuffles, options.null_windows, options.seed, tick)
        for result in results:
            result["null_alarm_rate"] = round(rates[result["name"]], 6)
    return results


def _inject(options: argparse.Namespace, display: Display, stream: Stream, first: datetime) -> list[dict[str, Any]]:
    """Versions of every month, each judged on the month that follows."""
    workshop = Workshop(stream, None if options.no_cache else CACHE)
    windows = list(stream.windows(first))
    months = math.ceil((windows[-1].end - first) / _MONTH)
    versions: list[tuple[Version, list[Window]]] = []
    for month in range(min(months, 4)):
        start = first + month * _MONTH
        following = [window for window in windows if start <= window.start < start + _MONTH]
        if following:
            versions.append((workshop.train(start), following))
    with display.progress("faults", len(inject.INJECTORS) * options.trials) as tick:
        results = inject.summary(inject.trials(stream, versions, options.trials, options.seed, tick))
    sound = inject.healthy(stream, versions)
    broken = [report for report in sound if report.verdict == "broken upstream"]
    display.say(f"sound windows taken for broken: {len(broken)} of {len(sound)}")
    for report in broken[:5]:
        display.say(f"  {report.window.start:%Y-%m-%d}: {'; '.join(report.reasons)}")
    return results


def _write(options: argparse.Namespace, name: str, file: str) -> int:
    path = options.spec or default_spec(name)
    if path is None:
        raise UsageError(f"no stream is called {name!r}; known are {', '.join(NAMES)}")
    Path(file).write_bytes(table(name, path, dict(options.set), options.seed))
    sys.stdout.write(f"{file} written; replay it with --spec {path} --data {file}\n")
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _moment(text: str) -> datetime:
    """ISO-8601; UTC where no offset is given."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _moments(text: str) -> tuple[datetime, ...]:
    return tuple(sorted(_moment(part) for part in _names(text)))


def _setting(text: str) -> tuple[str, Any]:
    place, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not PLACE=VALUE, such as retraining.cooldown=7d")
    return place, yaml.safe_load(value)
