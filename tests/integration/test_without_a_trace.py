"""Removal, last of all: what can be seen of the kit before cannot be seen after."""

from __future__ import annotations

from functools import partial

from driftloop.twin import deployment, removal
from driftloop.twin.lifecycle import Twin

from .kit import NAME, Kit

KINDS = {kind.name for kind in removal._KINDS}


def test_destroy_leaves_nothing_behind(served: Kit) -> None:
    client = partial(deployment.client, served.twin)
    before = removal.leftovers(client)
    assert {kind for kind in KINDS if any(line.startswith(f"{kind} ") for line in before)} == KINDS
    assert served.keys("")
    output = removed(served)
    for kind in removal.BUCKETS:
        assert f"emptied   {served.bucket(kind)}: " in output
    assert "destroyed: nothing of the kit is left" in output
    assert "kept      stack CDKToolkit" in output
    assert "kept      bucket cdk-" in output
    assert Twin.find(served.twin.folder) is None


def removed(kit: Kit) -> str:
    return kit.done("down", "--destroy", "--name", NAME)
