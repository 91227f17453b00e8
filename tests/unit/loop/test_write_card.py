"""A version's model card: written once, before a person decides, and in nobody's way."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from driftloop.loop.write_card import CardWriter
from driftloop.ports import NotFoundError, Package, TerminalError
from driftloop.retraining.episode import Status
from driftloop.simulation.fakes import FakeModels
from driftloop.simulation.fakes.hosting import FUNCTION
from driftloop.twin import cards
from tests.fakes import examples as ex
from tests.unit.loop.world import World
from tests.unit.promotion.test_card import EVALUATION, TRAINING

PENDING = "PendingManualApproval"
ALICE = "arn:aws:iam::123456789012:user/alice"
PIPELINE = "arn:aws:sts::123456789012:assumed-role/driftloop-late-train-pipeline-eu-central-1/SageMaker"
RUN = f"arn:aws:sagemaker:eu-central-1:123456789012:pipeline/{ex.BASE}/execution/abc"
EVALUATED = f"evaluations/{ex.NAME}/abc/evaluation.json"
ARN = f"{ex.GROUP_ARN}/1"


def archive(**members: Any) -> bytes:
    """A model archive whose record comes last, as SageMaker may pack it."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as made:
        for name, content in {"model.joblib": b"x" * 5000, **members}.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return target.getvalue()


def world(**parts: Any) -> World:
    """One whose pipeline has just registered a version."""
    made = World(models=FakeModels(ex.model(**parts)))
    made.objects.write(ex.ARTIFACTS, EVALUATED, json.dumps(EVALUATION).encode())
    members = {"spec.json": ex.spec(training={"hyperparameters": {"max_iter": 7}}), "training.json": TRAINING}
    made.objects.write(ex.ARTIFACTS, "m1.tar.gz", archive(**members))
    made.pipelines.versions[RUN] = ARN
    register(made)
    return made


def register(made: World, approval: str = PENDING, by: str = PIPELINE, episode_id: str = "") -> Package:
    package = ex.package(1, episode_id, approval)
    properties = {**package.properties, "evaluation_uri": f"s3://{ex.ARTIFACTS}/{EVALUATED}", "trigger": "drift"}
    package = replace(package, properties=properties, registered_by=PIPELINE, decided_by=by)
    made.hosting.add(package)
    return package


def writer(made: World) -> CardWriter:
    return CardWriter(made.models, made.ledger, made.pipelines, made.hosting, made.objects, "curated")


def card(made: World) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made.hosting.package(ARN).card)
    cards.validator().validate(found)
    return found


def test_it_is_written_from_what_the_pipeline_left() -> None:
    made = world(description="Will a train be late?")
    episode = replace(ex.episode(Status.CANDIDATE), by=ALICE)
    made.ledger.record(episode)
    register(made, episode_id=episode.id)
    assert writer(made).write(RUN) == "version 1 has its card"
    found = card(made)
    job = found["training_details"]["training_job_details"]
    assert {"name": "max_iter", "value": "7"} in job["user_provided_hyper_parameters"]
    assert job["training_datasets"] == [f"s3://curated/datasets/{ex.NAME}/abc/manifest/manifest.json"]
    assert found["evaluation_details"][0]["metadata"]["decision"] == "promote"
    assert found["additional_information"]["custom_details"]["asked_by"] == ALICE
    assert made.hosting.package(ARN).approval == PENDING


def test_it_is_written_once_and_what_a_person_wrote_stays() -> None:
    made = world()
    writer(made).write(RUN)
    register(made)
    edited = '{"intended_uses": {"purpose_of_model": "mine"}}'
    made.hosting.attach_card(ARN, edited)
    assert writer(made).write(RUN) == "version 1 has a card"
    assert made.hosting.package(ARN).card == edited


@pytest.mark.parametrize(
    ("approval", "by", "written"),
    [
        (PENDING, PIPELINE, True),
        (PENDING, ALICE, True),
        ("Approved", PIPELINE, True),
        ("Approved", "", True),
        ("Approved", ALICE, False),
        ("Rejected", ALICE, False),
        ("Rejected", FUNCTION, False),
    ],
)
def test_who_has_decided_is_not_overwritten(approval: str, by: str, written: bool) -> None:
    made = world()
    register(made, approval, by)
    if written:
        writer(made).write(RUN)
        card(made)
    else:
        with pytest.raises(TerminalError, match=rf"version 1 is {approval} by \S+ already"):
            writer(made).write(RUN)
        assert made.hosting.package(ARN).decided_by == by
    assert made.hosting.package(ARN).approval == approval


def test_an_approval_that_the_card_overtook_does_not_count_for_a_second_person() -> None:
    """SageMaker says who changed a version last; when that is a function, nobody knows who approved it."""
    made = world(retraining={"approval": "second_person"})
    writer(made).write(RUN)
    package = made.hosting.package(ARN)
    assert package.decided_by == FUNCTION
    made.hosting.add(replace(package, approval="Approved"))
    assert made.deployer.decided(ARN).endswith("SageMaker does not say who gave it: give it again")
    assert made.hosting.package(ARN).approval == PENDING
    made.hosting.add(replace(made.hosting.package(ARN), approval="Approved", decided_by=ALICE))
    assert "is being rolled out" in made.deployer.decided(ARN), "given again"


