"""A version was approved: bring it to the endpoint, which is created on the first approval. Or it was rejected."""

from __future__ import annotations

from dataclasses import dataclass, replace

from driftloop.names import ModelNames, model_of_endpoint
from driftloop.ports import (
    Clock,
    Deployment,
    EndpointState,
    Hosting,
    Ledger,
    Model,
    Models,
    Package,
    RetryableError,
    RolloutPlan,
    ServingPlan,
    TerminalError,
)
from driftloop.retraining.episode import Episode, Status


@dataclass(frozen=True)
class Deployer:
    """Starts rollouts, and ends episodes whose version was rejected. Delivering the same decision twice is harmless."""

    models: Models
    ledger: Ledger
    hosting: Hosting
    clock: Clock
    live_bucket: str
    kms_key_arn: str

    def decided(self, package_arn: str) -> str:
        """Follow the decision about a version as it stands now; says what was done.

        Raises RetryableError while another rollout runs.
        """
        package = self.hosting.package(package_arn)
        if package.approval == "Rejected":
            return self._rejected(package)
        if package.approval != "Approved":
            return f"version {package.version} is {package.approval} by now: nothing to do"
        model = self.models.get(model_of_endpoint(package.group))
        champion = self.ledger.champion(model.name)
        if champion and champion.version >= package.version:
            return f"version {package.version} is not newer than champion {champion.version}: nothing to do"
        running = self.ledger.deployment(model.name)
        if running and running.package_arn == package_arn and running.phase != "prepared":
            return f"version {package.version} is {running.phase} already: nothing to do"
        if running and running.phase == "updating":
            raise RetryableError(f"version {running.version} is still updating; version {package.version} has to wait")
        return self._roll_out(model, package, running, self._endpoint(model, package))

    def _rejected(self, package: Package) -> str:
        """End the version's episode if it waits for a decision, so that others may start.

        A version that is being rolled out or has been rolled back is past that: its rejection was the loop's own, or
        the rollout is for the alarms to stop.
        """
        model, episode_id = model_of_endpoint(package.group), package.properties.get("episode_id", "")
        episode = self._waiting(model, episode_id)
        if episode is None:
            return f"version {package.version} is Rejected and no episode waits for it: nothing to do"
        outcome = f"version {package.version} was rejected: {package.approval_reason or 'no reason given'}"
        moved = replace(episode.moved(Status.REJECTED, self.clock.now(), outcome), model_package_arn=package.arn)
        self._move(moved, episode.status)
        return outcome

    def _endpoint(self, model: Model, package: Package) -> EndpointState | None:
        """The endpoint, ready for a rollout; None if it is to be created. Raises RetryableError while it is busy."""
        endpoint = model.resources.endpoint
        state = self.hosting.endpoint(endpoint)
        if state and state.status == "Failed":
            # It serves nothing, and SageMaker allows no other operation on it.
            self.hosting.remove(endpoint)
            state = self.hosting.endpoint(endpoint)
        if state and state.status != "InService":
            raise RetryableError(f"{endpoint} is {state.status}; version {package.version} has to wait")
        return state

    def _roll_out(self, model: Model, package: Package, running: Deployment | None, state: EndpointState | None) -> str:
        endpoint, config = model.resources.endpoint, ModelNames(model.name).version(package.version)
        deployment = self._record(model, package, config, running)
        self.hosting.prepare(package, self._serving(model, config))
        if state is None:
            self.hosting.create(endpoint, config)
        elif state.config != config:  # else a delivery before this one has told it and died
            self.hosting.update(endpoint, config, _rollout(model))
        # Only now may an InService endpoint on another configuration be taken for a rollback.
        self.ledger.set_deployment(model.name, replace(deployment, phase="updating"), deployment)
        return f"version {package.version} is being rolled out to {endpoint}"

    def _record(self, model: Model, package: Package, config: str, running: Deployment | None) -> Deployment:
        if "baseline_uri" not in package.properties:
            raise TerminalError(f"{package.arn} has no baseline_uri: it was not registered by this pipeline")
        episode_id = package.properties.get("episode_id", "")
        self._move_episode(model.name, episode_id, package.arn)
        deployment = Deployment(
            package.version, package.arn, package.properties["baseline_uri"], config, episode_id, self.clock.now(),
            "prepared",
        )  # fmt: skip
        if not self.ledger.set_deployment(model.name, deployment, running):
            raise RetryableError(f"another rollout of {model.name} came first; version {package.version} has to wait")
        return deployment

    def _move_episode(self, model: str, episode_id: str, package_arn: str) -> None:
        """To ``rolling_out``. Raises RetryableError if the start of its pipeline has not been recorded yet."""
        episode = self._waiting(model, episode_id)
        if episode:
            moved = replace(episode.moved(Status.ROLLING_OUT, self.clock.now()), model_package_arn=package_arn)
            self._move(moved, episode.status)

    def _waiting(self, model: str, episode_id: str) -> Episode | None:
        """The episode of a version if it waits for the decision about it. A decision may overtake the pipeline's end.

        Raises RetryableError if the start of its pipeline has not been recorded yet.
        """
        episode = self.ledger.episode(model, episode_id) if episode_id else None
        if episode and episode.status is Status.REQUESTED:
            raise RetryableError(f"the start of episode {episode_id} is not recorded yet")
        return episode if episode and episode.status in (Status.STARTED, Status.CANDIDATE) else None

    def _move(self, moved: Episode, expected: Status) -> None:
        if not self.ledger.move(moved, expected):
            raise RetryableError(f"episode {moved.id} moved just now; the next delivery will see it")

    def _serving(self, model: Model, config: str) -> ServingPlan:
        serving = model.spec["serving"]
        return ServingPlan(
            name=config,
            role_arn=model.resources.serving_role_arn,
            instance=serving["instance"],
            count=serving["count"],
            capture_uri=f"s3://{self.live_bucket}/capture",
            capture_percent=round(serving["capture"] * 100),
            kms_key_arn=self.kms_key_arn,
        )


def _rollout(model: Model) -> RolloutPlan:
    rollout = model.spec["serving"]["rollout"]
    # With one instance there is no share of the fleet to try first: all at once, still watched while it bakes.
    canary = round(rollout["canary"] * 100) if model.spec["serving"]["count"] > 1 else 100
    return RolloutPlan(canary, rollout["bake"], (ModelNames(model.name).alarm("errors"),))
