"""The kit as it is deployed: queues, their functions and the hourly reconciler, run in virtual time."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet

from driftloop.aws import emf, wiring
from driftloop.simulation.engine import Engine
from driftloop.simulation.faults import FUNCTION_TIMEOUT, MAX_SKEW, Crash, Faults, share

RECONCILE_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Queue:
    """One work queue and the function that it feeds, as infra.function_catalog says."""

    function: str
    deliveries: int = 5
    visibility: timedelta = 6 * FUNCTION_TIMEOUT


QUEUES = {
    "retraining": Queue("start_retraining"),
    "episode": Queue("track_episode"),
    "deployment": Queue("deploy_model", deliveries=120),
    "endpoint": Queue("confirm_deployment"),
    "capture": Queue("profile_traffic"),
    "labels": Queue("join_labels"),
}
BATCH = 10


@dataclass
class Message:
    """One message; a copy that EventBridge or SQS makes is another one."""

    id: str
    queue: str
    body: str
    sent: datetime
    receives: int = 0
    fate: str = "waiting"
    """``waiting``, ``handled`` or ``dead``."""


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "driftloop-simulated"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:driftloop-simulated"
    aws_request_id = "52fdfc07-2182-154f-163f-5f0f9a621d72"


class WorkerClock:
    """Each process's own clock, which may be wrong."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.skews: dict[Any, timedelta] = {}

    def now(self) -> datetime:
        """Current time as the process that asks believes."""
        return self._engine.now + self.skews.get(getcurrent(), timedelta(0))


@dataclass
class Account:
    """Messages on their way, and the functions at work."""

    engine: Engine
    faults: Faults
    handlers: Mapping[str, Callable[[Any, Any], Any]]
    clock: WorkerClock
    messages: list[Message] = field(default_factory=list)
    log: Callable[[str], None] = lambda _: None
    reconciles: bool = True
    at_work: int = 0
    """Processes that run."""
    _ready: dict[str, list[Message]] = field(default_factory=dict)

    def start(self) -> None:
        """The reconciler's schedule."""
        self.engine.every(RECONCILE_EVERY, self.reconcile)

    def event(self, queue: str, body: Mapping[str, Any]) -> None:
        """An event of AWS on its way through EventBridge: at least once usually, late or never sometimes."""
        place = f"to {queue}"
        if self.faults.strikes("event_lost", place):
            return
        for _ in range(2 if self.faults.strikes("event_twice", place) else 1):
            late = self.faults.strikes("event_late", place)
            number = len(self.messages)
            delay = timedelta(seconds=20 * share(self.faults.seed, place, number))
            self.send(queue, body, 200 * delay if late else delay)

    def send(self, queue: str, body: Mapping[str, Any], delay: timedelta = timedelta(seconds=1)) -> None:
        """Straight into a queue, which loses nothing."""
        message = Message(f"m{len(self.messages)}", queue, json.dumps(body), self.engine.now)
        self.messages.append(message)
        self.engine.after(delay, lambda: self._arrive(message))

    def call(self, function: str, event: dict[str, Any], done: Callable[[Any], None]) -> None:
        """A schedule calls a function."""
        self._run(function, event, done, lambda: None)

    def replay(self, message: Message, delay: timedelta) -> None:
        """A message that has had its end comes again, as if it had never been received."""
        message.fate, message.receives = "waiting", 0
        self.engine.after(delay, lambda: self._arrive(message))

    def reconcile(self, attempt: int = 0) -> None:
        """Lambda tries an asynchronous call again twice."""
        if not self.reconciles:
            return

        def failed() -> None:
            if attempt < 2:
                self.engine.after(timedelta(minutes=1 + attempt), lambda: self.reconcile(attempt + 1))

        self._run("reconcile", {}, lambda _: None, failed)

    def _arrive(self, message: Message) -> None:
        ready = self._ready.setdefault(message.queue, [])
        ready.append(message)
        if len(ready) == 1:  # the poller takes what is there a moment later
            self.engine.after(timedelta(seconds=2), lambda: self._poll(message.queue))

    def _poll(self, queue: str) -> None:
        ready = self._ready.pop(queue, [])
        for start in range(0, len(ready), BATCH):
            self._deliver(QUEUES[queue], ready[start : start + BATCH])

    def _deliver(self, queue: Queue, batch: list[Message]) -> None:
        for message in batch:
            message.receives += 1

        def done(answer: Any) -> None:
            bad = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
            self._settle(queue, batch, bad)

        self._run(
            queue.function, {"Records": [as_record(m) for m in batch]}, done,
            lambda: self._settle(queue, batch, {message.id for message in batch}),
        )  # fmt: skip

    def _settle(self, queue: Queue, batch: list[Message], bad: set[str]) -> None:
        for message in batch:
            if message.id not in bad:
                message.fate = "handled"
            elif message.receives >= queue.deliveries:
                message.fate = "dead"
                self.log(f"dead letter {message.queue} {message.id}: {message.body[:120]}")
            else:
                self.engine.after(queue.visibility, lambda m=message: self._arrive(m))  # type: ignore[misc]

    def _run(
        self, function: str, event: dict[str, Any], done: Callable[[Any], None], failed: Callable[[], None]
    ) -> None:
        """One invocation in a process of its own, killed when its time is over."""

        def job() -> None:
            self.at_work += 1
            if self.faults.strikes("clock_skew", function):
                ahead = share(self.faults.seed, "skew", len(self.messages)) * 2 - 1
                self.clock.skews[getcurrent()] = ahead * MAX_SKEW
            try:
                answer = self.handlers[function](event, Context())
            except Crash as crash:
                self.log(f"{function} crashed at {crash}")
                failed()
            except Exception as error:
                self.log(f"{function} failed: {type(error).__name__}: {error}")
                failed()
            else:
                done(answer)
            finally:
                self.at_work -= 1
                self.clock.skews.pop(getcurrent(), None)

        worker = self.engine.work(job)
        if not worker.dead:
            self.engine.after(FUNCTION_TIMEOUT, lambda: _kill(worker))


def _kill(worker: greenlet) -> None:
    if not worker.dead:
        worker.throw(Crash("its time was over"))


def as_record(message: Message) -> dict[str, Any]:
    """The message as its function gets it."""
    return {
        "messageId": message.id,
        "receiptHandle": message.id,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.receives),
            "SentTimestamp": str(int(message.sent.timestamp() * 1000)),
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:123456789012:driftloop-{message.queue}",
        "awsRegion": "eu-central-1",
    }


def load_handlers() -> dict[str, Callable[[Any, Any], Any]]:
    """The functions' own handlers. Raises ModuleNotFoundError outside a checkout of the kit."""
    names = [queue.function for queue in QUEUES.values()] + ["reconcile", "detect_drift", "compare_shadow"]
    return {name: importlib.import_module(f"functions.{name}.handler").handler for name in names}


@contextmanager
def silent() -> Iterator[None]:
    """Functions at work without their logs and metrics, which are lines of the log."""
    before = emf._emit
    emf._emit = lambda *_: None
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        emf._emit = before
        logging.disable(logging.NOTSET)


@contextmanager
def wired(ports: Mapping[str, Any]) -> Iterator[None]:
    """Have the handlers find these ports instead of AWS."""
    before = {name: getattr(wiring, name) for name in ports}
    for name, port in ports.items():
        setattr(wiring, name, port if name == "CLOCK" else lambda port=port: port)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(wiring, name, value)


def random(seed: int, *what: object) -> Random:
    """Chance for one thing, whatever else happens."""
    return Random("|".join(map(str, (seed, *what))))  # noqa: S311 - a simulation
