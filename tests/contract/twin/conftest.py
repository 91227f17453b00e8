"""One twin for all these tests; each makes resources of its own in it and moves the clock only forward."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need a twin."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.twin)
