"""What broke upstream, from two profiles alone: faults of a feed, told apart from changes of the world.

Retraining would learn a fault, so it has to be named; but a real shift that is called a fault would stop retraining.
Where both would look alike in a profile (a cold day may be a temperature in another unit), nothing is said, and drift
remains to be judged. Each column has at most one fault, by the most specific name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from driftloop.monitoring import name_faults, number_faults
from driftloop.monitoring.bins import Bins, CategoryBins, Counts, NumericBins
from driftloop.monitoring.change import Change, names_of, numbers_of
from driftloop.monitoring.fault_kinds import BROKEN_SHARE, USUAL_SHARE, Fault, FaultKind, became, share_of
from driftloop.monitoring.profile import Profile
from driftloop.monitoring.sample import Sample

__all__ = ["BROKEN_SHARE", "USUAL_SHARE", "Fault", "FaultKind", "find_faults", "steady_columns"]

NEARLY_ALL = 0.95
"""Share of rows without a value that is a fault too where many usually have none."""
REPEATED = 0.25
"""Share of row ids that must come more than once."""
_LEAST = 20
"""Fewest known values, rows or ids to judge by."""


def find_faults(
    bins: Mapping[str, Bins],
    reference: Profile,
    profile: Profile,
    features: Sequence[str],
    steady: Collection[str] = (),
) -> list[Fault]:
    """Faults of one window in the order of the features, then those of all traffic; empty if the feed looks sound.

    Args:
        features: columns to look at.
        steady: columns that are often constant within a window by nature, such as the weekday in windows of a day
            (see ``steady_columns``): two profiles alone cannot tell.
    """
    if not reference.rows or not profile.rows:
        return []
    changes = _changes(bins, reference, profile, features)
    faults = [fault for name in features if (fault := _missing(name, reference, profile)) is not None]
    for search in (
        number_faults.swapped, name_faults.swapped, partial(_constant, steady=steady), number_faults.converted,
        name_faults.encoded, name_faults.unseen, number_faults.beyond,
    ):  # fmt: skip
        broken = {name for fault in faults for name in fault.columns}
        faults += search([change for change in changes if change.name not in broken])
    places = {name: place for place, name in enumerate(features)}
    faults.sort(key=lambda fault: places[fault.columns[0]])
    return [*faults, *_duplicated(reference.ids, profile.ids), *_standing(reference.minutes, profile.minutes)]


def steady_columns(bins: Mapping[str, Bins], windows: Sequence[Profile]) -> frozenset[str]:
    """Columns that held a single value in at least a tenth of the training's windows; ``find_faults`` takes them."""
    least = USUAL_SHARE * len(windows)
    changes = [_changes(bins, window, window, list(bins)) for window in windows]
    constant = [{change.name for change in parts if change.only is not None} for parts in changes]
    return frozenset(name for name in bins if windows and sum(name in names for names in constant) >= least)


def _changes(bins: Mapping[str, Bins], reference: Profile, profile: Profile, columns: Iterable[str]) -> list[Change]:
    """Columns with enough known values to say more than that they are missing."""
    changes: list[Change] = []
    for name in columns:
        b, before, after = bins[name], reference.counts[name], profile.counts[name]
        if after[:-1].sum() < _LEAST or not before[:-1].sum():
            continue
        if isinstance(b, CategoryBins):
            changes.append(names_of(name, b, before, after, profile.unseen.get(name)))
        elif isinstance(b, NumericBins):
            moments = reference.moments.get(name), profile.moments.get(name)
            changes.append(numbers_of(name, b, before, after, *moments))
    return changes


def _missing(name: str, reference: Profile, profile: Profile) -> Fault | None:
    before, after = share_of(reference.counts[name], -1), share_of(profile.counts[name], -1)
    if not became(before, after) and not (after >= NEARLY_ALL and before < BROKEN_SHARE):
        return None
    reason = f"{name} is missing in {after:.0%} of rows (usually {before:.1%})"
    return Fault(FaultKind.MISSING, (name,), after, reason)


def _constant(changes: Sequence[Change], steady: Collection[str]) -> list[Fault]:
    """Columns with one value that most usual rows do not have: a dry week is no stuck rain gauge."""
    faults = []
    for change in changes:
        rare = USUAL_SHARE if change.counter else BROKEN_SHARE
        if change.only is not None and change.usual_share < rare and change.name not in steady:
            reason = (
                f"{change.name} is {change.only} in every row that has a value "
                f"(usually about that in {change.usual_share:.1%})"
            )
            faults.append(Fault(FaultKind.CONSTANT, (change.name,), change.known_share, reason))
    return faults


def _duplicated(usual: Sample, now: Sample) -> list[Fault]:
    """Ids that came more than once, among the sampled ones; a few that come very often are no sign of it."""
    if len(now.counts) < _LEAST:
        return []
    before, after = _repeated(usual), _repeated(now)
    if after < REPEATED or before >= USUAL_SHARE:
        return []
    reason = f"{after:.0%} of rows' ids came more than once, {now.repeats:.1f} times each (usually {usual.repeats:.1f})"
    return [Fault(FaultKind.DUPLICATED, (), 1 - 1 / now.repeats, reason)]


def _repeated(sample: Sample) -> float:
    return sum(size > 1 for size in sample.counts.values()) / max(1, len(sample.counts))


def _standing(usual: Counts, now: Counts) -> list[Fault]:
    """Share of rows that a clock at rest explains: the excess of one minute of the hour."""
    if not usual.sum() or now.sum() < _LEAST:
        return []
    minute = int((now / now.sum() - usual / usual.sum()).argmax())
    before, after = share_of(usual, minute), share_of(now, minute)
    share = (after - before) / (1 - before) if before < 1 else 0.0
    if share < BROKEN_SHARE:
        return []
    reason = f"{after:.0%} of event times are in minute {minute} of the hour (usually {before:.1%})"
    return [Fault(FaultKind.STANDSTILL, (), share, reason)]
