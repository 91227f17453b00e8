"""What is known of an endpoint: its status, its fleets, its update under way, and what waits for it. Kept as it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from driftloop.twin.async_inference import Backlog
from driftloop.twin.captures import Captured
from driftloop.twin.fleets import Fleet
from driftloop.twin.rollouts import Plan


@dataclass
class Rollout:
    """A blue/green update under way."""

    config: str
    plan: Plan
    fleet: Fleet | None = None
    share: int = 0
    """Percentage of requests that the new fleet answers."""
    due: float = 0.0
    """When the next step is taken."""
    over: bool = False


@dataclass
class Endpoint:
    """One endpoint."""

    name: str
    arn: str
    config: str
    created: float
    modified: float
    status: str = "Creating"
    failure: str = ""
    fleet: Fleet | None = None
    rollout: Rollout | None = None
    served: int = 0
    captured: Captured = field(default_factory=Captured)
    backlog: Backlog = field(default_factory=Backlog)
