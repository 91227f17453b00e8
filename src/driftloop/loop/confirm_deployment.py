"""The endpoint says that it is in service: on the version that was asked for, or silently back on the old one?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from driftloop.names import model_of_endpoint
from driftloop.ports import Champion, Clock, Deployment, EndpointState, Hosting, Ledger, Notifier
from driftloop.retraining.episode import Status


@dataclass(frozen=True)
class Confirmer:
    """Ends rollouts. Success is InService *and* the expected configuration."""

    ledger: Ledger
    hosting: Hosting
    notifier: Notifier
    clock: Clock

    def changed(self, endpoint: str) -> str:
        """Look at the endpoint as it is now, whatever the event said; says what was done."""
        model = model_of_endpoint(endpoint)
        deployment = self.ledger.deployment(model)
        if deployment is None or deployment.phase != "updating":
            return "no rollout is under way"
        state = self.hosting.endpoint(endpoint)
        if state is None:
            return self._undone(model, deployment, "the endpoint is gone")
        if state.status == "InService" and state.config == deployment.config:
            return self._done(model, deployment)
        if state.status == "InService":
            return self._undone(model, deployment, f"the endpoint went back to {state.config}: {_why(state)}")
        if state.status == "Failed":
            return self._undone(model, deployment, f"the endpoint failed: {_why(state)}")
        return f"the endpoint is {state.status}"

    def _done(self, model: str, deployment: Deployment) -> str:
        old = self.ledger.champion(model)
        previous = _previous(old, deployment)
        champion = Champion(
            deployment.version, deployment.package_arn, deployment.baseline_uri, deployment.config, self.clock.now(),
            previous,
        )  # fmt: skip
        self.ledger.set_champion(model, champion)
        self._close(model, deployment, Status.PROMOTED, f"version {deployment.version} serves")
        self.ledger.set_deployment(model, replace(deployment, phase="done"))
        # The version before is kept for a rollback; the one before that is not needed any more.
        if old and old.previous_config and old.previous_config != deployment.config:
            self.hosting.retire(old.previous_config)
        self.notifier.publish(f"[driftloop] {model}: version {deployment.version} serves", deployment.package_arn)
        return f"version {deployment.version} serves"

    def _undone(self, model: str, deployment: Deployment, reason: str) -> str:
        self.hosting.reject(deployment.package_arn, reason)
        self._close(model, deployment, Status.ROLLED_BACK, reason)
        self.ledger.set_deployment(model, replace(deployment, phase="rolled_back"))
        self.notifier.publish(f"[driftloop] {model}: version {deployment.version} rolled back", reason)
        return f"version {deployment.version} rolled back: {reason}"

    def _close(self, model: str, deployment: Deployment, status: Status, outcome: str) -> None:
        episode = self.ledger.episode(model, deployment.episode_id) if deployment.episode_id else None
        if episode and episode.status is Status.ROLLING_OUT:
            self.ledger.move(episode.moved(status, self.clock.now(), outcome), Status.ROLLING_OUT)


def _previous(old: Champion | None, deployment: Deployment) -> str:
    if old is None:
        return ""
    # A redelivery finds this very version as champion already and must not forget what came before it.
    return old.previous_config if old.config == deployment.config else old.config


def _why(state: EndpointState) -> str:
    return state.failure or "no reason given"
