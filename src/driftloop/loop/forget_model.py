"""A model's stack is deleted: the ledger must not hold its next life to this one."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.loop.announce import Announcer
from driftloop.ports import Clock, Ledger, RetryableError, Work
from driftloop.retraining.decision import LOOK_BACK
from driftloop.retraining.episode import Episode, Status

_LOOKS = 4
"""An episode may move while it is being ended, and another one may begin."""


@dataclass(frozen=True)
class Forgetter:
    """Ends what was under way and forgets who served. Can be repeated."""

    ledger: Ledger
    announcer: Announcer
    clock: Clock

    def forget(self, model: str) -> None:
        """The history of episodes stays; those that were open end as failed, or they would refuse all later ones.

        Versions are numbered from 1 again once the model is deployed again, so no champion may be left that is newer.
        Raises RetryableError if episodes move on and on.
        """
        for _ in range(_LOOKS):
            unfinished = self._open(model)
            if not unfinished:
                self.ledger.forget(model)
                return
            for episode in unfinished:
                moved = episode.moved(Status.FAILED, self.clock.now(), "the model was removed")
                self.announcer.move(self.ledger, moved, episode.status)
        raise RetryableError(f"episodes of {model} move on and on; delete the stack again")

    def _open(self, model: str) -> list[Episode]:
        episodes = {episode.id: episode for episode in self.ledger.episodes(model, self.clock.now() - LOOK_BACK)}
        # One that waits for a person may be older.
        leased = self.ledger.busy([model]).get(model, Work()).episode
        if leased:
            episodes[leased.id] = leased
        return [episode for episode in episodes.values() if not episode.status.is_final]
