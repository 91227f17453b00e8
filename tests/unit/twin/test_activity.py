"""Counting of work under way."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from driftloop.twin.activity import Activity


def test_a_block_counts_while_it_runs_and_when_it_breaks() -> None:
    activity = Activity()
    with activity.work(), activity.work():
        assert activity.running == 2
    with pytest.raises(LookupError), activity.work():
        raise LookupError
    assert activity.running == 0


def test_spawned_work_counts_from_the_call_to_its_end() -> None:
    activity, go = Activity(), threading.Event()

    def wait() -> None:
        go.wait(5)

    activity.spawn("waiter", wait)
    assert activity.running == 1
    go.set()
    for thread in threading.enumerate():
        if thread.name == "waiter":
            thread.join(5)
    assert activity.running == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_spawned_work_that_fails_has_ended() -> None:
    activity = Activity()

    def fail() -> None:
        raise LookupError

    activity.spawn("breaker", fail)
    for thread in threading.enumerate():
        if thread.name == "breaker":
            thread.join(5)
    assert activity.running == 0


def test_many_threads_leave_no_trace() -> None:
    activity = Activity()

    def churn() -> None:
        for _ in range(500):
            with activity.work():
                pass

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(churn)
    assert activity.running == 0
