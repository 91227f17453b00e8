"""Objects of the twin's S3, with the credentials of the role that a job or endpoint runs under."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from driftloop.twin.errors import ApiError, invalid

_CONFIG = Config(
    retries={"max_attempts": 0}, request_checksum_calculation="when_required",
    response_checksum_validation="when_required", s3={"addressing_style": "path"},
)  # fmt: skip
_LOCK = threading.Lock()
_CLIENTS: dict[tuple[str, str], Any] = {}


def role_client(service: str, credentials: Mapping[str, str], endpoint: str, region: str) -> Any:
    """A boto3 client with a role's credentials, made once per role."""
    key = (service, credentials["AWS_ACCESS_KEY_ID"])
    with _LOCK:
        if key not in _CLIENTS:
            # One session for all: it keeps the services' models, which take long to read.
            _CLIENTS[key] = _session().client(  # type: ignore[call-overload]
                service,
                region,
                endpoint_url=endpoint,
                config=_CONFIG,
                aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=credentials["AWS_SESSION_TOKEN"],
            )
        return _CLIENTS[key]


@cache
def _session() -> boto3.Session:
    # Not at import: by then the developer's own settings still count.
    return boto3.Session()


class Store:
    """Copies between S3 and folders, the way SageMaker fills and empties containers."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def download(self, uri: str, folder: Path) -> None:
        """An S3Prefix input: one object, or all objects below a prefix. Raises ApiError if there are none."""
        bucket, prefix = split_uri(uri)
        folder.mkdir(parents=True, exist_ok=True)
        found = 0
        for key in self._keys(bucket, prefix):
            target = folder / (key.removeprefix(prefix).lstrip("/") or PurePosixPath(prefix).name)
            if target.resolve().is_relative_to(folder.resolve()):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
                found += 1
        if not found:
            raise _nothing_at(uri)

    def find(self, uri: str) -> list[str]:
        """URIs of all objects below a prefix. Raises ApiError if there are none."""
        bucket, prefix = split_uri(uri)
        found = [f"s3://{bucket}/{key}" for key in self._keys(bucket, prefix)]
        if not found:
            raise _nothing_at(uri)
        return found

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (item["Key"] for item in page.get("Contents", ()) if not item["Key"].endswith("/"))

    def upload(self, folder: Path, uri: str, kms_key: str = "") -> None:
        """Everything in a folder, below a prefix."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}", path.read_bytes(), kms_key)

    def write(self, uri: str, content: bytes | IO[bytes], kms_key: str = "") -> None:
        """One object; a file is read while it is sent."""
        bucket, key = split_uri(uri)
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        self._s3.put_object(Bucket=bucket, Key=key, Body=content, **encryption)

    def read(self, uri: str) -> bytes:
        """One object. Raises ApiError if it does not exist or may not be read."""
        bucket, key = split_uri(uri)
        try:
            content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise invalid(f"{uri}: {error}") from error
        return content

    def stream(self, uri: str, size: int = 1 << 16) -> Iterator[bytes]:
        """One object piece by piece. Raises botocore's ClientError."""
        bucket, key = split_uri(uri)
        with closing(self._s3.get_object(Bucket=bucket, Key=key)["Body"]) as body:
            yield from body.iter_chunks(size)


def _nothing_at(uri: str) -> ApiError:
    return invalid(f"No S3 objects found under S3 URL {uri!r}")


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI. Raises ApiError."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise invalid(f"{uri!r} is not an S3 URI")
    return bucket, key
