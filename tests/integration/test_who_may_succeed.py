"""Broken challengers are stopped at a door of the pipeline, and a good one passes all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from driftloop.names import ModelNames
from driftloop.retraining.episode import Episode

from .examples import BUS, train_history, trips
from .kit import Kit

NAMES = ModelNames(BUS)
DOORS = {
    "throws": ("failed", "Evaluate", "RuntimeError: one is not enough"),
    "slow": ("rejected", "RejectChallenger", "s (latency 1 s)"),
    "NaN": ("failed", "Train", "answers of predict_proba are no probabilities"),
    "constant": ("rejected", "RejectChallenger", "answers 0.4 to every one of"),
    "bad in the west": ("rejected", "RejectChallenger", "line=west"),
}
"""What is wrong with a challenger -> its episode's status, the step that stops it, and the reason that people get."""


def _history(kit: Kit, folder: Path, leaks: bool = False) -> None:
    """Labelled trips until today; if they leak, the number of cars tells the label."""
    lines = train_history(end=kit.now()).splitlines()
    if leaks:
        lines[1:] = [f"{rest},{7 if label == '1' else 3},{label}" for rest, _, label in _cells(lines[1:])]
    file = folder / "trips.csv"
    file.write_text("\n".join(lines) + "\n")
    kit.done("history", "import", BUS, file)


def _cells(lines: list[str]) -> Iterator[list[str]]:
    return (line.rsplit(",", 2) for line in lines)


@contextmanager
def _other_spec(kit: Kit, change: Callable[[dict[str, Any]], object]) -> Iterator[None]:
    """The steps read another model file, as after a deployment."""
    definition = kit.client("sagemaker").describe_pipeline(PipelineName=NAMES.base)["PipelineDefinition"]
    [train] = [step for step in json.loads(definition)["Steps"] if step["Name"] == "Train"]
    [uri] = [
        channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in train["Arguments"]["InputDataConfig"]
        if channel["ChannelName"] == "spec"
    ]
    place, s3 = dict(zip(("Bucket", "Key"), uri.removeprefix("s3://").split("/", 1), strict=True)), kit.client("s3")
    before = s3.get_object(**place)["Body"].read()
    spec = json.loads(before)
    change(spec)
    s3.put_object(**place, Body=json.dumps(spec).encode())
    try:
        yield
    finally:
        s3.put_object(**place, Body=before)


def _challenged(kit: Kit, kind: str) -> Episode:
    """What becomes of a challenger of some kind."""
    with _other_spec(kit, lambda spec: spec["training"].update(hyperparameters={"kind": kind})):
        return kit.retrain(BUS, f"a version that is {kind}")


@pytest.fixture(scope="module")
def modest(served: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """An honest version serves that uses little of what could be known, and four days later it is challenged."""
    folder = tmp_path_factory.mktemp("trips")
    _history(served, folder)
    episode = served.retrain(BUS, "the first version")
    assert episode.status == "promoted", episode
    served.move(served.now() + timedelta(days=5))
    served.settle()
    _history(served, folder)
    return served


def _serves_on(kit: Kit) -> None:
    champion = kit.ledger.champion(BUS)
    assert champion
    assert champion.version == 1
    assert kit.endpoint(BUS) == ("InService", champion.config)
    assert len(kit.predict(BUS, [line for line, _ in trips(kit.now(), 3, seed=5)])) == 3


@pytest.mark.parametrize("kind", list(DOORS))
def test_a_broken_challenger_is_stopped_and_the_champion_serves_on(modest: Kit, kind: str) -> None:
    status, door, reason = DOORS[kind]
    episode = _challenged(modest, kind)
    steps = modest.client("sagemaker").list_pipeline_execution_steps(
        PipelineExecutionArn=episode.pipeline_execution_arn
    )
    assert [one["StepName"] for one in steps["PipelineExecutionSteps"] if one["StepStatus"] == "Failed"] == [door]
    assert (episode.status, reason in episode.outcome) == (status, True), episode.outcome
    assert reason in modest.done("explain", episode.id, "--model", BUS)
    _serves_on(modest)


def test_one_that_learned_from_a_leak_is_stopped(modest: Kit, tmp_path: Path) -> None:
    _history(modest, tmp_path, leaks=True)
    episode = _challenged(modest, "better")
    _history(modest, tmp_path)
    assert episode.status == "failed"
    assert "cars alone tells late with an AUC of 1.000 on the holdout" in episode.outcome
    _serves_on(modest)


def test_one_with_other_inputs_waits_for_a_person_though_approval_is_automatic(modest: Kit) -> None:
    def change(spec: dict[str, Any]) -> None:
        spec["data"]["features"]["cars"]["type"] = "number"
        spec["training"]["hyperparameters"] = {"kind": "better"}

    with _other_spec(modest, change):
        episode = modest.retrain(BUS, "other inputs")
    assert episode.status == "candidate", episode
    sagemaker = modest.client("sagemaker")
    newest = sagemaker.list_model_packages(ModelPackageGroupName=NAMES.base, SortOrder="Descending")
    package = newest["ModelPackageSummaryList"][0]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert "of another type: cars" in modest.done("explain", episode.id, "--model", BUS)
    _serves_on(modest)
    sagemaker.update_model_package(ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus="Rejected")
    modest.settle()
    [ended] = [one for one in modest.episodes(BUS) if one.id == episode.id]
    assert ended.status == "rejected"
    _serves_on(modest)


def test_a_good_one_takes_the_champions_place(modest: Kit) -> None:
    episode = _challenged(modest, "better")
    if episode.status == "rolling_out":
        modest.move(modest.now() + timedelta(hours=1))
        modest.settle()
        [episode] = [one for one in modest.episodes(BUS) if one.id == episode.id]
    assert episode.status == "promoted", episode
    champion = modest.ledger.champion(BUS)
    assert champion
    assert champion.package_arn == episode.model_package_arn
    assert len(modest.predict(BUS, [line for line, _ in trips(modest.now(), 3, seed=5)])) == 3
