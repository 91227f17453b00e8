"""Faults of a feed, put into windows that were sound: does the report name them?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.detection.stream import Stream
from benchmarks.detection.versions import Version
from driftloop.data.decoded import SCORE
from driftloop.data.rows import concatenate
from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import Window
from driftloop.monitoring.assessment import assess
from driftloop.monitoring.faults import FaultKind
from driftloop.monitoring.profile import profile_columns
from driftloop.monitoring.report import DriftReport, Verdict

Values = np.ndarray[Any, Any]
Rng = np.random.Generator
UNITS: Mapping[str, Sequence[tuple[str, float, float]]] = {
    "temp": [("Fahrenheit to Celsius", 5 / 9, -160 / 9)],
    "dewp": [("Fahrenheit to Celsius", 5 / 9, -160 / 9)],
    "distance": [("miles to km", 1.609344, 0.0), ("miles to metres", 1609.344, 0.0)],
    "wind_speed": [("mph to m/s", 0.44704, 0.0), ("mph to km/h", 1.609344, 0.0)],
    "pressure": [("hPa to inHg", 0.02953, 0.0), ("hPa to Pa", 100.0, 0.0)],
    "humid": [("per cent to share", 0.01, 0.0)],
    "visib": [("miles to km", 1.609344, 0.0)],
    "tenure": [("months to years", 1 / 12, 0.0), ("months to days", 30.4, 0.0)],
    "price": [("units to cents", 100.0, 0.0)],
}
"""Column -> what its unit is mistaken for: name, factor, offset. Any other number may come a thousandfold."""
_THOUSAND = ("thousandfold", 1000.0, 0.0)
_USUAL_TOP = 0.5
"""A column whose most frequent value has a larger share than this in a sound window is near to constant anyway."""
_FEW = 0.5
"""A fault that changes fewer rows than this share is none."""


@dataclass(frozen=True)
class Injected:
    """A window with a fault."""

    kind: FaultKind
    columns: tuple[str, ...]
    """Those that the fault is in; none for faults of the whole traffic."""
    rows: Columns
    how: str


@dataclass(frozen=True)
class Trial:
    """A fault, and what the report said."""

    injected: Injected
    report: DriftReport

    @property
    def named(self) -> str:
        """What the report took it for; the right one of several, if it is among them."""
        if self.report.verdict is not Verdict.BROKEN_UPSTREAM:
            return str(self.report.verdict)
        kinds = [str(fault.kind) for fault in self.report.faults]
        return str(self.injected.kind) if self.right else "+".join(sorted(set(kinds)))

    @property
    def right(self) -> bool:
        """Broken upstream, with this kind of fault in these columns."""
        wanted = set(self.injected.columns)
        return self.report.verdict is Verdict.BROKEN_UPSTREAM and any(
            fault.kind is self.injected.kind and wanted <= set(fault.columns) for fault in self.report.faults
        )


Inject = Callable[[Schema, Columns, Rng], Injected | None]


def trials(
    stream: Stream,
    versions: Sequence[tuple[Version, Sequence[Window]]],
    count: int,
    seed: int,
    tick: Callable[[], object] = lambda: None,
) -> dict[FaultKind, list[Trial]]:
    """``count`` trials of each kind that the stream's columns allow.

    Args:
        versions: each with windows that it may be judged on.
    """
    results: dict[FaultKind, list[Trial]] = {}
    for kind, inject in INJECTORS.items():
        rng = np.random.default_rng([seed, list(INJECTORS).index(kind)])
        results[kind] = []
        for _ in range(20 * count):
            if len(results[kind]) == count:
                break
            trial = _trial(stream, versions, inject, rng)
            if trial is not None:
                results[kind].append(trial)
                tick()
    return results


def healthy(stream: Stream, versions: Sequence[tuple[Version, Sequence[Window]]]) -> list[DriftReport]:
    """Reports of the same windows as they are: any that is broken is a false finding."""
    return [
        judge(stream, version, window, stream.table(stream.rows(window)))
        for version, windows in versions
        for window in windows
        if stream.rows(window).stop - stream.rows(window).start >= stream.spec["monitoring"]["min_rows"]
    ]


def judge(stream: Stream, version: Version, window: Window, rows: Columns) -> DriftReport:
    """One window on its own: that is where what is broken shows."""
    columns = rows | {SCORE: version.scores(rows)}
    profile = profile_columns(version.baseline.bins, columns, stream.schema)
    spec = stream.spec["monitoring"]
    return assess(
        version.baseline, [profile], None, model=stream.spec["name"], version=1, window=window,
        min_rows=spec["min_rows"], smoothing=spec["smoothing"],
    )  # fmt: skip


def summary(results: Mapping[FaultKind, Sequence[Trial]]) -> list[dict[str, Any]]:
    """Per kind: trials, how many were named right, and what the others were taken for."""
    return [
        {
            "name": str(kind),
            "trials": len(tried),
            "named_right": sum(trial.right for trial in tried),
            "taken_for": dict(Counter(trial.named for trial in tried).most_common()),
            "missed": sorted({f"{', '.join(t.injected.columns)}: {t.injected.how}" for t in tried if not t.right}),
        }
        for kind, tried in results.items()
    ]


def _trial(
    stream: Stream, versions: Sequence[tuple[Version, Sequence[Window]]], inject: Inject, rng: Rng
) -> Trial | None:
    version, windows = versions[int(rng.integers(len(versions)))]
    window = windows[int(rng.integers(len(windows)))]
    rows = stream.table(stream.rows(window))
    if len(rows[stream.schema.id]) < stream.spec["monitoring"]["min_rows"]:
        return None
    if judge(stream, version, window, rows).verdict is Verdict.BROKEN_UPSTREAM:
        return None
    injected = inject(stream.schema, rows, rng)
    return None if injected is None else Trial(injected, judge(stream, version, window, injected.rows))


def _missing(schema: Schema, rows: Columns, rng: Rng) -> Injected | None:
    feature = _any([f for f in schema.features if _known(rows[f.name]).mean() > 0.9], rng)
    if feature is None:
        return None
    share = float(rng.uniform(0.6, 1.0))
    empty: Any = "" if feature.is_category else np.nan
    values = np.where(rng.random(len(rows[feature.name])) < share, empty, rows[feature.name])
    if feature.is_category:
        values = values.astype(object)
    return Injected(FaultKind.MISSING, (feature.name,), rows | {feature.name: values}, f"{share:.0%} missing")


def _constant(schema: Schema, rows: Columns, rng: Rng) -> Injected | None:
    feature = _any([f for f in schema.features if _top(rows[f.name]) <= _USUAL_TOP], rng)
    if feature is None:
        return None
    known = rows[feature.name][_known(rows[feature.name])]
    value = known[int(rng.integers(len(known)))]
    values = np.full(len(rows[feature.name]), value, dtype=rows[feature.name].dtype)
    return Injected(FaultKind.CONSTANT, (feature.name,), rows | {feature.name: values}, f"always {value}")


def _unit(schema: Schema, rows: Columns, rng: Rng) -> Injected | None:
    feature = _any([f for f in schema.features if f.type == "number" or f.name in UNITS], rng)
    if feature is None:
        return None
    choices = [*UNITS.get(feature.name, ()), _THOUSAND]
    how, factor, offset = choices[int(rng.integers(len(choices)))]
    return _changed(FaultKind.UNIT, (feature.name,), rows, {feature.name: rows[feature.name] * factor + offset}, how)


def _swapped(schema: Schema, rows: Columns, rng: Rng) -> Injected | None:
    pairs = [
        (a.name, b.name)
        for place, a in enumerate(schema.features)
        for b in schema.features[place + 1 :]
        if a.is_category == b.is_category and _apart(rows[a.name], rows[b.name])
    ]
    if not pairs:
        return None
    one, other = pairs[int(rng.integers(len(pairs)))]
    swapped = rows | {one: rows[other], other: rows[one]}
    return Injected(FaultKind.SWAPPED, (one, other), swapped, "swapped")


ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "quoted": lambda text: f'"{text}"',
    "padded": lambda text: f"{text} ",
    "prefixed": lambda text: f"code_{text}",
}
_CODES = "numbers for names"


def _encoding(schema: Schema, rows: Columns, rng: Rng) -> Injected | None:
    feature = _any([f for f in schema.features if f.is_category], rng)
    if feature is None:
        return None
    values = rows[feature.name]
    names = sorted(set(values.tolist()) - {""})
    how = [*ENCODINGS, _CODES][int(rng.integers(len(ENCODINGS) + 1))]
    change = {name: str(place) for place, name in enumerate(names)} if how == _CODES else _each(names, ENCODINGS[how])
    coded = np.array([change.get(value, value) for value in values.tolist()], dtype=object)
    return _changed(FaultKind.ENCODING, (feature.name,), rows, {feature.name: coded}, how)


def _unseen(schema: Schema, rows: Columns, rng: Rng) -> Injected | None:
    feature = _any([f for f in schema.features if f.is_category], rng)
    if feature is None:
        return None
    share, kinds = float(rng.uniform(0.6, 1.0)), int(rng.integers(1, 30))
    fresh = [f"new{number}" for number in rng.integers(10**6, size=kinds)]
    values = rows[feature.name].copy()
    hit = rng.random(len(values)) < share
    values[hit] = rng.choice(fresh, int(hit.sum()))
    how = f"{share:.0%} of {kinds} new categories"
    return _changed(FaultKind.UNSEEN, (feature.name,), rows, {feature.name: values}, how)


def _range(schema: Schema, rows: Columns, rng: Rng) -> Injected | None:
    bounded = [f for f in schema.features if not f.is_category and f.low is not None and f.high is not None]
    feature = _any(bounded, rng)
    if feature is None or feature.low is None or feature.high is None:
        return None
    share, width = float(rng.uniform(0.6, 1.0)), feature.high - feature.low
    values = rows[feature.name].copy()
    hit = rng.random(len(values)) < share
    sentinels = [(9999.0, 9999.0), (-9999.0, -9999.0), (feature.high + width, feature.high + 3 * width)]
    low, high = sentinels[int(rng.integers(len(sentinels)))]
    values[hit] = np.round(rng.uniform(low, high, int(hit.sum())))
    how = f"{share:.0%} from {low:g} to {high:g}"
    return _changed(FaultKind.RANGE, (feature.name,), rows, {feature.name: values}, how)


def _duplicated(schema: Schema, rows: Columns, _: Rng) -> Injected | None:
    return Injected(FaultKind.DUPLICATED, (), concatenate([rows, rows]), "each row twice")


def _standstill(schema: Schema, rows: Columns, rng: Rng) -> Injected | None:
    times = rows[schema.time]
    frozen = times[int(rng.integers(len(times)))]
    return Injected(FaultKind.STANDSTILL, (), rows | {schema.time: np.full_like(times, frozen)}, f"always {frozen}")


INJECTORS: Mapping[FaultKind, Inject] = {
    FaultKind.MISSING: _missing,
    FaultKind.CONSTANT: _constant,
    FaultKind.UNIT: _unit,
    FaultKind.SWAPPED: _swapped,
    FaultKind.ENCODING: _encoding,
    FaultKind.UNSEEN: _unseen,
    FaultKind.RANGE: _range,
    FaultKind.DUPLICATED: _duplicated,
    FaultKind.STANDSTILL: _standstill,
}


def _any(features: Sequence[Any], rng: Rng) -> Any:
    return features[int(rng.integers(len(features)))] if features else None


def _changed(kind: FaultKind, columns: tuple[str, ...], rows: Columns, changed: Columns, how: str) -> Injected | None:
    """None if most rows are as they were: nobody could see that."""
    moved = min(float((values != rows[name]).mean()) for name, values in changed.items())
    return Injected(kind, columns, rows | changed, how) if moved >= _FEW else None


def _each(names: Sequence[str], change: Callable[[str], str]) -> dict[str, str]:
    return {name: change(name) for name in names}


def _known(values: Values) -> Values:
    return np.asarray(values != "") if values.dtype == object else ~np.isnan(values)


def _top(values: Values) -> float:
    """Share of the most frequent value; 1.0 without any known one."""
    known = values[_known(values)]
    if not len(known):
        return 1.0
    return float(np.unique(known.astype(str), return_counts=True)[1].max() / len(values))


def _apart(a: Values, b: Values) -> bool:
    """Two columns of which a swap can be seen at all: their values hardly overlap in distribution."""
    if a.dtype == object:
        return len(set(a.tolist()) & set(b.tolist())) < 0.5 * min(len(set(a.tolist())), len(set(b.tolist())))
    a, b = np.sort(a[_known(a)]), np.sort(b[_known(b)])
    if not len(a) or not len(b):
        return False
    points = np.concatenate([a, b])
    below = [np.searchsorted(part, points, side="right") / len(part) for part in (a, b)]
    return float(np.abs(below[0] - below[1]).max()) >= _FEW
