"""The last windows in a strip, this one marked; observed loss restated with labels that came later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise

from driftloop.reports import words
from driftloop.reports.drift.marks import DASH, SIGNS, scale_top, score_text, verdict_class
from driftloop.reports.drift.record import WindowReport
from driftloop.reports.drift.windows import Slot, slots_of
from driftloop.reports.markup import Child, Html, join, tag
from driftloop.reports.tables import folded, table

_HEIGHT = 30.0
_NUMBERS = "3456789"

Read = Callable[[WindowReport], float | None]
SIGNALS: tuple[tuple[str, Read], ...] = (
    ("input drift", lambda r: r.input_drift),
    ("prediction drift", lambda r: r.prediction_drift),
    ("estimated loss", lambda r: r.estimated_loss),
    ("quality loss", lambda r: r.quality_loss),
)


def history_section(report: WindowReport, neighbours: Sequence[WindowReport]) -> Html:
    """The strip with a table of its numbers."""
    slots = slots_of(report, neighbours)
    if len(slots) == 1:
        return tag("p", "No other window was at hand.", class_="empty")
    top = scale_top(read(slot.report) for slot in slots for _, read in SIGNALS)
    lead = tag(
        "p",
        f"{words.count(len(slots), 'window')}; this one is marked. The dashed line is the limit (1.0), the top is {top:.1f}. "
        "A dotted line is a new version. Observed loss is each window's own, restated with the labels that came later.",
        class_="lead",
    )
    shown = [(name, read) for name, read in SIGNALS if any(read(slot.report) is not None for slot in slots)]
    rows = [_lane("verdict", [_verdict(slot) for slot in slots], slots, str(report.verdict))]
    rows += [_signal(name, read, slots, top) for name, read in shown]
    rows += _observed(slots)
    ends = tag("div", tag("span", words.day(slots[0].report.window.start)), tag("span", words.day(slots[-1].report.window.start)), class_="ends", aria_hidden="true")  # fmt: skip
    strip = tag("div", rows, ends, class_="strip")
    return join(lead, strip, _legend(slots), folded("The same in numbers", history_table(slots)))


def _signal(name: str, read: Read, slots: Sequence[Slot], top: float) -> Html:
    bars = [_bar(slot, score / top, "over" if score >= 1 else "under", f"{score:.2f} times the limit")
            for slot in slots if (score := read(slot.report)) is not None]  # fmt: skip
    at = _HEIGHT * (1 - 1 / top)
    limit = tag("line", x1=0, x2=_width(slots), y1=f"{at:.2f}", y2=f"{at:.2f}", class_="limit")
    now = next(read(slot.report) for slot in slots if slot.present)
    return _lane(name, [*bars, limit], slots, score_text(now))


def _observed(slots: Sequence[Slot]) -> list[Html]:
    """Observed minus usual log-loss; the strip's top is the largest."""
    worse = {slot.place: excess for slot in slots if (excess := slot.excess) is not None}
    if not worse:
        return []
    top = max(0.001, *(abs(value) for value in worse.values()))
    bars = [_bar(slot, max(0.0, value) / top, "excess", f"log-loss {words.signed(value)} nats per row against usual")
            for slot in slots if (value := worse.get(slot.place)) is not None]  # fmt: skip
    now = next((worse.get(slot.place) for slot in slots if slot.present), None)
    return [_lane("observed loss above usual", bars, slots, DASH if now is None else words.signed(now, 3))]


def _bar(slot: Slot, part: float, kind: str, told: str) -> Html:
    height = _HEIGHT * max(0.02, min(1.0, part))
    title = tag("title", f"{words.day(slot.report.window.start)}: {told}")
    box = {"x": f"{slot.place + 0.12:.2f}", "y": f"{_HEIGHT - height:.2f}", "width": 0.76, "height": f"{height:.2f}"}
    return tag("g", title, tag("rect", **box, class_=kind))  # type: ignore[arg-type]


def _verdict(slot: Slot) -> Html:
    title = tag("title", f"{words.day(slot.report.window.start)}: {slot.report.verdict} (v{slot.report.version})")
    kind = f"v {verdict_class(slot.report.verdict)}"
    return tag("g", title, tag("rect", x=slot.place + 0.06, y=6, width=0.88, height=18, class_=kind))


def _lane(name: str, marks: Sequence[Html], slots: Sequence[Slot], now: str) -> Html:
    here = next(slot.place for slot in slots if slot.present)
    band = tag("rect", x=here - 0.1, y=0, width=1.2, height=_HEIGHT, class_="here")
    drawn = tag("svg", band, list(marks), _changes(slots), viewBox=f"0 0 {_width(slots)} {_HEIGHT:g}", preserveAspectRatio="none",
                class_="lane", role="img", aria_label=f"{name} of the last windows; the numbers are in the table below")  # fmt: skip
    return tag("div", tag("span", name, class_="lane-name"), drawn, tag("b", now, class_="lane-now"), class_="lane-row")


def _changes(slots: Sequence[Slot]) -> list[Html]:
    """A line where another version began to serve."""
    places = [b.place for a, b in pairwise(slots) if a.report.version != b.report.version]
    return [tag("line", x1=x, x2=x, y1=0, y2=_HEIGHT, class_="version") for x in places]


def _width(slots: Sequence[Slot]) -> int:
    return slots[-1].place + 1


def _legend(slots: Sequence[Slot]) -> Html:
    present = dict.fromkeys(slot.report.verdict for slot in slots)
    parts = [join(tag("span", class_=f"swatch v {verdict_class(verdict)}"), f" {verdict} ") for verdict in present]
    return tag("p", parts, class_="key")


def history_table(slots: Sequence[Slot]) -> Html:
    """Every window with its scores."""
    heads = [
        "Window",
        "Version",
        "Verdict",
        *(name for name, _ in SIGNALS),
        "Observed log-loss",
        "Usual",
        "Labelled",
        "Rows",
    ]
    rows = [_table_row(slot) for slot in reversed(slots)]
    return table("history-table", "The last windows, the latest first; scores are value / limit", heads, rows, _NUMBERS)


def _table_row(slot: Slot) -> list[Child]:
    report = slot.report
    labelled = DASH if slot.quality is None else f"{slot.quality.labelled_rows:,}"
    return [
        _name(report.window.start, slot.present), f"v{report.version}", f"{SIGNS[report.verdict]} {report.verdict}",
        *(score_text(read(report)) for _, read in SIGNALS),
        *(DASH if loss is None else f"{loss:.4f}" for loss in (slot.observed, slot.usual)), f"{labelled} of {report.rows:,}",
    ]  # fmt: skip


def _name(start: datetime, present: bool) -> str:
    when = words.day(start) if start.hour == start.minute == 0 else words.minute(start)
    return f"{when} (this one)" if present else when
