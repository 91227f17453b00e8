"""Object storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from driftloop.aws.objects import S3Objects
from driftloop.names import parse_uri
from driftloop.ports import NotFoundError, Objects
from driftloop.simulation.fakes import FakeObjects
from tests.contract.conftest import EVERYWHERE

BUCKET = "live-bucket"


@pytest.fixture
def objects(kind: str, aws: Callable[[str], Any]) -> Objects:
    if kind == "fake":
        return FakeObjects()
    s3 = aws("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return S3Objects(s3)


@EVERYWHERE
class TestObjects:
    def test_what_is_written_is_read(self, objects: Objects) -> None:
        objects.write(BUCKET, "a/b", b"one")
        objects.write(BUCKET, "a/b", b"\x00two\n")
        assert objects.read(BUCKET, "a/b") == b"\x00two\n"

    @pytest.mark.parametrize("size", [0, 1, 5_000_000])
    def test_blocks_are_the_object_bit_by_bit(self, objects: Objects, size: int) -> None:
        content = bytes(range(251)) * (size // 251 + 1)
        objects.write(BUCKET, "key", content[:size])
        blocks = list(objects.blocks(BUCKET, "key"))
        assert b"".join(blocks) == content[:size]
        assert all(0 < len(block) <= 4_000_000 for block in blocks)

    def test_keys_are_sorted_and_below_the_prefix(self, objects: Objects) -> None:
        for key in ("b/2", "b/10", "a/1", "bc/1", "b"):
            objects.write(BUCKET, key, b"")
        assert objects.keys(BUCKET, "b/") == ["b/10", "b/2"]
        assert objects.keys(BUCKET, "z/") == []
        assert len(objects.keys(BUCKET, "")) == 5

    def test_more_keys_than_a_page_holds(self, objects: Objects) -> None:
        for number in range(1001):
            objects.write(BUCKET, f"many/{number:04d}", b"")
        assert len(objects.keys(BUCKET, "many/")) == 1001

    def test_what_is_not_there(self, objects: Objects) -> None:
        objects.write(BUCKET, "there", b"")
        for bucket, key in ((BUCKET, "gone"), ("no-bucket", "there")):
            with pytest.raises(NotFoundError, match=f"s3://{bucket}/{key} does not exist"):
                objects.read(bucket, key)
            with pytest.raises(NotFoundError):
                list(objects.blocks(bucket, key))


def test_a_version_is_read_even_when_it_has_been_replaced(aws: Callable[[str], Any]) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    fake, real = FakeObjects(), S3Objects(s3)
    for content in (b"old\n", b"new\n"):
        version = s3.put_object(Bucket=BUCKET, Key="k", Body=content)["VersionId"]
        assert list(real.blocks(BUCKET, "k", version)) == [content]
        assert list(fake.blocks(BUCKET, "k", fake.put(BUCKET, "k", content))) == [content]
    first = s3.list_object_versions(Bucket=BUCKET, Prefix="k")["Versions"][-1]["VersionId"]
    assert list(real.blocks(BUCKET, "k", first)) == list(fake.blocks(BUCKET, "k", "0")) == [b"old\n"]


def test_uris() -> None:
    assert parse_uri("s3://bucket/a/b c") == ("bucket", "a/b c")
    for bad in ("bucket/a", "s3://bucket", "s3://bucket/", "http://bucket/a", ""):
        with pytest.raises(ValueError, match="not an S3 object"):
            parse_uri(bad)

    def test_an_object_is_made_once(self, objects: Objects) -> None:
        assert objects.create(BUCKET, "once", b"first")
        assert not objects.create(BUCKET, "once", b"second")
        assert objects.read(BUCKET, "once") == b"first"
        assert len(objects.latest(BUCKET, "once")) == 1

    def test_a_copy_is_the_object_as_it_is_now(self, objects: Objects) -> None:
        for content in (b"old", b"new"):
            objects.write(BUCKET, "here", content)
            objects.copy(BUCKET, "here", "there")
        objects.write(BUCKET, "here", b"newer")
        assert objects.read(BUCKET, "there") == b"new"
        with pytest.raises(NotFoundError, match=f"s3://{BUCKET}/gone does not exist"):
            objects.copy(BUCKET, "gone", "there")

    def test_the_latest_version_of_each_object(self, objects: Objects) -> None:
        for key, content in (("in/b", b"1"), ("in/a", b"22"), ("in/b", b"333"), ("inn", b"4")):
            objects.write(BUCKET, key, content)
        found = objects.latest(BUCKET, "in/")
        assert [(item.key, item.size) for item in found] == [("in/a", 2), ("in/b", 3)]
        objects.write(BUCKET, "in/b", b"55555")
        assert b"".join(objects.blocks(BUCKET, "in/b", found[1].version)) == b"333"
        assert objects.latest(BUCKET, "in/")[1].version != found[1].version
