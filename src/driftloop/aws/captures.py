"""Capture objects as S3 lists them, with the versions that their notifications named."""

from __future__ import annotations

from typing import Any

from driftloop.loop.sources import Source


class S3Captures:
    """The Captures port of ``driftloop.loop.backfill``."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def find(self, bucket: str, prefix: str) -> list[Source]:
        """Current objects below a prefix, sorted by key. Deleted and expired ones are not among them."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        found = [_source(bucket, item) for page in pages for item in page.get("Versions", ()) if item["IsLatest"]]
        return sorted(found, key=lambda source: source.key)


def _source(bucket: str, item: dict[str, Any]) -> Source:
    # In a bucket without versions S3 lists "null", and its notifications name no version at all.
    version = None if item["VersionId"] == "null" else item["VersionId"]
    return Source(bucket, item["Key"], version, item["ETag"].strip('"'), item["Size"])
