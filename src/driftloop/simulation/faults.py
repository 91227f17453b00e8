"""What goes wrong: decided by the seed, the place and how often it was passed, so that one fault more or less changes
no other."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from driftloop.ports import RetryableError
from driftloop.simulation.engine import Engine

Fault = tuple[str, str, int]
"""(kind, place, number of the call at that place)."""

CALL = ("throttled", "response_lost", "crash_before", "crash_after", "slow", "stale_read")
"""Faults of a call to a service."""
DEFAULT: Mapping[str, float] = {
    "throttled": 0.01, "response_lost": 0.005, "crash_before": 0.003, "crash_after": 0.003, "slow": 0.003,
    "stale_read": 0.02, "event_lost": 0.05, "event_twice": 0.1, "event_late": 0.05, "stopped_by_hand": 0.02,
    "silent_rollback": 0.15, "endpoint_failed": 0.03, "step_failed": 0.1, "person_approves_twice": 0.05,
    "person_rejects_late": 0.05, "run_in_console": 0.1, "alarm_flaps": 0.3, "storm": 0.05, "feed_breaks": 0.05,
    "poisoned_capture": 0.3, "clock_skew": 0.2, "pause_by_hand": 0.05, "version_deleted": 0.02,
    "execution_deleted": 0.01,
}  # fmt: skip
"""Kind -> probability each time it could happen."""
HEAVY: Mapping[str, float] = {kind: min(0.5, 4 * rate) for kind, rate in DEFAULT.items()}
NONE: Mapping[str, float] = {}
LEVELS = {"none": NONE, "default": DEFAULT, "heavy": HEAVY}

MAX_SKEW = timedelta(seconds=60)
STALENESS = timedelta(minutes=2)
"""How old an answer of an eventually consistent service may be."""
FUNCTION_TIMEOUT = timedelta(seconds=60)
_ONE_WAY = timedelta(milliseconds=20)
"""To a service, and back."""
_SLOW = timedelta(seconds=50)
_READS = frozenset({"status", "endpoint", "package", "of_episode", "raised"})
"""Operations whose answers may be old; the ledger's are not among them, as it is read consistently."""


class Crash(BaseException):
    """The process is gone, in the middle of what it did."""


class UnavailableError(Exception):
    """A service throttles, or its answer never comes: not one of the kit's own errors, as in AWS."""


@dataclass
class Faults:
    """Decides, counts and names them."""

    seed: int
    rates: Mapping[str, float]
    engine: Engine
    until: datetime
    """From then on the world is kind."""
    spared: frozenset[Fault] = frozenset()
    """Faults that do not happen this time: how a failing seed is made smaller."""
    struck: list[Fault] = field(default_factory=list)
    log: Callable[[str], None] = lambda _: None
    due: list[tuple[str, str]] = field(default_factory=list)
    """(kind, place) of faults that strike the next time, whatever the rates."""
    _passed: Counter[str] = field(default_factory=Counter)

    def strikes(self, kind: str, place: str = "") -> bool:
        """True if it goes wrong here, this time."""
        return (kind in self.rates or bool(self.due)) and self._draw((kind,), f"{kind}|{place}", place) == kind

    def of_call(self, place: str) -> str:
        """Kind of the fault of one call; empty if all is well."""
        return self._draw(CALL, place, place)

    def _draw(self, kinds: tuple[str, ...], key: str, place: str) -> str:
        for kind in kinds if self.due else ():
            if (kind, place) in self.due:
                self.due.remove((kind, place))
                return self._strike((kind, place, 0))
        if self.engine.now >= self.until:
            return ""
        number = self._passed[key] = self._passed[key] + 1
        point = share(self.seed, key, number)
        for kind in kinds:
            point -= self.rates.get(kind, 0.0)
            if point < 0:
                return self._strike((kind, place, number))
        return ""

    def _strike(self, fault: Fault) -> str:
        if fault in self.spared:
            return ""
        self.struck.append(fault)
        self.log(f"FAULT {fault[0]} {fault[1]}")
        return fault[0]


def share(seed: int, key: str, number: int) -> float:
    """A number in [0, 1) that depends on its arguments only."""
    mixed = zlib.crc32(b"%d" % number, _begun(seed, key)) * 2654435761 + seed * 40503
    mixed ^= mixed >> 15
    return (mixed * 2246822519 & 0xFFFFFFFF) / 2**32


@lru_cache(maxsize=1024)
def _begun(seed: int, key: str) -> int:
    return zlib.crc32(f"{seed}|{key}|".encode())


class Service:
    """A port behind a network: each call takes a while and may go wrong, before or after it has had its effect."""

    def __init__(self, name: str, port: Any, faults: Faults) -> None:
        self._name, self._port, self._faults = name, port, faults
        self._answers: dict[Any, tuple[datetime, Any]] = {}

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        method, readable, place = getattr(self._port, operation), operation in _READS, f"{self._name}.{operation}"
        faults, engine, answers = self._faults, self._faults.engine, self._answers

        def call(*arguments: Any) -> Any:
            fault = faults.of_call(place)
            engine.pause(_SLOW if fault == "slow" else _ONE_WAY)
            if fault:
                self._fail(fault, place)
                if fault == "stale_read" and readable:
                    since, old = answers.get((operation, arguments), (engine.now, None))
                    if old is not None and engine.now - since < STALENESS:
                        return old
            answer = method(*arguments)
            if readable:
                answers[operation, arguments] = engine.now, answer
            if fault == "crash_after":
                raise Crash(place)
            if fault == "response_lost":
                raise UnavailableError(f"{place}: no response")
            engine.pause(_ONE_WAY)
            return answer

        self.__dict__[operation] = call  # the next time it is found without asking
        return call

    def _fail(self, fault: str, place: str) -> None:
        """Raise if the call fails before it has had its effect."""
        if fault == "crash_before":
            raise Crash(place)
        if fault == "throttled":
            # The adapters of SageMaker's changes say that trying again helps; the others let botocore's error pass.
            raise (RetryableError if self._name in ("pipelines", "hosting") else UnavailableError)(
                f"{place}: throttled"
            )
