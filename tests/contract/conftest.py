"""AWS in memory (moto) for the adapters; every contract runs on the fake and on the adapter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

BOTH = pytest.mark.parametrize("kind", ["fake", "aws"])


@cache
def client(service: str) -> Any:
    """A client, made once for all tests: what is slow is making it, and the account behind it is empty each time."""
    return boto3.client(service)  # type: ignore[call-overload]


@pytest.fixture
def aws() -> Iterator[Any]:
    """Gives clients of an empty account."""
    with mock_aws():
        yield client
