"""Captured records on their way to S3: each is written exactly once, even if the twin is killed meanwhile."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from driftloop.twin.activity import WHOLE
from driftloop.twin.fleets import Version
from driftloop.twin.jobs import Platform


@dataclass(frozen=True)
class Record:
    """One captured request."""

    endpoint: str
    version: Version
    hour: str
    """``yyyy/mm/dd/hh``"""
    line: bytes


@dataclass
class Captured:
    """Records of one endpoint."""

    waiting: list[Record] = field(default_factory=list)
    """Not written yet."""
    writing: dict[str, tuple[Version, bytes]] = field(default_factory=dict)
    """URI -> content of the objects that are being written."""


class CaptureWriter:
    """Writes them."""

    def __init__(self, platform: Platform, exists: Callable[[str], bool]) -> None:
        self._platform, self._exists = platform, exists

    def write(self, captured: Captured) -> None:
        """Write all that waits, one object for each version and hour."""
        with WHOLE:
            records, captured.waiting = captured.waiting, []
            groups: dict[tuple[str, str, str], list[Record]] = {}
            for record in records:
                version = record.version
                groups.setdefault((version.config, version.variant, record.hour), []).append(record)
            new = {_uri(group[0]): (group[0].version, b"".join(r.line for r in group)) for group in groups.values()}
            captured.writing |= new
        for uri in new:
            self._write(captured, uri)

    def resume(self, captured: Captured) -> None:
        """Write what was being written when the twin was killed, unless it had arrived."""
        for uri in list(captured.writing):
            if self._exists(uri):
                del captured.writing[uri]
            else:
                self._write(captured, uri)

    def _write(self, captured: Captured, uri: str) -> None:
        version, content = captured.writing[uri]
        try:
            store = self._platform.store(version.role_arn, "SageMaker")
            store.write(uri, content, version.capture.get("KmsKeyId", ""))
        finally:
            del captured.writing[uri]


def _uri(record: Record) -> str:
    version = record.version
    prefix = f"{version.capture['DestinationS3Uri'].rstrip('/')}/{record.endpoint}/{version.variant}/{record.hour}"
    milliseconds = int(time.time() * 1000) % 1000
    return f"{prefix}/{time.strftime('%M-%S-', time.gmtime())}{milliseconds:03d}-{uuid.uuid4()}.jsonl"
