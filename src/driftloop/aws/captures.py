"""Capture objects as S3 lists them, with the versions that their notifications named."""

from __future__ import annotations

from typing import Any

from driftloop.aws.objects import current_versions
from driftloop.loop.sources import Source


class S3Captures:
    """The Captures port of ``driftloop.loop.backfill``."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def find(self, bucket: str, prefix: str) -> list[Source]:
        """Current objects below a prefix, sorted by key. Deleted and expired ones are not among them."""
        return [_source(bucket, item) for item in current_versions(self._s3, bucket, prefix)]


def _source(bucket: str, item: dict[str, Any]) -> Source:
    # In a bucket without versions S3 lists "null", and its notifications name no version at all.
    version = None if item["VersionId"] == "null" else item["VersionId"]
    return Source(bucket, item["Key"], version, item["ETag"].strip('"'), item["Size"])
