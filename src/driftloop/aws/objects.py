"""S3 as the Objects port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from driftloop.ports import NotFoundError, Stored

_GONE = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"})
_BLOCK = 2 * 1024 * 1024


class S3Objects:
    """Objects in S3; encryption is the bucket's default."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def read(self, bucket: str, key: str) -> bytes:
        """A whole object. Raises NotFoundError."""
        content: bytes = self._get(bucket, key)["Body"].read()
        return content

    def blocks(self, bucket: str, key: str, version: str | None = None) -> Iterator[bytes]:
        """Content of an object bit by bit, without holding it in memory as a whole. Raises NotFoundError."""
        yield from self._get(bucket, key, version)["Body"].iter_chunks(_BLOCK)

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Create or replace an object."""
        self._s3.put_object(Bucket=bucket, Key=key, Body=content)

    def create(self, bucket: str, key: str, content: bytes) -> bool:
        """Create an object. False, and nothing is changed, if there is one."""
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] == "PreconditionFailed":
                return False
            raise
        return True

    def copy(self, bucket: str, key: str, to: str) -> None:
        """Create or replace an object with the content of another one of up to 5 GB. Raises NotFoundError."""
        with _gone(bucket, key):
            self._s3.copy_object(Bucket=bucket, Key=to, CopySource={"Bucket": bucket, "Key": key})

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Keys below a prefix, sorted."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def latest(self, bucket: str, prefix: str) -> list[Stored]:
        """The objects below a prefix in a bucket that keeps versions, sorted by key."""
        found = current_versions(self._s3, bucket, prefix)
        return [Stored(item["Key"], item["VersionId"], item["Size"]) for item in found]

    def _get(self, bucket: str, key: str, version: str | None = None) -> Any:
        which = {"VersionId": version} if version else {}
        with _gone(bucket, key):
            return self._s3.get_object(Bucket=bucket, Key=key, **which)


def current_versions(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    """What S3 lists of the current objects below a prefix, sorted by key. Deleted and expired ones are not among them."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    found = (item for page in pages for item in page.get("Versions", ()) if item["IsLatest"])
    return sorted(found, key=lambda item: item["Key"])


@contextmanager
def _gone(bucket: str, key: str) -> Iterator[None]:
    """Raises NotFoundError if that is what S3 says."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            raise NotFoundError(f"s3://{bucket}/{key} does not exist") from error
        raise
