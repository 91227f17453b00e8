"""The one door through which retrainings start: claim, start, confirm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from driftloop.loop.announce import Announcer
from driftloop.loop.known_episodes import known_episodes
from driftloop.ports import Clock, Ledger, Model, Models, Pipelines, RetryableError, TerminalError
from driftloop.retraining.decision import Decision, Policy, Verdict, decide, training_windows
from driftloop.retraining.episode import Episode, Request, Status, open_episode
from driftloop.retraining.evidence import Evidence

_UNSTARTED = {
    Verdict.REFUSE: Status.REFUSED,
    Verdict.WAIT: Status.DEFERRED,
    Verdict.MERGE: Status.MERGED,
}


@dataclass(frozen=True)
class Starter:
    """Decides about requests and starts pipelines, each episode once."""

    models: Models
    ledger: Ledger
    pipelines: Pipelines
    announcer: Announcer
    clock: Clock

    def handle(self, request: Request) -> Episode:
        """The episode that the request opened, was answered with or had already opened before.

        Raises RetryableError if the pipeline cannot be started now, or another request won the race.
        """
        model = self.models.get(request.model)
        known = self.ledger.episode(request.model, request.episode_id)
        if known is not None:
            # A crash between claim and start leaves "requested" behind.
            return self._launch(model, known) if known.status is Status.REQUESTED else known
        now = self.clock.now()
        decision = self.decide(model, request, now)
        if not decision.start:
            return self._answer(request, decision, now)
        episode = replace(
            open_episode(request, Status.REQUESTED, decision.rule, decision.reason, now),
            revision=model.resources.revision,
        )
        if not self.ledger.claim(episode, now):
            raise RetryableError(f"another request for {request.model} came first; the next delivery will see it")
        self.announcer.moved(episode)
        return self._launch(model, episode)

    def decide(self, model: Model, request: Request, now: datetime) -> Decision:
        """What would become of a request now; nothing is written."""
        episodes = known_episodes(self.ledger, model.name, now)
        return decide(Policy.from_spec(model.spec), episodes, request, now, self.evidence(model.name))

    def evidence(self, model: str) -> Evidence:
        """What the ledger knows of a model besides its episodes."""
        champion = self.ledger.champion(model)
        return Evidence(
            champion_since=champion.since if champion else None,
            champion_version=champion.version if champion else 0,
            pause=self.ledger.pause(model),
            watch=self.ledger.watch(model),
        )

    def resume(self, episode: Episode) -> Episode:
        """Start the pipeline of an episode that was claimed and not confirmed: the token makes starting again harmless.

        Raises RetryableError if the pipeline cannot be started now.
        """
        return self._launch(self.models.get(episode.model), episode)

    def _answer(self, request: Request, decision: Decision, now: datetime) -> Episode:
        opened = open_episode(request, _UNSTARTED[decision.verdict], decision.rule, decision.reason, now)
        episode = replace(opened, until=decision.until, into=decision.into)
        if self.ledger.record(episode):
            self.announcer.moved(episode)
        return episode

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
            moved = episode.moved(Status.FAILED, self.clock.now(), str(error))
        else:
            moved = replace(episode.moved(Status.STARTED, self.clock.now()), pipeline_execution_arn=arn)
        self.announcer.move(self.ledger, moved, Status.REQUESTED)
        return moved
