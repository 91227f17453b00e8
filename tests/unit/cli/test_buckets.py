"""Emptying the buckets: every version, only the kit's own, and only if somebody means it."""

from __future__ import annotations

from typing import Any

import pytest

from driftloop.names import bucket
from driftloop.twin.removal import RemovalError, empty_bucket

from .conftest import ACCOUNT, KINDS, REGION, Account, Run, refusal

LIVE = bucket("live", ACCOUNT, REGION)
OTHERS = (bucket("live", ACCOUNT, "us-west-2"), "driftloop-live", "somebody-else")


@pytest.fixture
def filled(account: Account) -> Account:
    """More than one page of versions, a deletion, and buckets of others."""
    for number in range(1005):
        account.s3.put_object(Bucket=LIVE, Key=f"k{number % 1000}", Body=b"x")
    account.s3.delete_object(Bucket=LIVE, Key="k7")
    for name in OTHERS:
        account.make_bucket(name)
        account.s3.put_object(Bucket=name, Key="k", Body=b"x")
    return account


def test_every_version_of_the_own_buckets_goes(filled: Account, run: Run) -> None:
    result = run("empty-buckets", "--yes")
    assert result.exit_code == 0, result.output
    assert f"In account {ACCOUNT} in {REGION}:" in result.output
    assert f"emptied {LIVE}: 1006 object versions" in result.output
    assert [filled.versions(bucket(kind, ACCOUNT, REGION)) for kind in KINDS] == [0, 0, 0, 0]
    assert [filled.versions(name) for name in OTHERS] == [1, 1, 1]
    filled.s3.delete_bucket(Bucket=LIVE)


def test_nothing_goes_unless_confirmed(filled: Account, run: Run) -> None:
    for answer in ("n\n", "\n", ""):
        assert run("empty-buckets", input=answer).exit_code == 1
        assert filled.versions(LIVE) == 1006
    assert run("empty-buckets", input="y\n").exit_code == 0
    assert filled.versions(LIVE) == 0


def test_account_without_the_kit_is_named(empty_account: Account, run: Run) -> None:
    assert refusal(run("empty-buckets", "--yes")) == f"there are no buckets of the kit in account {ACCOUNT} in {REGION}"


def test_object_that_cannot_be_deleted_ends_it() -> None:
    class Locked:
        def list_object_versions(self, **_: Any) -> dict[str, Any]:
            return {"Versions": [{"Key": "k", "VersionId": "1"}]}

        def delete_objects(self, **_: Any) -> dict[str, Any]:
            return {"Errors": [{"Key": "k", "VersionId": "1", "Code": "AccessDenied", "Message": "locked"}]}

    with pytest.raises(RemovalError, match="s3://b/k cannot be deleted: AccessDenied: locked"):
        empty_bucket(Locked(), "b")
