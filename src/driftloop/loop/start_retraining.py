"""The one door through which retrainings start: claim, start, confirm."""

from __future__ import annotations

from dataclasses import dataclass, replace

from driftloop.ports import Clock, Ledger, Model, Models, Notifier, Pipelines, RetryableError, TerminalError
from driftloop.retraining.decision import MONTH, Policy, decide, training_windows
from driftloop.retraining.episode import Episode, Request, Status, open_episode


@dataclass(frozen=True)
class Starter:
    """Decides about requests and starts pipelines, each episode once."""

    models: Models
    ledger: Ledger
    pipelines: Pipelines
    notifier: Notifier
    clock: Clock

    def handle(self, request: Request) -> Episode:
        """The episode that the request opened, refused or had already opened before.

        Raises RetryableError if the pipeline cannot be started now, or another request won the race.
        """
        model = self.models.get(request.model)
        known = self.ledger.episode(request.model, request.episode_id)
        if known is not None:
            # A crash between claim and start leaves "requested" behind.
            return self._launch(model, known) if known.status is Status.REQUESTED else known
        now = self.clock.now()
        policy = Policy.from_spec(model.spec)
        decision = decide(policy, self.ledger.episodes(request.model, now - MONTH), request, now)
        if not decision.start:
            refused = open_episode(request, Status.REFUSED, decision.rule, decision.reason)
            self.ledger.record(refused)
            return refused
        episode = open_episode(request, Status.REQUESTED, decision.rule)
        if not self.ledger.claim(episode, now):
            raise RetryableError(f"another request for {request.model} came first; the next delivery will see it")
        return self._launch(model, episode)

    def resume(self, episode: Episode) -> Episode:
        """Start the pipeline of an episode that was claimed and not confirmed: the token makes starting again harmless.

        Raises RetryableError if the pipeline cannot be started now.
        """
        return self._launch(self.models.get(episode.model), episode)

    def _launch(self, model: Model, episode: Episode) -> Episode:
        policy = Policy.from_spec(model.spec)
        # The windows follow from the episode, not from the time of this attempt: a retry asks for the same run.
        parameters = training_windows(policy, episode.opened_at).parameters() | {
            "EpisodeId": episode.id,
            "Trigger": str(episode.trigger),
            "ApprovalStatus": "Approved" if policy.approval == "auto" else "PendingManualApproval",
        }
        try:
            arn = self.pipelines.start(model.resources.pipeline, parameters, episode.token)
        except TerminalError as error:
            failed = episode.moved(Status.FAILED, self.clock.now(), str(error))
            self.ledger.move(failed, Status.REQUESTED)
            self._tell(failed)
            return failed
        started = replace(episode.moved(Status.STARTED, self.clock.now()), pipeline_execution_arn=arn)
        if self.ledger.move(started, Status.REQUESTED):
            self._tell(started)
        return started

    def _tell(self, episode: Episode) -> None:
        subject = f"[driftloop] {episode.model}: retraining {episode.status}"
        body = f"Episode {episode.id}\nTrigger: {episode.trigger}\nReason: {episode.reason}\n{episode.outcome}"
        self.notifier.publish(subject, f"{body}\n{episode.pipeline_execution_arn}\n")
