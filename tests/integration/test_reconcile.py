"""The reconciler with its own role: what events did not bring about is found in the ledger and finished."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from driftloop.loop.announce import EPISODE_CHANGED
from driftloop.names import ModelNames
from driftloop.retraining.episode import Episode, Request, Status, Trigger, open_episode

from .examples import TRAM
from .kit import Kit

GROUP = ModelNames(TRAM).base


def _left_behind(kit: Kit, cause: str) -> Episode:
    """An episode that was claimed an hour ago, by somebody who then died."""
    request = Request(TRAM, Trigger.MANUAL, cause, "left behind", kit.now() - timedelta(hours=1))
    episode = open_episode(request, Status.REQUESTED, "start")
    assert kit.ledger.claim(episode, request.at)
    return episode


def _reconciled(kit: Kit) -> dict[str, str]:
    answer = kit.client("lambda").invoke(FunctionName="driftloop-reconcile", Payload=b"{}")
    content = answer["Payload"].read()
    assert "FunctionError" not in answer, content
    kit.settle()
    found: dict[str, dict[str, str]] = json.loads(content)
    assert found["failed"] == {}
    return found["done"]


def _now(kit: Kit, episode: Episode) -> Episode:
    found = kit.ledger.episode(TRAM, episode.id)
    assert found
    return found


@pytest.fixture(scope="module")
def started(kit: Kit) -> Episode:
    """A claim that was never started; there is nothing to train on, so its pipeline soon fails."""
    episode = _left_behind(kit, "claimed")
    assert "was never started: started" in _reconciled(kit)[TRAM]
    return _now(kit, episode)


def test_a_claim_that_was_never_started_is_started(kit: Kit, started: Episode) -> None:
    assert started.status is Status.FAILED
    told = [event["status"] for event in kit.heard(EPISODE_CHANGED) if event["episode"] == started.id]
    assert told == ["started", "failed"], "of the claim nobody told; reconcile and track_episode told of the rest"
    assert started.pipeline_execution_arn in {found["PipelineExecutionArn"] for found in kit.executions(TRAM)}
    assert _reconciled(kit) == {}


def test_an_end_that_nobody_told_is_recorded_with_its_reason(kit: Kit, started: Episode) -> None:
    episode = _left_behind(kit, "ended")
    moved = episode.moved(Status.STARTED, episode.opened_at)
    running = replace(moved, pipeline_execution_arn=started.pipeline_execution_arn)
    assert kit.ledger.move(running, Status.REQUESTED)
    assert "was not told" in _reconciled(kit)[TRAM]
    assert _now(kit, episode).status is Status.FAILED
    assert _now(kit, episode).outcome == started.outcome


def test_a_decision_that_nobody_told_is_followed(kit: Kit) -> None:
    episode = _left_behind(kit, "decided")
    for before, after in ((Status.REQUESTED, Status.STARTED), (Status.STARTED, Status.CANDIDATE)):
        episode = episode.moved(after, episode.opened_at)
        assert kit.ledger.move(episode, before)
    container = {
        "Image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/image:1",
        "ModelDataUrl": "s3://nowhere/m.tar.gz",
    }
    rules = kit.client("events")
    rules.disable_rule(Name=f"{GROUP}-decided")
    arn = kit.client("sagemaker").create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Rejected",
        CustomerMetadataProperties={"episode_id": episode.id},
        InferenceSpecification={
            "Containers": [container], "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]  # fmt: skip
    kit.settle()
    rules.enable_rule(Name=f"{GROUP}-decided")
    assert _now(kit, episode).status is Status.CANDIDATE, "its event was lost"
    assert _reconciled(kit) == {TRAM: f"{arn} is Rejected: said again"}
    assert _now(kit, episode).status is Status.REJECTED
    assert [event["status"] for event in kit.heard(EPISODE_CHANGED) if event["episode"] == episode.id] == ["rejected"]
    kit.client("sagemaker").delete_model_package(ModelPackageName=arn)
