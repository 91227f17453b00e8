from __future__ import annotations

import pytest

from driftloop.reports.record import LoopRecord
from tests.unit.reports.records import empty_json, first_day_json, record_json


@pytest.fixture(scope="session")
def record() -> LoopRecord:
    return LoopRecord.from_json(record_json())


@pytest.fixture(scope="session")
def empty() -> LoopRecord:
    return LoopRecord.from_json(empty_json())


@pytest.fixture(scope="session")
def first_day() -> LoopRecord:
    return LoopRecord.from_json(first_day_json())
