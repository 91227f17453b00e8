"""Numbers, times and states as people read them."""

from __future__ import annotations

import html
import textwrap
from datetime import date, datetime

from driftloop.retraining.episode import Status

TRIGGERS = {
    "drift": "drift alarm",
    "quality": "quality alarm",
    "schedule": "schedule",
    "data": "new data",
    "code": "new code or settings",
    "manual": "by hand",
}
STATUSES = {
    Status.PROMOTED: "promoted",
    Status.REJECTED: "rejected",
    Status.REFUSED: "refused",
    Status.DEFERRED: "deferred",
    Status.MERGED: "merged",
    Status.FAILED: "failed",
    Status.ROLLED_BACK: "rolled back",
}


def day(moment: date | datetime) -> str:
    """``12 May 2013``."""
    return f"{moment.day} {moment:%b %Y}"


def minute(moment: datetime) -> str:
    """``12 May 2013, 06:00``."""
    return f"{day(moment)}, {moment:%H:%M}"


def signed(value: float, digits: int = 4) -> str:
    """With sign, and with a true minus."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(number: int, one: str, many: str = "") -> str:
    """``1 retraining``, ``4 retrainings``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def unit(metric: str) -> str:
    """Unit of a difference in the gate's metric."""
    return "nats per row" if metric == "log_loss" else metric.replace("_", " ").upper()


def seconds(value: float) -> str:
    """``4.2 s`` or ``3 min 20 s``."""
    if value < 100:
        return f"{value:.1f} s"
    return f"{int(value) // 60} min {int(value) % 60:02d} s"


def trigger(name: str) -> str:
    """A trigger in words."""
    return TRIGGERS.get(name, name)


def status(value: Status) -> str:
    """A status in words."""
    return STATUSES.get(value, str(value).replace("_", " "))


def hover(text: str, width: int = 58) -> str:
    """Text for a plot's hover label, which reads a little markup: escaped and wrapped."""
    return "<br>".join(html.escape(line, quote=False) for line in textwrap.wrap(text, width))
