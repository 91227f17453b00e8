"""The ledger in memory."""

from __future__ import annotations

from datetime import datetime, timedelta

from driftloop.ports import Champion, Deployment
from driftloop.retraining.episode import Episode, Status

LEASE = timedelta(days=1)


class FakeLedger:
    """Champions, deployments, leases and episodes in dictionaries."""

    def __init__(self) -> None:
        self._champions: dict[str, Champion] = {}
        self._deployments: dict[str, Deployment] = {}
        self._leases: dict[str, tuple[str, datetime]] = {}
        self._episodes: dict[tuple[str, str], Episode] = {}

    def champion(self, model: str) -> Champion | None:
        """The version that serves, if any."""
        return self._champions.get(model)

    def set_champion(self, model: str, champion: Champion) -> None:
        """Record that a version serves."""
        self._champions[model] = champion

    def deployment(self, model: str) -> Deployment | None:
        """The latest rollout, if any."""
        return self._deployments.get(model)

    def set_deployment(self, model: str, deployment: Deployment, expected: Deployment | None) -> bool:
        """Record a rollout if the latest one is still as expected."""
        if _mark(self._deployments.get(model)) != _mark(expected):
            return False
        self._deployments[model] = deployment
        return True

    def episode(self, model: str, episode_id: str) -> Episode | None:
        """One episode."""
        return self._episodes.get((model, episode_id))

    def episodes(self, model: str, since: datetime) -> list[Episode]:
        """Episodes opened at or after a time, oldest first."""
        found = [e for (owner, _), e in self._episodes.items() if owner == model and e.opened_at >= since]
        return sorted(found, key=lambda episode: (episode.opened_at, episode.id))

    def running(self, model: str) -> Episode | None:
        """The episode that holds the lease."""
        return self.episode(model, self._leases[model][0]) if model in self._leases else None

    def claim(self, episode: Episode, now: datetime) -> bool:
        """Record a new episode and take the lease, both or neither."""
        _, expires = self._leases.get(episode.model, ("", datetime.min.replace(tzinfo=now.tzinfo)))
        if expires >= now or not self.record(episode):
            return False
        self._leases[episode.model] = (episode.id, now + LEASE)
        return True

    def record(self, episode: Episode) -> bool:
        """Record an episode that never runs."""
        if (episode.model, episode.id) in self._episodes:
            return False
        self._episodes[episode.model, episode.id] = episode
        return True

    def move(self, episode: Episode, expected: Status) -> bool:
        """Write an episode's next status if it is still as expected; a final one gives the lease back."""
        stored = self._episodes.get((episode.model, episode.id))
        if stored is None or stored.status is not expected:
            return False
        self._episodes[episode.model, episode.id] = episode
        if episode.status.is_final and self._leases.get(episode.model, ("",))[0] == episode.id:
            del self._leases[episode.model]
        return True

    def forget(self, model: str) -> None:
        """Delete a model's champion, deployment and lease; its episodes stay."""
        for kept in (self._champions, self._deployments, self._leases):
            kept.pop(model, None)


def _mark(deployment: Deployment | None) -> tuple[str, str] | None:
    return (deployment.package_arn, deployment.phase) if deployment else None
