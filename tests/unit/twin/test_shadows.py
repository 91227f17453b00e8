"""Which requests are copied for a shadow variant, and how copies wait."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from driftloop.twin.activity import Activity
from driftloop.twin.errors import ApiError
from driftloop.twin.fleets import Version
from driftloop.twin.shadows import LIMIT, ShadowedFleet


class Server:
    """A process that ends when it is told to."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def wait(self) -> None:
        self.ended.wait()

    def stop(self) -> None:
        self.ended.set()


def fleet(production: float = 1.0, shadow: float = 1.0, launch: Any = None) -> tuple[ShadowedFleet, Activity]:
    versions = [Version("c", name, {}, "r", {}, weight=weight) for name, weight in (("v", production), ("s", shadow))]
    activity = Activity()
    return ShadowedFleet(*versions, launch or (lambda _: Server()), activity), activity


@pytest.mark.parametrize(
    ("production", "shadow", "copies"), [(1, 1, 100), (1, 9, 100), (1, 0, 0), (1, 0.29, 29), (3, 1, 33), (2, 0.1, 5)]
)
def test_the_share_is_that_of_the_weights(production: float, shadow: float, copies: int) -> None:
    subject, _ = fleet(production, shadow)
    numbers = [number for _ in range(100) if (number := subject.sampled())]
    assert numbers == list(range(1, copies + 1))


def test_copies_are_sent_in_order_and_count_as_work() -> None:
    subject, activity = fleet()
    gate, sent = threading.Event(), list[int]()
    assert subject.later(lambda: bool(gate.wait(10)))
    assert all(subject.later(lambda n=number: sent.append(n)) for number in range(3))  # type: ignore[misc]
    assert (activity.running, sent) == (1, [])
    gate.set()
    subject.wait()
    assert sent == [0, 1, 2]


def test_a_copy_that_fails_does_not_hold_up_the_next() -> None:
    subject, _ = fleet()
    sent = list[int]()
    subject.later(lambda: print(1 / 0))
    subject.later(lambda: sent.append(1))
    subject.wait()
    assert sent == [1]


def test_only_so_many_wait_and_none_outlives_the_fleet() -> None:
    subject, _ = fleet()
    begun, gate, sent = threading.Event(), threading.Event(), list[int]()

    def block() -> None:
        begun.set()
        gate.wait(10)

    subject.later(block)
    begun.wait(10)
    assert all(subject.later(lambda: sent.append(1)) for _ in range(LIMIT))
    assert not subject.later(lambda: sent.append(1))
    subject.stop()
    assert subject.later(lambda: sent.append(1))
    gate.set()
    subject.wait()
    assert sent == []


def test_if_the_shadow_does_not_start_nothing_is_left() -> None:
    server = Server()

    def launch(version: Version) -> Any:
        if version.variant == "s":
            raise ApiError("AlgorithmError", "no")
        return server

    subject, _ = fleet(launch=launch)
    with pytest.raises(ApiError, match="shadow variant s: no"):
        subject.start()
    assert server.ended.is_set()
