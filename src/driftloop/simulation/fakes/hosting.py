"""SageMaker packages and endpoints in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from driftloop.ports import (
    EndpointState,
    NotFoundError,
    Package,
    RetryableError,
    RolloutPlan,
    Serverless,
    ServingPlan,
    TerminalError,
)

FUNCTION = (
    "arn:aws:sts::123456789012:assumed-role/driftloop-platform-FunctiontrackepisodeRole-A1/driftloop-track-episode"
)
"""Who changes a version when a card is written."""


class FakeHosting:
    """Endpoints stay busy until ``settle`` is called, as real ones do for minutes."""

    def __init__(self, *packages: Package) -> None:
        self._packages = {package.arn: package for package in packages}
        self._endpoints: dict[str, EndpointState] = {}
        self._asked: dict[str, str] = {}
        self._changes = 0
        self.plans: dict[str, ServingPlan] = {}
        """Models and endpoint configurations that exist."""
        self.rollouts: list[tuple[str, RolloutPlan]] = []
        self.rejected: dict[str, str] = {}

    def add(self, package: Package) -> None:
        """Register a version."""
        self._packages[package.arn] = package

    def package(self, arn: str) -> Package:
        """One package version. Raises NotFoundError."""
        if arn not in self._packages:
            raise NotFoundError(f"{arn} does not exist")
        return self._packages[arn]

    def of_episode(self, group: str, episode_id: str) -> Package | None:
        """The version that an episode registered, if it is among the latest hundred of the group."""
        found = [package for package in self._packages.values() if package.group == group]
        latest = sorted(found, key=lambda package: -package.version)[:100]
        return next((package for package in latest if package.properties.get("episode_id") == episode_id), None)

    def endpoint(self, name: str) -> EndpointState | None:
        """State of an endpoint."""
        return self._endpoints.get(name)

    def prepare(self, package: Package, plan: ServingPlan) -> None:
        """Create the model and the endpoint configuration unless they exist."""
        if not package.image:
            raise TerminalError(f"{package.arn} has no image")
        self.plans.setdefault(plan.config, plan)

    def create(self, endpoint: str, config: str) -> None:
        """Create an endpoint unless it exists."""
        if endpoint not in self._endpoints:
            self._require(config)
            plan = self.plans[config]
            mode = (
                "asynchronous" if plan.asynchronous else "serverless" if isinstance(plan.on, Serverless) else "realtime"
            )
            self._endpoints[endpoint] = EndpointState("Creating", config, "", self._moment(), mode)
            self._asked[endpoint] = config

    def update(self, endpoint: str, config: str, plan: RolloutPlan) -> None:
        """Start a blue/green update; the old configuration is reported until it has ended."""
        state = self._endpoints.get(endpoint)
        if state is None or state.status != "InService":
            raise RetryableError(f"update_endpoint: {endpoint} cannot be updated now")
        self._require(config)
        self._endpoints[endpoint] = replace(state, status="Updating", modified=self._moment())
        self._asked[endpoint] = config
        self.rollouts.append((config, plan))

    def remove(self, endpoint: str) -> None:
        """Delete an endpoint if it exists."""
        self._endpoints.pop(endpoint, None)

    def reject(self, package_arn: str, reason: str) -> None:
        """Take the approval of a version back, if it is there."""
        if package_arn in self._packages:
            package = self._packages[package_arn]
            self._packages[package_arn] = replace(package, approval="Rejected", approval_reason=reason[:1024])
            self.rejected[package_arn] = reason

    def hold(self, package_arn: str, reason: str) -> None:
        """Have a version wait for its approval again, if it is there."""
        if package_arn in self._packages:
            package = self._packages[package_arn]
            waiting = replace(package, approval="PendingManualApproval", approval_reason=reason[:1024])
            self._packages[package_arn] = waiting

    def attach_card(self, package_arn: str, content: str) -> None:
        """Put a model card into a version, as a function of the kit. Raises NotFoundError."""
        package = self.package(package_arn)
        self._packages[package_arn] = replace(package, card=content, decided_by=FUNCTION)

    def retire(self, name: str, *, keep_model: bool = False) -> None:
        """Delete a configuration and its model if they exist."""
        self.plans.pop(name, None)

    def settle(self, endpoint: str, *, failure: str = "", status: str = "InService") -> None:
        """Let what was asked of an endpoint end: well, or in a silent rollback, or as another status."""
        state = self._endpoints[endpoint]
        config = state.config if failure else self._asked[endpoint]
        self._endpoints[endpoint] = EndpointState(status, config, failure, self._moment(), state.mode)

    def _moment(self) -> datetime:
        """Another one for each change."""
        self._changes += 1
        return datetime.fromtimestamp(self._changes, UTC)

    def _require(self, config: str) -> None:
        if config not in self.plans:
            raise RetryableError(f"configuration {config} does not exist")
