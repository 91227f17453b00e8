"""Two alarms at once, one retraining; its version rolls out, an alarm rises while it bakes, and it is rolled back."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop.names import ModelNames
from driftloop.retraining.episode import Episode

from .examples import BEGIN, TRAIN, train_history, trips
from .kit import NAME, Kit

NAMES = ModelNames(TRAIN)


def raise_alarm(kit: Kit, signal: str) -> None:
    """As a person tries an alarm out."""
    kit.client("cloudwatch").set_alarm_state(
        AlarmName=NAMES.alarm(signal), StateValue="ALARM", StateReason=f"the {signal} alarm, raised by hand"
    )


@pytest.fixture(scope="module")
def baking(served: Kit, tmp_path_factory: pytest.TempPathFactory) -> Episode:
    """A second version that bakes: the world has flipped, and the drift and the quality alarm rise at once."""
    assert len(served.executions(TRAIN)) == 1
    file: Path = tmp_path_factory.mktemp("flipped") / "trips.csv"
    file.write_text(train_history(flipped=True))
    served.done("history", "import", TRAIN, file)
    raise_alarm(served, "drift")
    raise_alarm(served, "quality")
    served.settle()
    [episode] = [e for e in served.episodes(TRAIN) if e.status == "rolling_out"]
    return episode


def test_two_alarms_at_once_start_one_execution(served: Kit, baking: Episode) -> None:
    assert len(served.executions(TRAIN)) == 2
    first, *others = served.episodes(TRAIN)
    assert first.trigger == "manual"
    assert {episode.trigger for episode in others} == {"drift", "quality"}
    [refused] = [episode for episode in others if episode.id != baking.id]
    assert refused.status == "refused"
    assert f"episode {baking.id} is still" in refused.outcome
    assert served.waiting("retraining") == 0


def test_alarm_while_baking_rolls_back(served: Kit, baking: Episode) -> None:
    champion = served.ledger.champion(TRAIN)
    assert served.endpoint(TRAIN)[0] == "Updating"
    too_early = served.run("down", "--destroy", "--name", NAME)
    assert too_early.exit_code == 1
    assert f"endpoint {NAMES.base} is Updating" in too_early.output
    assert served.keys("", "curated"), "nothing may be emptied before"
    raise_alarm(served, "errors")
    served.settle()
    [episode] = [e for e in served.episodes(TRAIN) if e.id == baking.id]
    assert episode.status == "rolled_back"
    assert NAMES.alarm("errors") in episode.outcome
    assert served.ledger.champion(TRAIN) == champion
    assert served.endpoint(TRAIN) == ("InService", NAMES.version(1))
    package = served.client("sagemaker").describe_model_package(ModelPackageName=baking.model_package_arn)
    assert package["ModelPackageVersion"] == 2
    assert package["ModelApprovalStatus"] == "Rejected"
    assert len(served.predict(TRAIN, [line for line, _ in trips(BEGIN.replace(hour=0), 3, seed=5)])) == 3
