"""How an endpoint update moves traffic: SageMaker's DeploymentConfig as a plan. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from driftloop.twin.errors import unsupported
from driftloop.twin.requests import only

Request = Mapping[str, Any]
_SIZES = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


@dataclass(frozen=True)
class Plan:
    """How an update moves traffic; times in seconds."""

    canary: int = 100
    """Percent of the traffic that moves first."""
    step: int = 100
    """Percent that follows after each wait."""
    wait: float = 0
    termination: float = 0
    alarms: frozenset[str] = frozenset()


def plan_of(config: Request) -> Plan:
    """The plan that a DeploymentConfig asks for. Raises ApiError for what the twin does not do."""
    if not config:
        return Plan()
    only("DeploymentConfig", config, {"BlueGreenUpdatePolicy", "AutoRollbackConfiguration"})
    if "BlueGreenUpdatePolicy" not in config:
        raise unsupported("a DeploymentConfig without BlueGreenUpdatePolicy")
    policy = config["BlueGreenUpdatePolicy"]
    routing = policy["TrafficRoutingConfiguration"]
    canary = step = 100
    if routing["Type"] in _SIZES:
        name = _SIZES[routing["Type"]]
        size = routing[name]
        if size["Type"] != "CAPACITY_PERCENT":
            raise unsupported(f"{name} {size['Type']}")
        canary = int(size["Value"])
        step = canary if routing["Type"] == "LINEAR" else 100
    elif routing["Type"] != "ALL_AT_ONCE":
        raise unsupported(f"TrafficRoutingConfiguration {routing['Type']}")
    alarms = config.get("AutoRollbackConfiguration", {}).get("Alarms", ())
    names = frozenset(alarm["AlarmName"] for alarm in alarms)
    return Plan(canary, step, routing["WaitIntervalInSeconds"], policy.get("TerminationWaitInSeconds", 0), names)
