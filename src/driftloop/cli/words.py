"""How values are written for people."""

from __future__ import annotations

from datetime import UTC, datetime

from driftloop.retraining.evidence import Pause


def stamp(moment: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def plain(text: str) -> str:
    """One line without control characters: reasons come from anybody who may put events on the bus."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def paused(found: Pause) -> str:
    """Since when, by whom and why."""
    return f"since {stamp(found.at)} by {plain(found.by)}: {plain(found.reason)}"
