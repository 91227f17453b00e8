"""A model's stack is deleted: the ledger must not hold its next life to this one."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.loop.announce import Announcer
from driftloop.loop.known_episodes import known_episodes
from driftloop.ports import Clock, Ledger, RetryableError
from driftloop.retraining.episode import Status

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
            known = known_episodes(self.ledger, model, self.clock.now())
            unfinished = [episode for episode in known if not episode.status.is_final]
            if not unfinished:
                self.ledger.forget(model)
                return
            for episode in unfinished:
                moved = episode.moved(Status.FAILED, self.clock.now(), "the model was removed")
                self.announcer.move(self.ledger, moved, episode.status)
        raise RetryableError(f"episodes of {model} move on and on; delete the stack again")
