"""Faults of number columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from driftloop.monitoring.bins import edge_name
from driftloop.monitoring.change import Change, Numbers, Side, decimals, rounded, shape_gap
from driftloop.monitoring.conversions import CONVERSIONS, Conversion
from driftloop.monitoring.fault_kinds import BROKEN_SHARE, Fault, FaultKind, became, share_of

_FAR = 8.0
"""Factor of a conversion, or its offset in deviations, that no change of the world resembles."""
_ROUGH = 0.1
"""Largest distance of shapes that two windows of one world have, as far as such wide cells can tell."""
_JUMP = 6.0
"""Usual deviations by which a mean jumps, or the factor by which the deviation shrinks, but not in the world."""
_ALIKE = 0.1
"""Difference of misfits up to which two conversions cannot be told apart."""
_COLLAPSE = 30.0
"""Factor by which a deviation shrinks in the world only where most values are the same anyway."""
_MOVED = 1.5
"""Usual deviations by which a mean moves at least if numbers are converted, as far as the mean is to tell."""
_NEAR, _APART = 2.5, 4.0
"""Usual deviations that the mean of a sound window may be off, with little evidence and with much."""
_NARROW, _WIDEST = 1 / 12, 2.0
"""Usual deviations that a sound window has at least and at most."""
_STRAY = 0.001
"""Share of rows that may lie anywhere."""
_SPARE = 3
"""Decimals too many, which no chance brings."""
_CLOSE = 0.06
"""Largest distance of shapes that are the same, as far as their cells can tell, for some hundred rows."""


def beyond(changes: Sequence[Change]) -> list[Fault]:
    """Columns that are mostly outside what can be real."""
    faults = []
    for change in changes:
        if not isinstance(change, Numbers):
            continue
        before, after = share_of(change.before, 0, -2), share_of(change.after, 0, -2)
        if became(before, after):
            real = f"{edge_name(change.bins.edges[0])} to {edge_name(change.bins.edges[-1])}"
            reason = (
                f"{change.name} is outside what can be real ({real}) in {after:.0%} of rows "
                f"(usually {before:.1%}){_was(change)}"
            )
            faults.append(Fault(FaultKind.RANGE, (change.name,), after, reason))
    return faults


def converted(changes: Sequence[Change]) -> list[Fault]:
    """Columns that a known conversion of units turns back into usual ones."""
    faults = []
    for change in changes:
        # Dozens are tried, and each asks for one of these in the end.
        if not isinstance(change, Numbers) or not _may_be_converted(change):
            continue
        fits = sorted((fit, item.name) for item in CONVERSIONS if (fit := _fit(change, item)) is not None)
        if fits:
            (kept, best), _ = fits[0]
            names = " or ".join(name for (other, misfit), name in fits if other == kept and misfit - best <= _ALIKE)
            reason = f"{change.name} looks converted, {names}{_was(change)}"
            faults.append(Fault(FaultKind.UNIT, (change.name,), change.known_share, reason))
    return faults


def swapped(changes: Sequence[Change]) -> list[Fault]:
    """Pairs of columns that hold each other's values, those that do so best first."""
    moved = [change for change in changes if isinstance(change, Numbers) and change.gap >= 0.1]
    pairs = [pair for pair in combinations(moved, 2) if _are_swapped(*pair)]
    faults: list[Fault] = []
    for a, b in sorted(pairs, key=lambda pair: _gap_across(*pair) + _gap_across(*pair[::-1])):
        if not any({a.name, b.name} & set(fault.columns) for fault in faults):
            reason = f"{a.name} and {b.name} are swapped: each holds what is usual for the other{_was(a)}"
            faults.append(Fault(FaultKind.SWAPPED, (a.name, b.name), min(a.known_share, b.known_share), reason))
    return faults


def _was(change: Numbers) -> str:
    if change.now is None or change.usual is None:
        return ""
    now, usual = change.now, change.usual
    return (
        f": mean {now.mean:.4g}, from {now.low:.4g} to {now.high:.4g} "
        f"(usually mean {usual.mean:.4g}, from {usual.low:.4g} to {usual.high:.4g})"
    )


def _may_be_converted(change: Numbers) -> bool:
    """Whether there is any of the evidence that one conversion or another is believed for."""
    if change.is_foreign or change.moved >= _MOVED or change.novelty >= BROKEN_SHARE:
        return True
    now, usual = change.now, change.usual
    return now is not None and usual is not None and now.deviation * _COLLAPSE <= usual.deviation


