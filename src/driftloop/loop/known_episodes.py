"""The episodes that count now."""

from __future__ import annotations

from datetime import datetime

from driftloop.ports import Ledger, Work
from driftloop.retraining.decision import LOOK_BACK
from driftloop.retraining.episode import Episode


def known_episodes(ledger: Ledger, model: str, now: datetime) -> list[Episode]:
    """Those of the last 90 days, and the one that is under way: it may wait for a person for longer."""
    episodes = ledger.episodes(model, now - LOOK_BACK)
    running = ledger.busy([model]).get(model, Work()).episode
    if running and not any(episode.id == running.id for episode in episodes):
        return [running, *episodes]
    return episodes
