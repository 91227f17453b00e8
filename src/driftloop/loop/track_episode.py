"""A pipeline has ended: what became of its episode."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.names import model_of_endpoint
from driftloop.ports import Clock, Ledger, NotFoundError, Notifier, Pipelines
from driftloop.retraining.decision import MONTH
from driftloop.retraining.episode import Episode, Status

REJECTION_STEP = "RejectChallenger"


@dataclass(frozen=True)
class Tracker:
    """Moves episodes on when their pipeline has ended."""

    ledger: Ledger
    pipelines: Pipelines
    notifier: Notifier
    clock: Clock

    def ended(self, execution_arn: str, status: str) -> Episode:
        """Record the end of an execution (``Succeeded``, ``Failed`` or ``Stopped``).

        Raises NotFoundError if no episode knows the execution.
        """
        episode = self._find(execution_arn)
        if episode.status is not Status.STARTED:
            return episode  # delivered twice, or the rollout has overtaken this event
        moved = self._next(episode, status)
        if self.ledger.move(moved, Status.STARTED) and moved.status.is_final:
            subject = f"[driftloop] {moved.model}: retraining {moved.status}"
            self.notifier.publish(subject, f"Episode {moved.id}\n{moved.outcome}\n{execution_arn}\n")
        return moved

    def _find(self, execution_arn: str) -> Episode:
        pipeline = execution_arn.rsplit(":pipeline/", maxsplit=1)[-1].split("/", maxsplit=1)[0]
        model = model_of_endpoint(pipeline)
        for episode in reversed(self.ledger.episodes(model, self.clock.now() - MONTH)):
            if episode.pipeline_execution_arn == execution_arn:
                return episode
        raise NotFoundError(f"no episode of {model} has the execution {execution_arn}")

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
