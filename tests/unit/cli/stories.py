"""Episodes of every kind for the tests of lists and stories."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from driftloop.retraining.episode import Episode, Request, Status, Trigger, open_episode
from tests.fakes.examples import NAME

AT = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
EXECUTION = f"arn:aws:sagemaker:eu-central-1:123456789012:pipeline/driftloop-{NAME.replace('_', '-')}/execution/abc"
PACKAGE = f"arn:aws:sagemaker:eu-central-1:123456789012:model-package/driftloop-{NAME.replace('_', '-')}/4"
_PATH = (Status.STARTED, Status.CANDIDATE, Status.APPROVED, Status.ROLLING_OUT, Status.PROMOTED)


def asked(trigger: Trigger, cause: str, at: datetime = AT, by: str = "alarm driftloop-late-train-drift") -> Request:
    return Request(NAME, trigger, cause, "datapoints [1.2, 1.4]", at, by)


def promoted(cause: str = "promoted", at: datetime = AT) -> Episode:
    """Ran from the request to the end, an hour a move."""
    episode = open_episode(asked(Trigger.DRIFT, cause, at), Status.REQUESTED, "start", "drift: datapoints")
    for hours, status in enumerate(_PATH, 1):
        outcome = "version 4 serves" if status is Status.PROMOTED else ""
        episode = episode.moved(status, at + timedelta(hours=hours), outcome)
    return replace(
        episode, pipeline_execution_arn=EXECUTION, model_package_arn=PACKAGE, revision="0123456789ab"
    )  # fmt: skip


def unstarted(status: Status, rule: str, outcome: str, cause: str = "unstarted", at: datetime = AT) -> Episode:
    """A request that was answered without a retraining."""
    return open_episode(asked(Trigger.DRIFT, cause, at), status, rule, outcome)


def merged(into: Episode, cause: str = "merged", at: datetime = AT) -> Episode:
    """A request that another episode answers."""
    found = unstarted(Status.MERGED, "alone", f"episode {into.id} is still started and answers this", cause, at)
    return replace(found, into=into.id)


def deferred(at: datetime = AT, days: int = 3) -> Episode:
    """A request that has to wait."""
    until = at + timedelta(days=days)
    found = unstarted(Status.DEFERRED, "cooled_down", "cooldown after the last episode", "deferred", at)
    return replace(found, until=until)
