"""S3 URIs, and that objects cannot leave the folder they are copied to."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from driftloop.twin.errors import ApiError
from driftloop.twin.storage import Store, split_uri


def test_an_uri_has_a_bucket_and_perhaps_a_key() -> None:
    assert split_uri("s3://bucket/a/b.csv") == ("bucket", "a/b.csv")
    assert split_uri("s3://bucket") == ("bucket", "")


@pytest.mark.parametrize("uri", ["", "bucket/key", "s3://", "s3:///key", "https://bucket/key"])
def test_what_is_no_uri_is_refused(uri: str) -> None:
    with pytest.raises(ApiError, match="is not an S3 URI"):
        split_uri(uri)


class Bucket:
    """Answers what the store asks of boto3's S3 client, from a dictionary; a real S3 would accept these keys too."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects

    def get_paginator(self, _operation: str) -> Bucket:
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803
        keys = sorted(key for key in self._objects if key.startswith(Prefix))
        return [{"Contents": [{"Key": key}]} for key in keys] or [{}]

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(self._objects[Key])}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_prefix_becomes_a_folder_and_one_object_a_file(tmp_path: Path) -> None:
    store = Store(Bucket({"d/a.csv": b"1", "d/x/b.csv": b"2", "d/": b"", "d/x/": b""}))
    store.download("s3://b/d/", tmp_path / "all")
    assert files(tmp_path / "all") == {"a.csv": b"1", "x/b.csv": b"2"}
    store.download("s3://b/d/x/b.csv", tmp_path / "one")
    assert files(tmp_path / "one") == {"b.csv": b"2"}


def test_a_key_that_climbs_out_stays_out(tmp_path: Path) -> None:
    Store(Bucket({"d/../../evil": b"1", "d/good": b"2"})).download("s3://b/d/", tmp_path / "in")
    assert files(tmp_path) == {"in/good": b"2"}


def test_an_empty_prefix_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="No S3 objects found under S3 URL 's3://b/none/'"):
        Store(Bucket({"d/a": b""})).download("s3://b/none/", tmp_path)