def _fit(change: Numbers, conversion: Conversion) -> tuple[int, float] | None:
    """How badly a conversion explains the change, the smaller the better; None if it does not."""
    now, usual = change.now, change.usual
    if now is None or usual is None or not usual.deviation:
        return None
    # Dozens are tried on every column, and most end here: the rest of the question costs ten times as much.
    if (
        now.deviation / conversion.factor > _WIDEST * usual.deviation
        or abs(conversion.back(now.mean) - usual.mean) > _APART * usual.deviation
    ):
        return None
    back = now.back(conversion)
    if not _resembles(back, usual, least=0.0, most=_APART):
        return None
    kept = change.digits is not None and change.fits((back.low, back.high))
    distance = abs(back.mean - usual.mean) / usual.deviation
    if now.low == now.high:
        return (0, distance) if kept and _is_moved_whole(change, conversion, back) else None
    if not change.varies or not _is_believed(change, conversion, now, usual, back, kept):
        return None
    return (0 if kept else 1, distance + abs(math.log(back.deviation / usual.deviation)))


def _is_believed(change: Numbers, conversion: Conversion, now: Side, usual: Side, back: Side, kept: bool) -> bool:
    """Whether there is evidence that the world does not give. The more it says, the further a window may be off."""
    # Where decimals prove it, days of nearly a single value are no objection.
    if kept and change.is_foreign:
        return True
    if change.digits is not None and change.is_foreign and _is_undone(change, now, back):
        return _resembles(back, usual, least=0.0, most=_NEAR)
    if change.digits is None:
        proven = _is_scaled(change, conversion, back, usual)
    else:
        # Values in the usual steps are the column's own, however cold the day.
        proven = kept and change.step == 1 and conversion.offset < 0 and _is_coarser(change, back, usual)
    if proven and _resembles(back, usual, least=0.0 if kept else _NARROW, most=_NEAR):
        return True
    return _resembles(back, usual, least=_NARROW, most=_APART) and _is_far(change, conversion, now, usual, kept)


def _is_moved_whole(change: Numbers, conversion: Conversion, back: Side) -> bool:
    """Whether one value in all rows is the most usual one, converted: a day of clear sight."""
    large = change.novelty >= BROKEN_SHARE and conversion.factor >= _FAR
    return (change.is_foreign or large) and change.usual_at(back.low) >= BROKEN_SHARE


def _is_undone(change: Numbers, now: Side, back: Side) -> bool:
    """Whether converting back takes several decimals away, to about as many as usual."""
    before, after = decimals((back.low, back.high)), decimals((now.low, now.high))
    return change.step == 1 and after - before >= _SPARE and change.fits((back.low, back.high), more=2)


def _is_coarser(change: Numbers, back: Side, usual: Side) -> bool:
    """Whether values lost a decimal and moved far, to where converting back makes them quite usual.

    The trace of Celsius where Fahrenheit was expected: thermometers round to whole tenths of Celsius.
    """
    now, digits = change.now, change.digits
    coarser = now is not None and digits is not None and digits > 0 and rounded((now.low, now.high), digits - 1)
    return coarser and change.moved >= 2 and abs(back.mean - usual.mean) <= 2 * usual.deviation


def _is_far(change: Numbers, conversion: Conversion, now: Side, usual: Side, kept: bool) -> bool:
    """Whether both the conversion and the change are larger than changes of the world are."""
    new = change.novelty >= BROKEN_SHARE
    if conversion.factor * _FAR <= 1:
        collapsed = now.deviation * _COLLAPSE <= usual.deviation and change.usual_share < BROKEN_SHARE
        larger = collapsed or (new and now.deviation * _JUMP <= usual.deviation)
    else:
        far = conversion.factor >= _FAR or abs(conversion.offset) >= _FAR * usual.deviation
        jumped = change.moved >= _JUMP or now.deviation >= _JUMP * usual.deviation
        larger = far and new and jumped and _is_whole(change, conversion, kept)
    # The dearest question last: dozens of conversions are tried on every column.
    return larger and change.gap_after(conversion) <= _ROUGH


