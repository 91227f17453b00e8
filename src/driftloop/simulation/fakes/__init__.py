"""In-memory stand-ins for the ports. Each passes the same contract tests as its boto3 adapter."""

from driftloop.simulation.fakes.hosting import FakeHosting
from driftloop.simulation.fakes.ledger import FakeLedger
from driftloop.simulation.fakes.objects import FakeObjects
from driftloop.simulation.fakes.services import (
    FakeAlarms,
    FakeClock,
    FakeEvents,
    FakeModels,
    FakeNotifier,
    FakePipelines,
    FakeScaler,
    FakeTransforms,
    FakeUsages,
)

__all__ = [
    "FakeAlarms",
    "FakeClock",
    "FakeEvents",
    "FakeHosting",
    "FakeLedger",
    "FakeModels",
    "FakeNotifier",
    "FakeObjects",
    "FakePipelines",
    "FakeScaler",
    "FakeTransforms",
    "FakeUsages",
]