def test_a_card_that_comes_when_the_rollout_has_begun_does_not_touch_it() -> None:
    made = world(retraining={"approval": "second_person"})
    register(made, "Approved", ALICE)
    assert "is being rolled out" in made.deployer.decided(ARN)
    made.hosting.attach_card(ARN, "{}")
    assert made.deployer.decided(ARN) == "version 1 is updating already: nothing to do"
    assert made.hosting.package(ARN).approval == "Approved"


@pytest.mark.parametrize("approval", ["Approved", "Rejected"])
def test_a_decision_that_comes_while_the_archive_is_read_is_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, approval: str
) -> None:
    made = world()

    def decided_meanwhile(*_: str) -> Iterator[bytes]:
        register(made, approval, ALICE)
        yield b""

    monkeypatch.setattr(made.objects, "blocks", decided_meanwhile)
    with pytest.raises(TerminalError, match=f"version 1 is {approval} by {ALICE} already"):
        writer(made).write(RUN)
    assert (made.hosting.package(ARN).decided_by, made.hosting.package(ARN).card) == (ALICE, "")


def test_what_was_deleted_is_left_out() -> None:
    made = world()
    package = register(made)
    gone = {**package.properties, "evaluation_uri": f"s3://{ex.ARTIFACTS}/evaluations/x/y/evaluation.json"}
    made.hosting.add(replace(package, properties=gone, model_data_url=f"s3://{ex.ARTIFACTS}/no.tar.gz"))
    writer(made).write(RUN)
    assert "evaluation_details" not in card(made)


@pytest.mark.parametrize("content", [b"", b"no archive", archive(), archive(**{"training.json": b"{"})])
def test_any_archive_will_do(content: bytes) -> None:
    made = world()
    made.objects.write(ex.ARTIFACTS, "m1.tar.gz", content)
    writer(made).write(RUN)
    assert "could not be read" in card(made)["training_details"]["training_observations"]


def test_a_large_archive_is_not_searched_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftloop.loop.write_card._LOOKED_INTO", 4000)
    made = world()
    writer(made).write(RUN)
    assert "could not be read" in card(made)["training_details"]["training_observations"]


def test_an_execution_that_registered_nothing_has_no_card() -> None:
    made = world()
    made.pipelines.versions.clear()
    assert writer(made).write(RUN) == "no version was registered"


def test_a_version_that_is_gone_says_so() -> None:
    made = world()
    made.pipelines.versions[RUN] = f"{ex.GROUP_ARN}/9"
    with pytest.raises(NotFoundError):
        writer(made).write(RUN)


@pytest.mark.parametrize("status", ["Succeeded", "Failed", "Stopped"])
def test_the_end_of_every_pipeline_that_succeeded_asks_for_one(status: str) -> None:
    made, asked = World(), []
    tracker = replace(made.tracker, card=asked.append)
    started = made.in_status(Status.STARTED)
    by_hand = f"{ex.GROUP_ARN.replace('model-package', 'pipeline')}/execution/by-hand"
    for arn in (by_hand, started.pipeline_execution_arn, started.pipeline_execution_arn):
        made.pipelines.statuses[arn] = status
        tracker.ended(arn, status)
    expected = [by_hand, started.pipeline_execution_arn, started.pipeline_execution_arn]
    assert asked == (expected if status == "Succeeded" else [])


def test_so_does_the_end_that_no_event_told_of() -> None:
    made, asked = World(), []
    tracker = replace(made.tracker, card=asked.append)
    started = made.in_status(Status.STARTED)
    assert tracker.look(started) is started
    made.pipelines.statuses[started.pipeline_execution_arn] = "Succeeded"
    assert tracker.look(started).status is Status.CANDIDATE
    assert asked == [started.pipeline_execution_arn]


def test_a_card_that_could_not_be_written_is_tried_again_a_few_times() -> None:
    made, asked = World(), []
    reconciler = replace(made.reconciler, tracker=replace(made.tracker, card=asked.append))
    waits = made.in_status(Status.CANDIDATE)
    made.hosting.add(ex.package(1, waits.id, PENDING))
    for _ in range(10):
        made.clock.advance(minutes=59)
        reconciler.reconcile()
    assert asked == [waits.pipeline_execution_arn] * 3
    assert made.episode(waits.id).status is Status.CANDIDATE


@pytest.mark.parametrize(("approval", "card"), [(PENDING, '{"intended_uses": {}}'), ("Approved", ""), ("Rejected", "")])
def test_a_version_that_has_a_card_or_was_decided_about_is_not_asked_after(approval: str, card: str) -> None:
    made, asked = World(), []
    reconciler = replace(made.reconciler, tracker=replace(made.tracker, card=asked.append))
    waits = made.in_status(Status.CANDIDATE)
    made.hosting.add(replace(ex.package(1, waits.id, approval), card=card))
    made.clock.advance(hours=1)
    reconciler.reconcile()
    assert asked == []
