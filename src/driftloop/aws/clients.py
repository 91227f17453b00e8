"""boto3 clients, made once per process, with retries for throttling and time-outs below the function's own."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

_CONFIG = Config(
    connect_timeout=3,
    # Checksums are TLS's job here; computing them for every small shard costs more than sending it.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


@cache
def client(service: str, attempts: int = 5, seconds: float = 20) -> Any:
    """The process's client for one service, which makes a call this often at most and waits this long for each answer."""
    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    return boto3.client(service, config=_CONFIG.merge(Config(retries=retries, read_timeout=seconds)))  # type: ignore[call-overload]


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Current time, aware, UTC."""
        return datetime.now(UTC)
