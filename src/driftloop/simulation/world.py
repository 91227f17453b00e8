"""One seed, one story: models with troubles, people, traffic, and the deployed functions in between."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

from driftloop.aws.events import parse_request
from driftloop.aws.settings import Settings
from driftloop.data.windows import floor_time
from driftloop.loop.announce import Announcer
from driftloop.loop.sources import Source
from driftloop.monitoring.report import Verdict
from driftloop.names import SHADOW, ModelNames
from driftloop.ports import Model, Resources, TerminalError, Usage
from driftloop.retraining.episode import Episode
from driftloop.retraining.evidence import Pause, Watch
from driftloop.simulation.account import Account, Message, WorkerClock, as_record, load_handlers, random, silent, wired
from driftloop.simulation.cloud import Cloud
from driftloop.simulation.engine import Engine
from driftloop.simulation.fakes import FakeEvents, FakeLedger, FakeModels, FakeNotifier, FakeObjects, FakeScaler
from driftloop.simulation.faults import NONE, Fault, Faults, Service
from driftloop.simulation.traffic import baseline, capture_file, label_file, model_spec

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
VERSIONS = 60
"""More than any model gets in the time of a story."""
LABELLED_ROWS = 20
"""Rows of one hour that get their label."""
LIVE = "live-bucket"


@dataclass(frozen=True)
class Captured:
    """One object of traffic and what is in it."""

    key: str
    good: int
    bad: int


@dataclass
class World:
    """An account in which the kit has been deployed, before anything has happened."""

    seed: int = 0
    rates: Mapping[str, float] = field(default_factory=lambda: NONE)
    faults_end: timedelta = timedelta(0)
    spared: frozenset[Fault] = frozenset()
    told: list[str] = field(default_factory=list)
    """The story, if it is asked for."""
    keep_story: bool = False
    captured: list[Captured] = field(default_factory=list)
    still: list[tuple[str, str, datetime, datetime | None]] = field(default_factory=list)
    """(model, why, from, until) of times in which no retraining may begin."""
    broken: set[str] = field(default_factory=set)
    """Models whose feed is broken now."""
    redeployed: dict[str, datetime] = field(default_factory=dict)
    """Model -> when its code changed last."""
    source_ids: dict[str, str] = field(default_factory=dict)
    """Identity of a capture object's content -> its key."""
    _labelled: dict[datetime, int] = field(default_factory=dict)
    """Hour -> rows whose label is known; the same for all models."""

    def __post_init__(self) -> None:
        self.engine = Engine(START)
        self.faults = Faults(self.seed, self.rates, self.engine, START + self.faults_end, self.spared)
        self.clock = WorkerClock(self.engine)
        self.account = Account(self.engine, self.faults, load_handlers(), self.clock)
        self.cloud = Cloud(self.account, self.faults)
        self.ledger, self.objects = FakeLedger(), FakeObjects()
        self.notifier, self.events = FakeNotifier(), FakeEvents()
        self.models: dict[str, Model] = {}
        if self.keep_story:
            self.faults.log = self.account.log = self.cloud.log = self._tell

    def deploy(self, name: str, **parts: Any) -> Model:
        """Add a model whose first version serves."""
        names = ModelNames(name)
        resources = Resources(names.base, names.base, names.base, "arn:aws:iam::1:role/serving", "image", "r1")
        model = self.models[name] = Model(name, model_spec(name, **parts), resources)
        for version in range(1, VERSIONS):
            self.objects.write("artifacts", f"{name}/{version}/baseline.json", baseline())
        return model

    @contextmanager
    def running(self) -> Iterator[World]:
        """The functions find this world instead of AWS."""
        self._known = FakeModels(*self.models.values())
        services = {
            "models": self._known,
            "ledger": self.ledger,
            "objects": self.objects,
            "pipelines": self.cloud.pipelines,
            "hosting": self.cloud.hosting,
            "scaler": FakeScaler(),
            "usages": _Usages(self.seed),
            "alarms": self.cloud.alarms,
            "decisions": _Decisions(self.account),
            "notifier": self.notifier,
        }
        ports: dict[str, Any] = {name: Service(name, port, self.faults) for name, port in services.items()}
        ports["announcer"] = Announcer(ports["notifier"], Service("events", self.events, self.faults))
        ports["settings"] = Settings(
            live_bucket=LIVE, curated_bucket="curated-bucket", artifact_bucket="artifacts", ledger_table="ledger",
            topic_arn="arn:aws:sns:eu-central-1:1:driftloop", answers_topic_arn="arn:aws:sns:eu-central-1:1:answered", kms_key_arn="arn:aws:kms:eu-central-1:1:key/1",
        )  # fmt: skip
        ports["CLOCK"] = self.clock
        ports["pool"] = SimpleNamespace(map=map)  # the engine decides who works when, not the system's threads
        with silent(), wired(ports):
            self.account.start()
            for name in self.models:
                self.engine.every(HOUR, partial(self.monitor, name))
            yield self

    def first_version(self, model: str) -> None:
        """Somebody asks for the first version by hand."""
        self.ask(model, "the first version", "first")

    def ask(self, model: str, reason: str, event_id: str) -> None:
        """A person asks for a retraining."""
        now = self.engine.now.isoformat()
        detail = {"model": model, "reason": reason, "by": "somebody"}
        event = {"id": event_id, "detail-type": "Retraining Requested", "source": "driftloop", "time": now}
        self._tell(f"{model}: somebody asks for a retraining: {reason}")
        self.account.send(
            "retraining", {**event, "account": "123456789012", "region": "eu-central-1", "detail": detail}
        )

    def break_feed(self, model: str, broken: bool = True) -> None:
        """The feed breaks, or is sound again; monitoring sees it at once."""
        self._tell(f"{model}: the feed is {'broken' if broken else 'sound'}")
        self._still("broken feed", model, broken)
        (self.broken.add if broken else self.broken.discard)(model)
        self.monitor(model)

    def monitor(self, model: str) -> None:
        """What detect_drift writes about the last window; 20 rows of each hour have their label an hour later."""
        verdict = Verdict.BROKEN_UPSTREAM if model in self.broken else Verdict.SHIFTED
        end = floor_time(self.engine.now, HOUR)
        for number in range(len(self._labelled) + 1, (end - START) // HOUR):
            self._labelled[START + number * HOUR] = LABELLED_ROWS
        self.ledger.set_watch(model, Watch(end, 1, str(verdict), ("temp went null",), dict(self._labelled)))

    def compare(self, model: str) -> None:
        """The schedule of a model has its shadow looked at."""
        self.account.call("compare_shadow", {"model": model}, lambda _: None)

    def redeploy(self, model: str) -> None:
        """The code of the training steps changes."""
        before = self.models[model]
        resources = replace(before.resources, revision=f"{before.resources.revision}'")
        self.models[model] = replace(before, resources=resources)
        self._known.replace(self.models[model])
        self.redeployed[model] = self.engine.now
        self._tell(f"{model}: code and settings are {resources.revision}")

    def tick(self, model: str) -> None:
        """The schedule of a model asks for its retraining."""
        self.account.send("retraining", {"model": model, "trigger": "schedule"})

    def pause(self, model: str, paused: bool = True) -> None:
        """A person stops retraining for a while."""
        self._tell(f"{model}: {'paused' if paused else 'resumed'}")
        self._still("pause", model, paused)
        self.ledger.set_pause(model, Pause("somebody", self.engine.now, "holidays") if paused else None)

    def _still(self, why: str, model: str, begins: bool) -> None:
        if begins:
            self.still.append((model, why, self.engine.now, None))
        else:
            self.still = [
                (name, reason, since, until or self.engine.now if (name, reason) == (model, why) else until)
                for name, reason, since, until in self.still
            ]

    def capture(self, model: str, good: int, bad: int = 0) -> None:
        """Traffic arrives in the live bucket."""
        number = len(self.captured)
        base = ModelNames(model).base
        key = f"capture/{base}/AllTraffic/{self.engine.now:%Y/%m/%d/%H}/{number}.jsonl"
        content = capture_file(f"{model}-{number}", self.engine.now, good, bad)
        version_id = self.objects.put(LIVE, key, content)
        self.captured.append(Captured(key, good, bad))
        self.source_ids[Source(LIVE, key, version_id, "e", len(content)).id] = key
        body = self._stored(key, content, version_id)
        # S3 delivers at least once; it is only duplicates and delays that this way knows.
        twice = self.faults.strikes("event_twice", "to capture")
        for _ in range(2 if twice else 1):
            self.account.send("capture", body)

    def label(self, model: str, *row_ids: str) -> None:
        """Ground truth arrives in the live bucket."""
        key = f"labels/{model}/{self.engine.now:%H%M%S}.jsonl"
        content = label_file(row_ids)
        self.account.send("labels", self._stored(key, content, self.objects.put(LIVE, key, content)))

    def _stored(self, key: str, content: bytes, version: str) -> dict[str, Any]:
        """S3's notification of an upload."""
        thing = {"key": key, "size": len(content), "versionId": version, "eTag": "e"}
        return {
            "Records": [{"eventTime": self.engine.now.isoformat(), "s3": {"bucket": {"name": LIVE}, "object": thing}}]
        }

    def run(self, **period: float) -> None:
        """Let time pass, e.g. ``run(hours=3)``."""
        self.engine.run(timedelta(**period))

    def episodes(self, model: str) -> list[Episode]:
        """All episodes of a model, oldest first."""
        return self.ledger.episodes(model, START - timedelta(days=365))

    def asked(self, message: Message) -> tuple[str, str]:
        """(model, episode) that a message to the first queue asks for; empty if it asks for nothing of a model here."""
        try:
            request = parse_request(as_record(message))
        except TerminalError:
            return "", ""
        if request is None or request.model not in self.models:
            return "", ""
        return request.model, request.episode_id

    def chance(self, *what: object) -> Any:
        """Chance of one thing."""
        return random(self.seed, *what)

    def _tell(self, line: str) -> None:
        if self.keep_story:
            self.told.append(f"{self.engine.now:%m-%d %H:%M:%S}  {line}")


@dataclass(frozen=True)
class _Usages:
    """A quarter of the shadows fail on what they are asked."""

    seed: int

    def of(self, endpoint: str, variant: str, start: datetime, end: datetime) -> Usage:
        """What a variant did."""
        bad = variant == SHADOW and random(self.seed, "shadow", endpoint, start).random() < 0.25
        return Usage(100, 50 if bad else 0, 0.01)


@dataclass(frozen=True)
class _Decisions:
    """SQS loses nothing: what the reconciler says again reaches the queue."""

    account: Account

    def tell(self, package_arn: str, approval: str) -> None:
        """Have a decision followed (again)."""
        detail = {"ModelPackageArn": package_arn, "ModelApprovalStatus": approval}
        self.account.send("deployment", {"detail": detail})


def counted(world: World) -> dict[str, tuple[int, int]]:
    """Capture object -> (rows in shards, rows in quarantine); shards of one object in two bundles are one."""
    rows: dict[str, int] = {}
    refused: Counter[str] = Counter()
    for model in world.models:
        for key in world.objects.keys(LIVE, f"shards/{model}/"):
            for shard in json.loads(world.objects.read(LIVE, key)):
                rows[world.source_ids.get(shard["object"], "")] = sum(part["rows"] for part in shard["hours"].values())
    for key in world.objects.keys(LIVE, "quarantine/"):
        refused.update(json.loads(line)["source"] for line in world.objects.read(LIVE, key).splitlines())
    return {captured.key: (rows.get(captured.key, 0), refused[captured.key]) for captured in world.captured}
