"""A model's stack is deleted: the ledger must not hold its next life to this one."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.ports import Clock, Ledger
from driftloop.retraining.decision import LOOK_BACK
from driftloop.retraining.episode import Status


@dataclass(frozen=True)
class Forgetter:
    """Ends what was under way and forgets who served. Can be repeated."""

    ledger: Ledger
    clock: Clock

    def forget(self, model: str) -> None:
        """The history of episodes stays; those that were open end as failed, or they would refuse all later ones.

        Versions are numbered from 1 again once the model is deployed again, so no champion may be left that is newer.
        """
        now = self.clock.now()
        for episode in self.ledger.episodes(model, now - LOOK_BACK):
            if not episode.status.is_final:
                self.ledger.move(episode.moved(Status.FAILED, now, "the model was removed"), episode.status)
        self.ledger.forget(model)
