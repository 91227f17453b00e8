"""Where the model file wants a second person, an approval by whoever asked for the version does not count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftloop.retraining.episode import Status
from driftloop.simulation.fakes import FakeModels
from tests.fakes import examples as ex
from tests.unit.loop.world import World

ALICE, BOB = (f"arn:aws:iam::123456789012:user/{name}" for name in ("alice", "bob"))
ARN = f"{ex.GROUP_ARN}/1"


def _world(approval: str = "second_person", by: str = ALICE) -> tuple[World, str]:
    """A version waits that somebody asked for."""
    world = World(models=FakeModels(ex.model(retraining={"approval": approval})))
    episode = replace(ex.episode(Status.CANDIDATE), by=by)
    world.ledger.record(episode)
    return world, episode.id


def _approved(world: World, episode_id: str, by: str, registered_by: str = "") -> str:
    world.hosting.add(replace(ex.package(1, episode_id), decided_by=by, registered_by=registered_by))
    return world.deployer.decided(ARN)


def test_whoever_asked_for_it_cannot_approve_it() -> None:
    world, episode_id = _world()
    assert "another person has to" in _approved(world, episode_id, ALICE)
    package = world.hosting.package(ARN)
    assert (package.approval, world.hosting.plans) == ("PendingManualApproval", {})
    assert "who asked for it" in package.approval_reason
    assert world.episode(episode_id).status is Status.CANDIDATE, "it waits on"
    assert world.notifier.subjects == ["[driftloop] late_train: version 1 needs a second person"]
    assert "nothing to do" in world.deployer.decided(ARN), "the same approval once more"
    assert "is being rolled out" in _approved(world, episode_id, BOB)


@pytest.mark.parametrize("by", ["alarm driftloop-late-train-drift", "schedule", BOB])
def test_anybody_else_can(by: str) -> None:
    world, episode_id = _world(by=by)
    assert "is being rolled out" in _approved(world, episode_id, ALICE)


def test_an_approval_by_nobody_knows_whom_does_not_count() -> None:
    world, episode_id = _world()
    assert "does not say who approved" in _approved(world, episode_id, "")


def test_of_a_version_that_was_registered_by_hand_whoever_did_that_is_the_first_person() -> None:
    world, _ = _world()
    assert "another person has to" in _approved(world, "", BOB, registered_by=BOB)
    assert "is being rolled out" in _approved(world, "", ALICE, registered_by=BOB)


@pytest.mark.parametrize("approval", ["auto", "manual"])
def test_one_person_is_enough_elsewhere(approval: str) -> None:
    world, episode_id = _world(approval)
    assert "is being rolled out" in _approved(world, episode_id, ALICE)
