"""One twin for all these tests; each makes resources of its own in it and moves the clock only forward."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from driftloop.twin import lifecycle
from driftloop.twin.lifecycle import Twin

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need a twin."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.twin)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Twin]]:
    """A twin that keeps its state; the last one is the one that lives."""
    folder = tmp_path_factory.mktemp("kept") / "twin"
    twins = [lifecycle.start(folder, begin=datetime(2013, 5, 1), attached=True, keep=True)]  # noqa: DTZ001
    yield twins
    for twin in twins:
        twin.stop()
