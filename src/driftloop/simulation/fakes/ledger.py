"""The ledger in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from driftloop.ports import Champion, Deployment, Work
from driftloop.retraining.episode import Episode, Status
from driftloop.retraining.evidence import Pause, Watch

LEASE = timedelta(days=1)


class FakeLedger:
    """Champions, deployments, leases and episodes in dictionaries."""

    def __init__(self) -> None:
        self._champions: dict[str, Champion] = {}
        self._served: dict[tuple[str, datetime, int], Champion] = {}
        self._deployments: dict[str, Deployment] = {}
        self._leases: dict[str, tuple[str, datetime]] = {}
        self._episodes: dict[tuple[str, str], Episode] = {}
        self._pauses: dict[str, Pause] = {}
        self._watches: dict[str, Watch] = {}

    def champion(self, model: str) -> Champion | None:
        """The version that serves, if any."""
        return self._champions.get(model)

    def set_champion(self, model: str, champion: Champion) -> None:
        """Record that a version serves."""
        self._champions[model] = champion
        self._served[(model, champion.since, champion.version)] = champion

    def served(self, model: str) -> list[Champion]:
        """Every version that has served, oldest first."""
        return [champion for (owner, *_), champion in sorted(self._served.items()) if owner == model]

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

    def busy(self, models: Sequence[str]) -> dict[str, Work]:
        """Model -> what is under way."""
        found = {model: self._work(model) for model in models}
        return {model: work for model, work in found.items() if work != Work()}

    def _work(self, model: str) -> Work:
        deployment = self._deployments.get(model)
        return Work(
            self._episodes[model, self._leases[model][0]] if model in self._leases else None,
            deployment if deployment and deployment.is_open else None,
        )

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

    def pause(self, model: str) -> Pause | None:
        """Who stopped retraining, if anybody did."""
        return self._pauses.get(model)

    def set_pause(self, model: str, pause: Pause | None) -> None:
        """Stop retraining, or let it go on."""
        self._pauses.pop(model, None)
        if pause:
            self._pauses[model] = pause

    def watch(self, model: str) -> Watch | None:
        """What monitoring saw last."""
        return self._watches.get(model)

    def set_watch(self, model: str, watch: Watch) -> None:
        """Record what monitoring saw."""
        self._watches[model] = watch

    def forget(self, model: str) -> None:
        """Delete what is kept of a model but its episodes."""
        for kept in (self._champions, self._deployments, self._leases, self._pauses, self._watches):
            kept.pop(model, None)


def _mark(deployment: Deployment | None) -> tuple[str, str] | None:
    return (deployment.package_arn, deployment.phase) if deployment else None
