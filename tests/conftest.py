"""What every test gets: the library on the path, no real AWS within reach, and no caches from the test before."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]

SLOW = ("demo", "integration", "kill", "contract/twin", "infra", "spark", "browser", "pipelines")
"""Folders whose tests share something dear, such as a deployed twin: one worker runs all of a folder, dearest first."""
PROMPT = ("demo", "integration", "kill", "contract/twin")
"""Folders that pass small messages between many processes: beside one that only computes, each would wait for its turn,
and the demo takes three times as long."""


# The same examples in every run, and no time limits per example on a busy machine.
settings.register_profile("driftloop", derandomize=True, deadline=None, database=None)
settings.load_profile("driftloop")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    items.sort(key=lambda item: _place(item.path.relative_to(root).as_posix()))


class _ByFolder(LoadScopeScheduling):
    """Folders of SLOW stay together, others go file by file."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0].removeprefix("tests/")
        return next((folder for folder in SLOW if path.startswith(f"{folder}/")), path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _ByFolder(config, log)


def _place(path: str) -> int:
    return next((number for number, folder in enumerate(SLOW) if path.startswith(folder + "/")), len(SLOW))


def pytest_runtest_setup(item: pytest.Item) -> None:
    path = item.path.relative_to(Path(__file__).parent).as_posix()
    if not path.startswith(tuple(f"{folder}/" for folder in PROMPT)) and os.nice(0) == 0:
        os.nice(10)  # for good: the tests that follow are of the same kind, as the others come first


@pytest.fixture(autouse=True)
def _no_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def _cold_caches() -> Iterator[None]:
    """A warm function keeps what never changes; each test is a cold start."""
    _clear()
    yield
    _clear()


def _clear() -> None:
    caches = (
        ("baselines", "_CACHE"),
        ("detect_drift", "_LABELLED"),
        ("detect_drift", "_SHARDS"),
        ("join_labels", "_ROWS"),
        ("watch_rollout", "_READ"),
        ("join_labels", "_KNOWN"),
    )
    for module, name in caches:
        loaded = sys.modules.get(f"driftloop.loop.{module}")
        if loaded is not None:
            getattr(loaded, name).clear()
