"""A version was approved: bring it to the endpoint, which is created on the first approval."""

from __future__ import annotations

from dataclasses import dataclass, replace

from driftloop.names import ModelNames, model_of_endpoint
from driftloop.ports import (
    Clock,
    Deployment,
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
from driftloop.retraining.episode import Status


@dataclass(frozen=True)
class Deployer:
    """Starts rollouts. Delivering the same approval twice starts one."""

    models: Models
    ledger: Ledger
    hosting: Hosting
    clock: Clock
    live_bucket: str
    kms_key_arn: str

    def approved(self, package_arn: str) -> str:
        """Roll a version out; says what was done. Raises RetryableError while another rollout runs."""
        package = self.hosting.package(package_arn)
        if package.approval != "Approved":
            return f"version {package.version} is {package.approval} by now: nothing to do"
        model = self.models.get(model_of_endpoint(package.group))
        champion = self.ledger.champion(model.name)
        if champion and champion.version >= package.version:
            return f"version {package.version} is not newer than champion {champion.version}: nothing to do"
        running = self.ledger.deployment(model.name)
        if running and running.package_arn == package_arn and running.phase != "prepared":
            return f"version {package.version} is {running.phase} already: nothing to do"
        state = self.hosting.endpoint(model.resources.endpoint)
        if state and state.status not in ("InService", "Failed"):
            raise RetryableError(f"{model.resources.endpoint} is {state.status}; version {package.version} has to wait")
        return self._roll_out(model, package, exists=state is not None)

    def _roll_out(self, model: Model, package: Package, exists: bool) -> str:
        endpoint, config = model.resources.endpoint, ModelNames(model.name).version(package.version)
        deployment = self._record(model, package, config)
        self.hosting.prepare(package, self._serving(model, config))
        if exists:
            self.hosting.update(endpoint, config, _rollout(model))
        else:
            self.hosting.create(endpoint, config)
        # Only now may an InService endpoint on another configuration be taken for a rollback.
        self.ledger.set_deployment(model.name, replace(deployment, phase="updating"))
        return f"version {package.version} is being rolled out to {endpoint}"

    def _record(self, model: Model, package: Package, config: str) -> Deployment:
        if "baseline_uri" not in package.properties:
            raise TerminalError(f"{package.arn} has no baseline_uri: it was not registered by this pipeline")
        now = self.clock.now()
        episode_id = package.properties.get("episode_id", "")
        deployment = Deployment(
            package.version, package.arn, package.properties["baseline_uri"], config, episode_id, now, "prepared"
        )
        self.ledger.set_deployment(model.name, deployment)
        episode = self.ledger.episode(model.name, episode_id) if episode_id else None
        if episode and episode.status in (Status.STARTED, Status.CANDIDATE):
            moved = replace(episode.moved(Status.ROLLING_OUT, now), model_package_arn=package.arn)
            self.ledger.move(moved, episode.status)
        return deployment

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
