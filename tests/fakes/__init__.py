"""In-memory stand-ins for the ports. Each passes the same contract tests as its boto3 adapter."""

from tests.fakes.hosting import FakeHosting
from tests.fakes.ledger import FakeLedger
from tests.fakes.objects import FakeObjects
from tests.fakes.services import FakeAlarms, FakeClock, FakeModels, FakeNotifier, FakePipelines

__all__ = [
    "FakeAlarms",
    "FakeClock",
    "FakeHosting",
    "FakeLedger",
    "FakeModels",
    "FakeNotifier",
    "FakeObjects",
    "FakePipelines",
]
