"""Why a model was or was not retrained: one episode among the others, in words and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from driftloop.cli.advice import next_step
from driftloop.cli.episodes import as_dict
from driftloop.cli.words import plain, stamp
from driftloop.retraining.episode import Episode, Status

HEADLINES = {
    Status.REQUESTED: "is about to be retrained: the pipeline is being started",
    Status.STARTED: "is being retrained: the pipeline runs",
    Status.CANDIDATE: "was retrained: the version waits for a decision",
    Status.APPROVED: "was retrained: the version is approved and about to be rolled out",
    Status.ROLLING_OUT: "was retrained: the version is being rolled out",
    Status.PROMOTED: "was retrained, and the version came to serve",
    Status.REJECTED: "was retrained, and the challenger was rejected",
    Status.REFUSED: "was not retrained: the request was refused",
    Status.DEFERRED: "was not retrained then: the request had to wait",
    Status.MERGED: "was not retrained for this: another episode answers it",
    Status.FAILED: "was not retrained: the attempt failed",
    Status.ROLLED_BACK: "was retrained, and the rollout was rolled back",
}
_LABEL = 10
"""Columns of the labels."""


@dataclass(frozen=True)
class Story:
    """An episode, and those that it has to do with."""

    episode: Episode
    answered_by: Episode | None
    """For a merged request."""
    answers: Sequence[Episode]
    """Requests that were merged into this episode, oldest first."""
    next_run: Episode | None
    """For a request that did not start: the model's next retraining."""
    gate: str = ""
    """What the gate decided and why, if the episode came that far."""

    @classmethod
    def of(cls, episode: Episode, ledger: Sequence[Episode], gate: str = "") -> Story:
        """``ledger`` holds the model's episodes, oldest first."""
        later = (other for other in ledger if other.ran and other.opened_at > episode.opened_at)
        return cls(
            episode,
            next((other for other in ledger if episode.into and other.id == episode.into), None),
            tuple(other for other in ledger if other.into == episode.id),
            None if episode.ran or episode.into else next(later, None),
            gate,
        )

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        return f"{self.episode.model} {HEADLINES[self.episode.status]}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON. Documented in ``docs/guide/retraining.md``."""
        return {
            "headline": self.headline,
            "episode": as_dict(self.episode),
            "answered_by": _short(self.answered_by),
            "answers": [_short(other) for other in self.answers],
            "next_retraining": _short(self.next_run),
            "gate": self.gate or None,
            "next_step": next_step(self.episode),
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        episode = self.episode
        yield self.headline
        for label, text in self._facts():
            yield f"  {label:{_LABEL}}{plain(text)}"
        yield "  moves"
        for at, status in episode.history:
            what = _details(episode, Status(status))
            yield f"    {stamp(datetime.fromisoformat(at))}  {status:12}{plain(what)}".rstrip()
        yield f"  {'next':{_LABEL}}{next_step(episode)}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        episode = self.episode
        yield "episode", f"{episode.id}, trigger {episode.trigger}"
        yield "asked", f"{stamp(episode.opened_at)} by {episode.by or 'somebody (not recorded)'}"
        yield "evidence", episode.reason
        # What started needs no reason but its evidence; its outcome is told with its moves.
        yield "rule", episode.rule if episode.ran else f"{episode.rule}: {episode.outcome}"
        if self.gate:
            yield "gate", self.gate
        if episode.until:
            yield "until", stamp(episode.until)
        if episode.revision:
            yield "revision", episode.revision
        if self.answered_by:
            yield "answer", _sentence(self.answered_by)
        elif episode.into:
            yield "answer", f"{episode.into}, which the ledger does not hold"
        if self.next_run:
            yield "then", _sentence(self.next_run)
        for other in self.answers:
            yield "answers", _sentence(other)


def _details(episode: Episode, status: Status) -> str:
    """What is known of a move besides its time."""
    if status is Status.STARTED:
        return episode.pipeline_execution_arn
    if status in (Status.APPROVED, Status.CANDIDATE) and episode.model_package_arn:
        return f"version {episode.model_package_arn.rpartition('/')[2]}, {episode.model_package_arn}"
    return episode.outcome if status is episode.status else ""


def _sentence(episode: Episode) -> str:
    outcome = f": {episode.outcome}" if episode.outcome else ""
    return f"{episode.id} ({episode.trigger}, {stamp(episode.opened_at)}) {episode.status}{outcome}"


def _short(episode: Episode | None) -> dict[str, Any] | None:
    if episode is None:
        return None
    whole = as_dict(episode)
    return {name: whole[name] for name in ("id", "trigger", "status", "opened_at", "outcome")}
