"""How an episode ended, in plain words."""

from __future__ import annotations

from driftloop.reports.measures import version_of
from driftloop.reports.record import Episode, LoopRecord
from driftloop.retraining.episode import Status


def outcome_of(episode: Episode, record: LoopRecord) -> str:
    """One sentence: the ledger's own words, else the gate's, else what the status means."""
    said = episode.outcome or _gate_reason(episode, record)
    if episode.status is Status.PROMOTED:
        return _promoted(episode, record)
    return said or _MEANINGS.get(episode.status, f"the episode is {episode.status}".replace("_", " "))


def _promoted(episode: Episode, record: LoopRecord) -> str:
    number = version_of(episode.model_package_arn)
    name = f"version {number}" if number is not None else "the new version"
    found = [p for p in record.summary.promotions if p.model_package_arn == episode.model_package_arn]
    if not found:
        return f"{name} serves"
    measured = found[-1]
    metric = measured.metric.replace("_", "-")
    if measured.champion is None:
        return f"{name} serves, the first one; {metric} {measured.challenger:.4f} on the holdout"
    return f"{name} serves; {metric} {measured.champion:.4f} before, {measured.challenger:.4f} now on the same holdout"


def _gate_reason(episode: Episode, record: LoopRecord) -> str:
    return next((e.evaluation.gate.reason for e in record.evaluations if e.episode_id == episode.id), "")


_MEANINGS = {
    Status.REFUSED: "no retraining was started",
    Status.DEFERRED: "it was too early; the request is made again while its cause lasts",
    Status.MERGED: "the retraining that was under way answers this request",
    Status.REJECTED: "the gate rejected the challenger; the champion went on serving",
    Status.FAILED: "the pipeline failed; the champion went on serving",
    Status.ROLLED_BACK: "the rollout was taken back; the champion went on serving",
}