def _is_whole(change: Numbers, conversion: Conversion, kept: bool) -> bool:
    """Whether all rows are converted, as in another unit, and not most of them replaced, as by a filler."""
    if change.step > 1 and not kept:
        return False
    where_none, more = change.left_after(conversion)
    if kept or change.digits is None or change.is_foreign:
        return where_none <= _STRAY and more <= _CLOSE
    return where_none == 0 and more <= _STRAY


def _is_scaled(change: Numbers, conversion: Conversion, back: Side, usual: Side) -> bool:
    """Whether numbers without rounding are the usual ones in another unit, to the accuracy of a window."""
    moved = change.moved >= _MOVED and change.gap >= 0.3
    # Rows of one day that have much in common have narrow tails; rows that do not, such as these, have wide ones.
    wide = back.width >= 0.6 * usual.width
    return moved and wide and _equals(back, usual, change.known_rows) and change.gap_after(conversion) <= _CLOSE


def _are_swapped(a: Numbers, b: Numbers) -> bool:
    """Whether each could be the other, and neither what it should be."""
    if _is_broken(a) or _is_broken(b):
        return _is_explained(a, b) and _is_explained(b, a)
    if _is_strange(a) and _is_strange(b):
        return _holds(a, b, 2.5) and _holds(b, a, 2.5)
    return _is(a, b) and _is(b, a)


def _is_broken(change: Numbers) -> bool:
    """Whether values cannot be the column's own."""
    return share_of(change.after, 0, -2) >= BROKEN_SHARE or change.is_foreign


def _is_explained(one: Numbers, other: Numbers) -> bool:
    """Whether a column could hold the other's values; better than its own, if those are possible too."""
    if not _holds(one, other, math.inf):
        return False
    # To come in the other's steps by chance is rare.
    return _is_broken(one) or one.step < other.step or _gap_across(one, other) < one.gap


def _gap_across(one: Numbers, other: Numbers) -> float:
    """Distance of one column's values from the usual ones of the other."""
    return shape_gap(one.bins.edges, one.after, other.bins.edges, other.before)


def _is_strange(change: Numbers) -> bool:
    """Whether values are where the column hardly ever was, or all the same."""
    return change.novelty >= BROKEN_SHARE or (change.only is not None and change.usual_share < BROKEN_SHARE)


def _holds(one: Numbers, other: Numbers, most: float) -> bool:
    """Whether a column's values could be a usual window of the other."""
    if one.now is None or other.usual is None:
        return False
    if not other.fits((one.now.low, one.now.high), more=2):
        return False
    if one.now.low == one.now.high:
        return other.usual_at(one.now.low) >= BROKEN_SHARE
    return _resembles(one.now, other.usual, least=0, most=most, widest=6)


def _is(one: Numbers, other: Numbers) -> bool:
    """Whether a column is distributed as the other usually is, and not as itself."""
    if one.now is None or other.usual is None or not one.now.deviation:
        return False
    # Long tails scatter the deviation more than a bell does.
    alike = one.gap >= 0.2 and _equals(one.now, other.usual, one.known_rows, tails=2)
    return alike and _holds(one, other, 3.5) and _gap_across(one, other) <= _CLOSE


def _resembles(side: Side, usual: Side, *, least: float, most: float, widest: float = _WIDEST) -> bool:
    """Whether numbers could be a usual window: days differ from each other, so widely taken.

    Args:
        least, widest: bounds of their deviation, in usual deviations.
        most: distance of the means, at most; in usual deviations.
    """
    reach = max(usual.deviation, (usual.high - usual.low) / 4)
    lowest = max(usual.low - reach, 0.0 if usual.low >= 0 else -math.inf)
    return (
        abs(side.mean - usual.mean) <= most * usual.deviation
        and least * usual.deviation <= side.deviation <= widest * usual.deviation
        and lowest <= side.low
        and side.high <= usual.high + reach
    )


def _equals(side: Side, usual: Side, rows: int, tails: float = 1) -> bool:
    """Whether mean and deviation are the usual ones, as exactly as so many independent rows tell (three in a thousand
    windows lie outside); ``tails`` is how much more than a normal one's the deviation may scatter."""
    error = 3 / math.sqrt(rows)
    near = abs(side.mean - usual.mean) <= error * usual.deviation
    return near and abs(math.log(side.deviation / usual.deviation)) <= tails * error / math.sqrt(2)
