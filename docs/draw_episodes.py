"""Draws the state machine of episodes from its code: ``python docs/draw_episodes.py`` writes ``docs/episodes.svg``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import pairwise
from pathlib import Path

from driftloop.retraining.episode import MOVES, NEVER_RAN, Status

OUTPUT = Path(__file__).with_name("episodes.svg")
WIDTH, ROW, BOX_WIDTH, BOX_HEIGHT, STEP = 1000, 150, 112, 40, 157
LEFT, LANE = 60, 62
ENTRY = Status.REQUESTED
GOOD = Status.PROMOTED
_STYLE = """
    :root { --paper: #ffffff; --ink: #1f2933; --soft: #5b6875; --box: #f1f4f7; --line: #9aa7b4; --own: #0b6bcb;
      --fill: #e5f0fb; --good: #1a7f4b; --bad: #b3432b; }
    @media (prefers-color-scheme: dark) {
      :root { --paper: #12171d; --ink: #e6ebf0; --soft: #a3b0bd; --box: #1d252e; --line: #5d6b79; --own: #6cb6ff;
        --fill: #14293f; --good: #5fd39a; --bad: #f0937d; }
    }
    .paper { fill: var(--paper); }
    .runs { fill: var(--fill); stroke: var(--own); stroke-width: 1.5; }
    .good { fill: var(--box); stroke: var(--good); stroke-width: 2; }
    .bad { fill: var(--box); stroke: var(--bad); stroke-width: 1.5; }
    .never { fill: var(--box); stroke: var(--line); stroke-dasharray: 4 3; }
    .dot { fill: var(--ink); }
    text { fill: var(--ink); font: 600 12.5px ui-monospace, "SF Mono", Consolas, monospace; text-anchor: middle; }
    .note { fill: var(--soft); font: 11.5px system-ui, -apple-system, "Segoe UI", sans-serif; }
    path { fill: none; stroke: var(--line); stroke-width: 1.6; marker-end: url(#tip); }
    #tip path { fill: var(--line); stroke: none; marker-end: none; }
"""


class DrawingError(Exception):
    """A state machine of a shape that this drawing cannot show without lines that cross."""


@dataclass(frozen=True)
class Box:
    """A state, by the middle of its box; ``side`` is -1 above the row, 1 below, 0 in it."""

    x: float
    y: float
    width: float
    side: int = 0

    @property
    def near(self) -> float:
        """Height of the edge that faces the row."""
        return self.y - self.side * BOX_HEIGHT / 2


def draw(moves: Mapping[Status, frozenset[Status]] = MOVES) -> str:
    """The drawing as SVG. Raises DrawingError."""
    places = layout(moves)
    body = [*_never_ran(places), *_arrows(moves, places), *(_box(status, box, moves) for status, box in places.items())]
    height = max(box.y for box in places.values()) + BOX_HEIGHT / 2 + 24
    return "\n".join([*_head(moves, height), *body, "</svg>", ""])


def layout(moves: Mapping[Status, frozenset[Status]]) -> dict[Status, Box]:
    """Where each state stands: what runs in a row, good ends at its end, other ends above and below what leads there."""
    column = _columns(moves)
    row = {s: Box(_middle(column[s]), ROW, BOX_WIDTH) for s in column if moves[s] or s is GOOD}
    if len({box.x for box in row.values()}) < len(row):
        raise DrawingError("two states of the row are the same number of moves from the request")
    before = {s: sorted(row[p].x for p in row if s in moves[p]) for s in column if s not in row}
    # The end that most states lead to has one side for itself.
    first, *others = sorted(before, key=lambda status: (-len(before[status]), status))
    places = {**row, first: _bar(before[first], ROW - LANE - BOX_HEIGHT, -1)}
    ends = sorted(others, key=lambda status: before[status])
    for left, right in pairwise(ends):
        if before[left][-1] >= before[right][0]:
            raise DrawingError(f"{left} and {right} would have crossing arrows")
    places |= {status: _bar(before[status], ROW + LANE + BOX_HEIGHT, 1) for status in ends}
    below = ROW + LANE + BOX_HEIGHT
    never = [status for status in moves if status in NEVER_RAN]
    return places | {
        s: Box(_middle(0), below + number * (BOX_HEIGHT + 12), BOX_WIDTH) for number, s in enumerate(never)
    }


def _columns(moves: Mapping[Status, frozenset[Status]]) -> dict[Status, int]:
    """Greatest number of moves from the request to each state that it can become."""

    @cache
    def depth(status: Status) -> int:
        before = [depth(other) for other in moves if status in moves[other]]
        return 1 + max(before) if before else 0

    if any(moves[status] for status in NEVER_RAN):
        raise DrawingError("what was answered without a retraining cannot move on")
    found = {status: depth(status) for status in moves if status not in NEVER_RAN}
    if [status for status, number in found.items() if not number] != [ENTRY]:
        raise DrawingError(f"{ENTRY} is not the one state that others begin with")
    return found


def _middle(column: int) -> float:
    return LEFT + BOX_WIDTH / 2 + column * STEP


def _bar(xs: list[float], y: float, side: int) -> Box:
    return Box((xs[0] + xs[-1]) / 2, y, xs[-1] - xs[0] + BOX_WIDTH, side)


def _arrows(moves: Mapping[Status, frozenset[Status]], places: Mapping[Status, Box]) -> Iterator[str]:
    column = _columns(moves)
    for status, following in moves.items():
        for after in sorted(following):
            start, end = places[status], places[after]
            if end.side:
                edge = start.y + end.side * BOX_HEIGHT / 2
                yield _path(status, after, f"M{start.x:g} {edge:g}V{end.near - end.side * 2:g}")
            elif column[after] == column[status] + 1:
                right = start.x + start.width / 2
                yield _path(status, after, f"M{right:g} {start.y:g}H{end.x - end.width / 2 - 2:g}")
            else:
                top, bend = start.y - BOX_HEIGHT / 2, LANE * 0.75
                yield _path(
                    status, after,
                    f"M{start.x + 22:g} {top:g}C{start.x + 50:g} {top - bend:g} {end.x - 50:g} {top - bend:g} {end.x - 22:g} {top - 2:g}",
                )  # fmt: skip


def _never_ran(places: Mapping[Status, Box]) -> Iterator[str]:
    """From the dot, where somebody asks, to the request or to an answer without a retraining."""
    dot = LEFT - 36
    yield f'  <circle class="dot" cx="{dot}" cy="{ROW}" r="6"/>'
    for status in (ENTRY, *(status for status in places if status in NEVER_RAN)):
        box = places[status]
        down = "" if box.y == ROW else f"V{box.y:g}"
        yield _path("asked", status, f"M{dot} {ROW}{down}H{box.x - box.width / 2 - 2:g}")


def _path(start: str, end: str, line: str) -> str:
    return f'  <path data-move="{start} {end}" d="{line}"/>'


def _box(status: Status, box: Box, moves: Mapping[Status, frozenset[Status]]) -> str:
    kind = "never" if status in NEVER_RAN else "runs" if moves[status] else "good" if status is GOOD else "bad"
    x, y = box.x - box.width / 2, box.y - BOX_HEIGHT / 2
    return (
        f'  <rect class="{kind}" x="{x:g}" y="{y:g}" width="{box.width:g}" height="{BOX_HEIGHT}" rx="7"/>\n'
        f'  <text data-state="{status}" x="{box.x:g}" y="{box.y + 4:g}">{escape(status)}</text>'
    )


def _head(moves: Mapping[Status, frozenset[Status]], height: float) -> list[str]:
    told = "; ".join(f"{status} becomes {' or '.join(sorted(after))}" for status, after in moves.items() if after)
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-labelledby="t d">',
        '  <title id="t">What can become of a request for a retraining</title>',
        f'  <desc id="d">{escape(told)}. Without a retraining it ends as {", ".join(sorted(NEVER_RAN))}.</desc>',
        f"  <style>{_STYLE}  </style>",
        '  <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z"/></marker></defs>',
        f'  <rect class="paper" width="{WIDTH}" height="{height:g}" rx="10"/>',
    ]


def main(arguments: list[str]) -> int:
    """Write the drawing; with ``--check`` only say whether the file is current (status 1 if not)."""
    text = draw()
    if arguments == ["--check"]:
        return 0 if OUTPUT.exists() and OUTPUT.read_text(encoding="utf-8") == text else 1
    OUTPUT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
