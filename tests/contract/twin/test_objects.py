"""S3: listing with keys in order equals a plain listing, whatever was written, overwritten and deleted."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from .cloud import Cloud, code_of, policy

KEYS = [f"{a}/{b}/{c}" for a in ("a", "a b", "ä", "z") for b in ("1", "10", "2") for c in ("x", "y.csv", "")] + [
    "a", "a!", "aa", "a/", "Z", "0", "~", "a/1", "b//c", "b/.d",
]  # fmt: skip


class Model:
    """What S3 documents about listing, over a plain set of keys."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def list(self, prefix: str, delimiter: str, after: str) -> tuple[list[str], list[str]]:
        contents, prefixes = [], set()
        for key in sorted(self.keys, key=str.encode):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                prefixes.add(prefix + rest[: rest.index(delimiter) + len(delimiter)])
            elif key > after:
                contents.append(key)
        return contents, sorted(p for p in prefixes if p > after)


def listed(s3: Any, bucket: str, prefix: str, delimiter: str, after: str, size: int) -> tuple[list[str], list[str]]:
    """All pages of a listing."""
    contents: list[str] = []
    prefixes: list[str] = []
    arguments = {"Delimiter": delimiter, "StartAfter": after, "Prefix": prefix}
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": size}, **{k: v for k, v in arguments.items() if v}
    )
    for page in pages:
        assert page["KeyCount"] <= size
        contents += [item["Key"] for item in page.get("Contents", ())]
        prefixes += [item["Prefix"] for item in page.get("CommonPrefixes", ())]
    return contents, prefixes


@pytest.mark.parametrize("versioned", [False, True])
def test_listing_equals_a_plain_listing(cloud: Cloud, versioned: bool) -> None:
    s3, bucket, model = cloud.client("s3"), cloud.bucket(), Model()
    if versioned:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    choices = random.Random(7)  # noqa: S311 - the same choices in every run
    for round_ in range(3):
        for key in choices.sample(KEYS, 25):
            s3.put_object(Bucket=bucket, Key=key, Body=str(round_).encode())
            model.keys.add(key)
        gone = choices.sample(sorted(model.keys), 10)
        for key in gone[:5]:
            s3.delete_object(Bucket=bucket, Key=key)
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in gone[5:]]})
        s3.delete_object(Bucket=bucket, Key="never/there")
        model.keys -= set(gone)
        for prefix in ("", "a", "a/", "a/1", "ä/", "absent"):
            for delimiter in ("", "/"):
                for after, size in (("", 1000), ("", 4), ("a/10", 3)):
                    found = listed(s3, bucket, prefix, delimiter, after, size)
                    assert found == model.list(prefix, delimiter, after), (prefix, delimiter, after, size)


def test_overwriting_keeps_one_key_and_versions_keep_all_contents(cloud: Cloud) -> None:
    s3, bucket = cloud.client("s3"), cloud.bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="d/k", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="d/k", Body=b"2")["VersionId"]
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="d/")["Contents"]] == ["d/k"]
    assert s3.get_object(Bucket=bucket, Key="d/k", VersionId=first)["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="d/k")
    assert s3.list_objects_v2(Bucket=bucket, Prefix="d/")["KeyCount"] == 0
    assert code_of(lambda: s3.get_object(Bucket=bucket, Key="d/k")) == "NoSuchKey"
    versions = s3.list_object_versions(Bucket=bucket, Prefix="d/")
    assert {v["VersionId"] for v in versions["Versions"]} == {first, second}
    (marker,) = versions["DeleteMarkers"]
    s3.delete_object(Bucket=bucket, Key="d/k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="d/k")["Body"].read() == b"2"
    assert s3.list_objects_v2(Bucket=bucket, Prefix="d/")["KeyCount"] == 1


def test_a_bucket_can_be_emptied_deleted_and_made_again(cloud: Cloud) -> None:
    s3, bucket = cloud.client("s3"), cloud.bucket()
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert code_of(lambda: s3.delete_bucket(Bucket=bucket)) == "BucketNotEmpty"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="n", Body=b"1")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["n"]


def test_copies_and_parts_are_listed_too(cloud: Cloud) -> None:
    s3, bucket = cloud.client("s3"), cloud.bucket()
    s3.put_object(Bucket=bucket, Key="b", Body=b"1")
    s3.copy_object(Bucket=bucket, Key="a", CopySource={"Bucket": bucket, "Key": "b"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
    tag = s3.upload_part(Bucket=bucket, Key="c", UploadId=upload, PartNumber=1, Body=b"xyz")["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="c", UploadId=upload, MultipartUpload={"Parts": [{"ETag": tag, "PartNumber": 1}]}
    )
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a", "b", "c"]
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == b"xyz"


def test_a_conditional_write_loses_against_the_first(cloud: Cloud) -> None:
    s3, bucket = cloud.client("s3"), cloud.bucket()
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    assert code_of(lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")) == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"


def test_events_of_objects_reach_a_queue_in_the_order_of_writing(cloud: Cloud) -> None:
    s3, bucket, (url, arn) = cloud.client("s3"), cloud.bucket(), cloud.queue()
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}  # fmt: skip
    cloud.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(statement)})
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": [{
            "QueueArn": arn, "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "capture/"}]}},
        }]},
    )  # fmt: skip
    cloud.take(url)
    for number in range(15):
        s3.put_object(Bucket=bucket, Key=f"capture/{number}.jsonl", Body=b"1")
        s3.put_object(Bucket=bucket, Key=f"labels/{number}.jsonl", Body=b"1")
    bodies = [json.loads(body)["Records"][0]["s3"]["object"]["key"] for body in cloud.take(url)]
    assert bodies == [f"capture/{number}.jsonl" for number in range(15)]
