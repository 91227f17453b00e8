"""Faults of category columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from driftloop.monitoring.change import Change, Names, variation
from driftloop.monitoring.encodings import covered, explain
from driftloop.monitoring.fault_kinds import BROKEN_SHARE, USUAL_SHARE, Fault, FaultKind, became, share_of
from driftloop.monitoring.sample import SIZE

ENCODED_SHARE = 0.25
"""Share of rows with an explained encoding from which on it is a fault: no change of the world does that."""


def swapped(changes: Sequence[Change]) -> list[Fault]:
    """Pairs of columns that hold each other's names."""
    names = [change for change in changes if isinstance(change, Names)]
    faults: list[Fault] = []
    moved = [change for change in names if variation(change.now, change.usual) >= 0.3]
    for a, b in combinations(moved, 2):
        if _are_swapped(a, b) and not any({a.name, b.name} & set(fault.columns) for fault in faults):
            reason = f"{a.name} and {b.name} are swapped: each holds the other's categories"
            faults.append(Fault(FaultKind.SWAPPED, (a.name, b.name), min(a.known_share, b.known_share), reason))
    return faults


def _are_swapped(a: Names, b: Names) -> bool:
    if all(share_of(x.after, -2) >= BROKEN_SHARE for x in (a, b)) and _holds(a, b) and _holds(b, a):
        return True
    # Columns of the same names: told by how often each comes, which a full sample of the unseen ones cannot say.
    whole = all(len(x.unseen.counts) < SIZE for x in (a, b))
    return whole and variation(a.now, b.usual) <= 0.2 and variation(b.now, a.usual) <= 0.2


def _holds(one: Names, other: Names) -> bool:
    """Whether the unseen names of one column are the other's."""
    return covered(one.unseen.counts, other.known.__contains__)


def encoded(changes: Sequence[Change]) -> list[Fault]:
    """Unseen names that are known ones, written differently."""
    faults = []
    for change in changes:
        if not isinstance(change, Names):
            continue
        before, after = share_of(change.before, -2), share_of(change.after, -2)
        if after < ENCODED_SHARE or before >= USUAL_SHARE:
            continue
        found = explain(change.unseen.counts, change.known)
        if found is not None and (found.certain or after >= BROKEN_SHARE):
            reason = f"{change.name} has {found.text} in {after:.0%} of rows{_examples(change)}"
            faults.append(Fault(FaultKind.ENCODING, (change.name,), after, reason))
    return faults


def unseen(changes: Sequence[Change]) -> list[Fault]:
    """Mostly names that training did not know, without an explanation."""
    names = [change for change in changes if isinstance(change, Names)]
    faults = []
    for change in names:
        before, after = share_of(change.before, -2), share_of(change.after, -2)
        if became(before, after):
            owner = next((other.name for other in names if other is not change and _holds(change, other)), None)
            hint = f", which are categories of {owner}" if owner else ""
            reason = (
                f"{change.name} has categories that training did not know in {after:.0%} of rows "
                f"(usually {before:.1%}){_examples(change)}{hint}"
            )
            faults.append(Fault(FaultKind.UNSEEN, (change.name,), after, reason))
    return faults


def _examples(change: Names) -> str:
    most = sorted(change.unseen.counts, key=lambda name: (-change.unseen.counts[name], name))[:3]
    return f": {', '.join(repr(name[:40]) for name in most)}" if most else ""
