"""A pipeline has ended: what became of its episode."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from driftloop.loop.announce import Announcer
from driftloop.names import model_of_execution
from driftloop.ports import Clock, Ledger, NotFoundError, Pipelines, RetryableError
from driftloop.retraining.decision import LOOK_BACK
from driftloop.retraining.episode import Episode, Status

ENDED = frozenset({"Succeeded", "Failed", "Stopped"})
"""Statuses of an execution that has ended."""
REJECTION_STEP = "RejectChallenger"


@dataclass(frozen=True)
class Tracker:
    """Moves episodes on when their pipeline has ended."""

    ledger: Ledger
    pipelines: Pipelines
    announcer: Announcer
    clock: Clock
    card: Callable[[str], None] = lambda _: None
    """Writes the model card of what an execution registered, if it can: the episode does not wait for it."""

    def ended(self, execution_arn: str, status: str) -> Episode | None:
        """Record the end of an execution (``Succeeded``, ``Failed`` or ``Stopped``), if the execution says so, too.

        None if no episode knows the execution: somebody started it by hand. Raises RetryableError while an episode's
        start is not recorded yet, as the execution may be that one's.
        """
        episode = self._ended(execution_arn, status)
        if status == "Succeeded":
            # Also of a run by hand, and of one whose episode has moved on.
            self.card(execution_arn)
        return episode

    def _ended(self, execution_arn: str, status: str) -> Episode | None:
        episode = self._find(execution_arn)
        if episode is None or episode.status is not Status.STARTED:
            return episode  # delivered twice, or the rollout has overtaken this event
        with suppress(NotFoundError):  # deleted since: the event is all that is left of it
            # Events come late, after a retry of the execution for example: what it does now counts.
            status = self.pipelines.status(execution_arn)
        return self._move(self._next(episode, status)) if status in ENDED else episode

    def look(self, episode: Episode) -> Episode:
        """The same for an episode of which no event has told."""
        try:
            status = self.pipelines.status(episode.pipeline_execution_arn)
        except NotFoundError as error:
            return self._move(episode.moved(Status.FAILED, self.clock.now(), f"the pipeline is gone: {error}"))
        if status not in ENDED:
            return episode
        moved = self._move(self._next(episode, status))
        if status == "Succeeded":
            self.card(episode.pipeline_execution_arn)
        return moved

    def lost(self, episode: Episode) -> Episode:
        """The version that an episode registered has been deleted."""
        return self._move(episode.moved(Status.FAILED, self.clock.now(), "its version was deleted"), episode.status)

    def _move(self, moved: Episode, expected: Status = Status.STARTED) -> Episode:
        if self.announcer.move(self.ledger, moved, expected):
            return moved
        return self.ledger.episode(moved.model, moved.id) or moved

    def _find(self, execution_arn: str) -> Episode | None:
        model = model_of_execution(execution_arn)
        episodes = self.ledger.episodes(model, self.clock.now() - LOOK_BACK)
        for episode in reversed(episodes):
            if episode.pipeline_execution_arn == execution_arn:
                return episode
        if any(episode.status is Status.REQUESTED for episode in episodes):
            raise RetryableError(f"{execution_arn} has ended before its start was recorded; the next delivery will see")
        return None

    def _next(self, episode: Episode, status: str) -> Episode:
        now = self.clock.now()
        if status == "Succeeded":
            return episode.moved(Status.CANDIDATE, now, "a version was registered and waits for its approval")
        if status == "Stopped":
            return episode.moved(Status.FAILED, now, "the pipeline was stopped")
        step, reason = self.pipelines.failure(episode.pipeline_execution_arn)
        if step == REJECTION_STEP:
            return episode.moved(Status.REJECTED, now, reason)
        return episode.moved(Status.FAILED, now, f"step {step or 'unknown'} failed: {reason or 'no reason given'}")
