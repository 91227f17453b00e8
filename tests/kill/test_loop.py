"""SIGKILL of functions, the model, steps and the twin at random points: the loop converges, nothing is lost or doubled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from driftloop.names import ModelNames
from driftloop.retraining.episode import Episode, Status
from tests.contract.twin.cloud import until
from tests.integration.examples import BEGIN, TRAIN, train_history, trips
from tests.integration.kit import Kit

from .chaos import FUNCTION, MODEL, STEP, Chaos

DAY = BEGIN.replace(hour=0) + timedelta(days=1)
LINES = [line for line, _ in trips(DAY, 300, seed=9)]
NAMES = ModelNames(TRAIN)
QUEUES = ("capture", "labels", "retraining", "episode", "deployment", "endpoint")
DEAD = (*QUEUES, "detection", "reconciliation")


@pytest.fixture(scope="module")
def lines() -> Iterator[str]:
    """Rows that nobody has sent yet."""
    return iter(LINES)


@pytest.fixture(scope="module")
def answered() -> list[str]:
    """Rows that the endpoint has answered."""
    return []


def is_answered(kit: Kit, rows: list[str], answered: list[str]) -> bool:
    """Ask the endpoint for these rows."""
    try:
        kit.predict(TRAIN, rows)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ModelError", "ServiceUnavailable"):
            return False
        raise
    answered += rows
    return True


def send(kit: Kit, lines: Iterator[str], answered: list[str], requests: int) -> None:
    """Ask for a few rows at a time, as often as it takes."""
    for _ in range(requests):
        rows = [next(lines) for _ in range(3)]
        until(partial(is_answered, kit, rows, answered), 60)


def counted(kit: Kit) -> list[str]:
    """Ids of all rows that were counted, as often as they were."""
    keys = kit.keys(f"rows/{TRAIN}/{DAY:%Y-%m-%d}/")
    return sorted(line.split(b",")[1].decode() for key in keys for line in kit.read(key).splitlines()[1:])


def in_shards(kit: Kit) -> int:
    """Rows in all profiles."""
    shards = [json.loads(kit.read(key)) for key in kit.keys(f"shards/{TRAIN}/")]
    return sum(profile["rows"] for shard in shards for part in shard for profile in part["hours"].values())


def check_rows(chaos: Chaos, answered: list[str]) -> None:
    """What was answered was captured and counted, each row once."""
    chaos.come_to_rest(*QUEUES)
    assert counted(chaos.kit) == sorted(line.split(",")[0] for line in answered)
    assert in_shards(chaos.kit) == len(answered)
    assert chaos.kit.quarantined("capture", TRAIN) == []
    assert {queue: chaos.kit.waiting(f"{queue}-dlq") for queue in DEAD} == dict.fromkeys(DEAD, 0)


def test_functions_that_are_killed_at_work(chaos: Chaos, lines: Iterator[str], answered: list[str]) -> None:
    chaos.kit.move(DAY + timedelta(hours=8))
    chaos.kit.settle()
    for _ in range(2):
        send(chaos.kit, lines, answered, chaos.random.randint(1, 4))
        chaos.kit.move(chaos.kit.now() + timedelta(minutes=6))
        chaos.kill_one(FUNCTION)
        chaos.kit.settle()
    check_rows(chaos, answered)


def test_a_model_that_is_killed_serves_again(chaos: Chaos, lines: Iterator[str], answered: list[str]) -> None:
    send(chaos.kit, lines, answered, chaos.random.randint(0, 3))
    chaos.kill_one(MODEL)
    send(chaos.kit, lines, answered, 3)
    check_rows(chaos, answered)


def test_a_twin_that_is_killed_while_records_wait(chaos: Chaos, lines: Iterator[str], answered: list[str]) -> None:
    now = chaos.kit.now()
    send(chaos.kit, lines, answered, chaos.random.randint(1, 5))
    chaos.kill_twin()
    assert timedelta() <= chaos.kit.now() - now < timedelta(hours=1)
    chaos.kit.settle()
    send(chaos.kit, lines, answered, 1)
    check_rows(chaos, answered)


def test_a_twin_that_is_killed_while_functions_work(chaos: Chaos, lines: Iterator[str], answered: list[str]) -> None:
    send(chaos.kit, lines, answered, 3)
    chaos.kit.move(chaos.kit.now() + timedelta(minutes=6))
    for _ in range(chaos.random.randint(0, 20)):
        chaos.kit.twin.door("status")
    chaos.kill_twin()
    check_rows(chaos, answered)
    chaos.kit.move(DAY + timedelta(days=1, hours=1))
    assert chaos.kit.report(TRAIN, DAY)["rows"] == len(answered)


@pytest.fixture(scope="module")
def flipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """History of a world that has changed, so that a challenger is better."""
    file = tmp_path_factory.mktemp("flipped") / "trips.csv"
    file.write_text(train_history(flipped=True, end=DAY + timedelta(days=3)))
    return file


def ask(kit: Kit) -> Episode:
    """Ask for a retraining; the episode when its pipeline runs."""
    before = {episode.id for episode in kit.episodes(TRAIN)}
    kit.done("retrain", TRAIN, "--reason", "the world has changed")
    episodes: list[Episode] = until(
        lambda: [e for e in kit.episodes(TRAIN) if e.id not in before and e.pipeline_execution_arn], 60
    )
    return episodes[0]


def ended(kit: Kit, episode: Episode) -> Episode:
    """The episode when all has come to rest."""
    kit.settle()
    found = kit.ledger.episode(TRAIN, episode.id)
    assert found
    return found


def step_of(kit: Kit, episode: Episode) -> str:
    """The step that runs, if one does."""
    steps = kit.client("sagemaker").list_pipeline_execution_steps(
        PipelineExecutionArn=episode.pipeline_execution_arn
    )["PipelineExecutionSteps"]  # fmt: skip
    return next((step["StepName"] for step in steps if step["StepStatus"] == "Executing"), "")


def test_a_step_that_is_killed_fails_its_episode(chaos: Chaos, flipped: Path) -> None:
    chaos.kit.move(DAY + timedelta(days=3))
    chaos.kit.settle()
    chaos.kit.done("history", "import", TRAIN, flipped)
    episode = ask(chaos.kit)
    chaos.kill_one(STEP)
    episode = ended(chaos.kit, episode)
    assert episode.status is Status.FAILED
    assert "AlgorithmError" in episode.outcome


def test_a_twin_that_is_killed_in_a_step_fails_its_episode(chaos: Chaos) -> None:
    episode = ask(chaos.kit)
    until(lambda: step_of(chaos.kit, episode), 60)
    chaos.kill_twin()
    episode = ended(chaos.kit, episode)
    assert episode.status is Status.FAILED
    told = chaos.kit.client("sagemaker").describe_pipeline_execution(
        PipelineExecutionArn=episode.pipeline_execution_arn
    )  # fmt: skip
    assert "the twin was killed" in told["FailureReason"]


def test_asked_again_it_succeeds_though_the_twin_is_killed_in_the_rollout(chaos: Chaos) -> None:
    episode = ask(chaos.kit)
    assert ended(chaos.kit, episode).status is Status.ROLLING_OUT
    minutes = chaos.random.randint(0, 40)
    chaos.kit.move(chaos.kit.now() + timedelta(minutes=minutes))
    chaos.kill_twin()
    chaos.kit.move(chaos.kit.now() + timedelta(days=1))
    assert ended(chaos.kit, episode).status is Status.PROMOTED
    assert chaos.kit.endpoint(TRAIN) == ("InService", NAMES.version(2))


def test_all_has_converged(chaos: Chaos, answered: list[str]) -> None:
    kit = chaos.kit
    chaos.come_to_rest(*QUEUES)
    assert kit.ledger.busy([TRAIN]) == {}, "an episode or a rollout is open"
    promoted = [e for e in kit.episodes(TRAIN) if e.status is Status.PROMOTED]
    assert len(promoted) == 2, "the first version, and one for the world that has changed"
    champion = kit.ledger.champion(TRAIN)
    assert champion
    packages = kit.client("sagemaker").list_model_packages(
        ModelPackageGroupName=NAMES.base, ModelApprovalStatus="Approved", SortBy="CreationTime", SortOrder="Descending"
    )["ModelPackageSummaryList"]  # fmt: skip
    assert champion.version == packages[0]["ModelPackageVersion"] == 2
    assert [run["PipelineExecutionStatus"] for run in kit.executions(TRAIN)].count("Succeeded") == 2
    assert len(counted(kit)) == len(answered)
