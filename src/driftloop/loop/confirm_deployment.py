"""The endpoint says that it is in service: on the version that was asked for, or silently back on the old one?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from driftloop.loop.announce import Announcer
from driftloop.names import ModelNames, model_of_endpoint
from driftloop.ports import Champion, Clock, Deployment, EndpointState, Hosting, Ledger, Scaler
from driftloop.retraining.episode import Episode, Status


@dataclass(frozen=True)
class Confirmer:
    """Ends rollouts. Success is InService *and* the expected configuration."""

    ledger: Ledger
    hosting: Hosting
    scaler: Scaler
    announcer: Announcer
    clock: Clock

    def changed(self, endpoint: str) -> str:
        """Look at the endpoint as it is now, whatever the event said; says what was done."""
        model = model_of_endpoint(endpoint)
        deployment = self.ledger.deployment(model)
        if deployment is None or not deployment.is_open:
            return "no rollout is under way"
        state = self.hosting.endpoint(endpoint)
        if state and state.status == "InService" and state.config == deployment.config:
            # Also if whoever told the endpoint died before writing it down.
            done = self._shadows if deployment.is_shadow else self._done
            return done(model, endpoint, deployment)
        if deployment.phase == "prepared":
            return f"the endpoint has not been told of version {deployment.version} yet"
        fault = _fault(state)
        if not fault:
            return f"version {deployment.version} is on its way"
        if deployment.scaling and state and state.status == "InService":
            self.scaler.follow(endpoint, deployment.scaling)
        if deployment.instead_of:
            return self._once_more(model, deployment, state, fault)
        return self._undone(model, deployment, state, fault)

    def closed(self, deployment: Deployment, episode: Episode) -> str:
        """The rollout has ended and its episode has not been told; says what was done."""
        status = Status.PROMOTED if deployment.phase == "done" else Status.ROLLED_BACK
        self._close(episode.model, deployment, status, f"version {deployment.version}: {deployment.phase}")
        return f"episode {episode.id} was not told of the end of its rollout: {status}"

    def abandoned(self, model: str, deployment: Deployment) -> str:
        """A version was deleted before the endpoint heard of it; says what was done."""
        what = f"version {deployment.version}" if not deployment.instead_of else "the rejected version"
        reason = f"{what} was deleted before the endpoint was told"
        self._close(model, deployment, Status.ROLLED_BACK, reason)
        self.ledger.set_deployment(model, replace(deployment, phase="rolled_back"), deployment)
        return reason

    def _shadows(self, model: str, _: str, deployment: Deployment) -> str:
        """The version has begun to answer unheard; ``compare_shadow`` decides about it."""
        version = f"version {deployment.version} is the shadow of the one that serves"
        if deployment.phase in ("shadowing", "compared"):
            return f"{version} already: nothing to do"
        shadowing = replace(deployment, phase="shadowing", started_at=self.clock.now())
        if self.ledger.set_deployment(model, shadowing, deployment):
            self.announcer.shadows(model, deployment.version, deployment.package_arn)
        return version

    def _done(self, model: str, endpoint: str, deployment: Deployment) -> str:
        old = self.ledger.champion(model)
        if old is None or old.config != deployment.config:
            self._promote(model, deployment, old)
        # Otherwise a delivery before this one has died here: what is left is to close the episode.
        self._close(model, deployment, Status.PROMOTED, f"version {deployment.version} serves")
        if deployment.scaling:
            self.scaler.follow(endpoint, deployment.scaling)
        if deployment.shadow:
            self.hosting.retire(deployment.shadow)
        if deployment.ends_a_shadow:
            self.hosting.retire(ModelNames(model).version(_number(deployment.instead_of)))
        if self.ledger.set_deployment(model, replace(deployment, phase="done"), deployment):
            self._tell(model, deployment)
        return f"version {deployment.version} serves"

    def _tell(self, model: str, deployment: Deployment) -> None:
        if deployment.ends_a_shadow:
            reason = f"it was the shadow of version {deployment.version}, which serves on alone"
            self.announcer.rolled_back(model, _number(deployment.instead_of), deployment.instead_of, reason)
        else:
            self.announcer.serves(model, deployment.version, deployment.package_arn)

    def _promote(self, model: str, deployment: Deployment, old: Champion | None) -> None:
        # The version before is kept for a rollback; the one before that is not needed any more, unless it is back.
        if old and old.previous and old.previous.config != deployment.config:
            self.hosting.retire(old.previous.config)
        champion = Champion(
            deployment.version, deployment.package_arn, deployment.baseline_uri, deployment.config, self.clock.now(),
            replace(old, previous=None) if old else None,
        )  # fmt: skip
        self.ledger.set_champion(model, champion)

    def _once_more(self, model: str, deployment: Deployment, state: EndpointState | None, reason: str) -> str:
        """The way back has failed. A rejected version must not go on serving, so the reconciler tries again."""
        again = replace(
            deployment,
            phase="prepared",
            started_at=self.clock.now(),
            endpoint_modified=state.modified if state else None,
        )
        if self.ledger.set_deployment(model, again, deployment):
            told = f"the way back to version {deployment.version} failed: {reason}"
            self.announcer.stays(model, _number(deployment.instead_of), told, shadow=deployment.ends_a_shadow)
        return f"the way back to version {deployment.version} failed and is tried again: {reason}"

    def _undone(self, model: str, deployment: Deployment, state: EndpointState | None, reason: str) -> str:
        self.hosting.reject(deployment.package_arn, reason)
        self._close(model, deployment, Status.ROLLED_BACK, reason)
        ended = replace(deployment, phase="rolled_back")
        champion = self.ledger.champion(model) if deployment.shadow else None
        if champion and state and state.status == "InService" and state.config == deployment.shadow:
            # SageMaker went back to where the version was a shadow, which ends as any shadow that was rejected.
            ended = Deployment(
                champion.version, champion.package_arn, champion.baseline_uri, champion.config, "", self.clock.now(),
                "prepared", state.modified, deployment.package_arn, shadow=deployment.shadow,
            )  # fmt: skip
        elif deployment.is_shadow:
            self.hosting.retire(deployment.shadow)
        if self.ledger.set_deployment(model, ended, deployment):
            self.announcer.rolled_back(model, deployment.version, deployment.package_arn, reason)
        return f"version {deployment.version} rolled back: {reason}"

    def _close(self, model: str, deployment: Deployment, status: Status, outcome: str) -> None:
        episode = self.ledger.episode(model, deployment.episode_id) if deployment.episode_id else None
        if episode and episode.status is Status.ROLLING_OUT:
            self.announcer.move(self.ledger, episode.moved(status, self.clock.now(), outcome), Status.ROLLING_OUT)


def _number(package_arn: str) -> int:
    return int(package_arn.rpartition("/")[2])


def _fault(state: EndpointState | None) -> str:
    """Why the rollout has come to nothing; empty while it is under way."""
    if state is None:
        return "the endpoint is gone"
    why = state.failure or "no reason given"
    if state.status == "InService":
        return f"the endpoint went back to {state.config}: {why}"
    return f"the endpoint is {state.status}: {why}" if state.status in ("Failed", "UpdateRollbackFailed") else ""
