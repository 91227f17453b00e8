"""What people do: stop retraining for a while, ask who did what, and do again what could not be done."""

from __future__ import annotations

import json

import pytest

from .examples import TRAM
from .kit import Kit


@pytest.fixture(scope="module")
def refused(kit: Kit) -> str:
    """Id of the episode that was refused while the model was paused."""
    told = kit.done("pause", TRAM, "--reason", "the depot is closed")
    assert f"{TRAM} is paused since {kit.now():%Y-%m-%d %H:}" in told, "in the twin's time"
    episode = kit.retrain(TRAM, "is anybody there")
    assert (episode.status, episode.rule) == ("refused", "resumed")
    return episode.id


def test_a_pause_refuses_with_its_reason_until_it_ends(kit: Kit, refused: str) -> None:
    told = kit.done("explain", refused[:6])
    assert "the depot is closed" in told
    assert f"next      driftloop resume {TRAM} ends the pause." in told
    assert "paused since" in kit.done("episodes", TRAM, "--status", "refused")
    assert "it was paused since" in kit.done("resume", TRAM)
    assert kit.retrain(TRAM, "and now").status == "failed", "there is nothing to train on, but it was tried"


def test_who_asked_is_the_caller(kit: Kit, refused: str) -> None:
    caller = kit.client("sts").get_caller_identity()["Arn"]
    assert json.loads(kit.done("explain", refused, "--json"))["episode"]["by"] == caller


def test_what_could_not_be_done_is_done_when_it_is_sent_back(kit: Kit) -> None:
    request = {
        "id": "sent-back", "detail-type": "Retraining Requested", "time": kit.now().isoformat(),
        "detail": {"model": TRAM, "reason": "from the dead letters"},
    }  # fmt: skip
    kit.send("retraining-dlq", request)
    assert kit.waiting("retraining-dlq") == 1
    told = kit.done("dead-letters", "retraining", "--redrive")
    assert "driftloop-retraining-dlq: 1 messages sent back to driftloop-retraining, 0 left" in told
    kit.settle()
    assert (kit.waiting("retraining-dlq"), kit.waiting("retraining")) == (0, 0)
    assert "from the dead letters" in {episode.reason for episode in kit.episodes(TRAM)}
