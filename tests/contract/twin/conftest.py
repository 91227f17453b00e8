"""One twin for all these tests; each makes resources of its own in it and moves the clock only forward."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from driftloop.twin import lifecycle

from .cloud import Cloud

BEGIN = datetime(2013, 1, 1, 6, tzinfo=UTC)
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need a twin."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.twin)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A running twin, years before now."""
    twin = lifecycle.start(tmp_path_factory.mktemp("twins") / "shared", begin=BEGIN, attached=True)
    yield Cloud(twin)
    twin.stop()
