"""What every test gets: the library on the path, no real AWS within reach, and no caches from the test before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [entry for entry in (str(ROOT / "src"), str(ROOT)) if entry not in sys.path]

# The same examples in every run, and no time limits per example on a busy machine.
settings.register_profile("driftloop", derandomize=True, deadline=None, database=None)
settings.load_profile("driftloop")


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
    for module, name in (("baselines", "_CACHE"), ("detect_drift", "_LABELLED"), ("join_labels", "_ROWS")):
        loaded = sys.modules.get(f"driftloop.loop.{module}")
        if loaded is not None:
            getattr(loaded, name).clear()
