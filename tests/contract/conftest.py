"""AWS for the adapters, in memory (moto) and in the embedded AWS; contracts run on the fake and on the adapter in both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

from driftloop.twin import lifecycle
from tests.contract.account import empty
from tests.contract.twin.cloud import Cloud

EVERYWHERE = pytest.mark.parametrize("kind", ["fake", "moto", "twin"])
BOTH = pytest.mark.parametrize("kind", ["fake", "moto"])
"""Where the adapter is held against the API's model with botocore's Stubber."""
BEGIN = datetime(2013, 1, 1, 6, tzinfo=UTC)


@cache
def client(service: str) -> Any:
    """A client, made once for all tests: what is slow is making it, and the account behind it is empty each time."""
    return boto3.client(service)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A running twin, years before now."""
    twin = lifecycle.start(tmp_path_factory.mktemp("twins") / "shared", begin=BEGIN, attached=True)
    yield Cloud(twin)
    twin.stop()


@pytest.fixture
def aws(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Gives clients of an empty account."""
    if "kind" in request.fixturenames and request.getfixturevalue("kind") == "twin":
        cloud: Cloud = request.getfixturevalue("cloud")
        yield cloud.client
        empty(cloud.client)
    else:
        with mock_aws():
            yield client
