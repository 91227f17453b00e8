"""All ports in memory and the use cases on top of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from driftloop.data.schema import Columns
from driftloop.loop.announce import Announcer
from driftloop.loop.baselines import baseline_in_force
from driftloop.loop.confirm_deployment import Confirmer
from driftloop.loop.deploy_model import Deployer
from driftloop.loop.detect_drift import Detector
from driftloop.loop.forget_model import Forgetter
from driftloop.loop.join_labels import LabelBatch
from driftloop.loop.profile_traffic import TrafficBatch
from driftloop.loop.reconcile import Reconciler
from driftloop.loop.sources import Source
from driftloop.loop.start_retraining import Starter
from driftloop.loop.track_episode import Tracker
from driftloop.retraining.episode import Episode, Status
from driftloop.simulation.fakes import (
    FakeAlarms,
    FakeClock,
    FakeEvents,
    FakeHosting,
    FakeLedger,
    FakeModels,
    FakeNotifier,
    FakeObjects,
    FakePipelines,
    FakeScaler,
)
from tests.fakes import examples as ex

KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
ANSWERED = "arn:aws:sns:eu-central-1:123456789012:answered"


@dataclass
class World:
    """One account with one deployed model."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(ex.START + timedelta(days=1, hours=1)))
    ledger: FakeLedger = field(default_factory=FakeLedger)
    objects: FakeObjects = field(default_factory=FakeObjects)
    pipelines: FakePipelines = field(default_factory=FakePipelines)
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    events: FakeEvents = field(default_factory=FakeEvents)
    alarms: FakeAlarms = field(default_factory=FakeAlarms)
    hosting: FakeHosting = field(default_factory=FakeHosting)
    scaler: FakeScaler = field(default_factory=FakeScaler)
    models: FakeModels = field(default_factory=lambda: FakeModels(ex.model(), ex.model("other_train")))

    @property
    def announcer(self) -> Announcer:
        return Announcer(self.notifier, self.events)

    @property
    def starter(self) -> Starter:
        return Starter(self.models, self.ledger, self.pipelines, self.announcer, self.clock)

    @property
    def tracker(self) -> Tracker:
        return Tracker(self.ledger, self.pipelines, self.announcer, self.clock)

    @property
    def deployer(self) -> Deployer:
        return Deployer(
            self.models, self.ledger, self.hosting, self.scaler, self.announcer, self.clock, ex.LIVE, KEY, ANSWERED
        )

    @property
    def confirmer(self) -> Confirmer:
        return Confirmer(self.ledger, self.hosting, self.scaler, self.announcer, self.clock)

    @property
    def reconciler(self) -> Reconciler:
        return Reconciler(self.starter, self.tracker, self, self.confirmer, self.alarms)

    def tell(self, package_arn: str, approval: str) -> None:
        """The decision reaches the deployer, as soon as its queue feeds it."""
        assert self.hosting.package(package_arn).approval == approval
        self.deployer.decided(package_arn)

    @property
    def detector(self) -> Detector:
        return Detector(self.models, self.ledger, self.objects, self.notifier, ex.LIVE)

    @property
    def forgetter(self) -> Forgetter:
        return Forgetter(self.ledger, self.announcer, self.clock)

    def traffic_batch(self) -> TrafficBatch:
        return TrafficBatch(self.models, self.objects, partial(baseline_in_force, self.ledger, self.objects))

    def label_batch(self) -> LabelBatch:
        return LabelBatch(self.models, self.objects, self.clock)

    def serve(self, version: int = 1) -> None:
        """Version 1 has served for long."""
        self.objects.write(ex.ARTIFACTS, ex.BASELINE_KEY, ex.baseline().to_json())
        self.ledger.set_champion(ex.NAME, ex.champion(version))

    def captured(self, columns: Columns, name: str = "a", base: str = ex.BASE) -> Source:
        """A capture object arrives."""
        return self.arrived(f"capture/{base}/AllTraffic/2026/03/02/10/{name}.jsonl", ex.capture(columns))

    def arrived(self, key: str, content: bytes, uploaded: str = "") -> Source:
        """Any object arrives in the live bucket."""
        version = self.objects.put(ex.LIVE, key, content)
        return Source(ex.LIVE, key, version, "etag", len(content), uploaded)

    def profile(self, *sources: Source) -> TrafficBatch:
        """One invocation of profile_traffic."""
        batch = self.traffic_batch()
        for source in sources:
            batch.add(source)
        batch.flush()
        return batch

    def join(self, source: Source, deliveries: int = 1) -> LabelBatch:
        """One invocation of join_labels."""
        batch = self.label_batch()
        batch.add(source, deliveries)
        batch.flush()
        return batch

    def quarantined(self, kind: str) -> list[dict[str, Any]]:
        """What was put aside."""
        keys = self.objects.keys(ex.LIVE, f"quarantine/{kind}/{ex.NAME}/")
        return [json.loads(line) for key in keys for line in self.objects.read(ex.LIVE, key).splitlines()]

    def episode(self, episode_id: str) -> Episode:
        """An episode that must exist."""
        found = self.ledger.episode(ex.NAME, episode_id)
        assert found is not None
        return found

    def end(self, execution_arn: str, status: str) -> Episode | None:
        """An execution ends, and its event comes."""
        self.pipelines.statuses[execution_arn] = status
        return self.tracker.ended(execution_arn, status)

    def in_status(self, status: Status) -> Episode:
        """An episode that went the usual way to a status, its pipeline being the first."""
        opened = self.starter.handle(ex.request(at=self.clock.now()))
        for step in (Status.CANDIDATE, Status.APPROVED, Status.ROLLING_OUT):
            if opened.status is status:
                break
            moved = opened.moved(step, self.clock.now())
            assert self.ledger.move(moved, opened.status)
            opened = moved
        assert opened.status is status
        return opened
