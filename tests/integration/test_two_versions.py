"""Two alarms at once, one retraining; its version rolls out, an alarm rises while it bakes, and it is rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from driftloop.names import ModelNames
from driftloop.retraining.episode import Episode

from .examples import BEGIN, TRAIN, train_history, trips
from .kit import NAME, Kit

NAMES = ModelNames(TRAIN)


AGAIN = BEGIN.replace(hour=2) + timedelta(days=3)
"""Three days of the holdout must be newer than what the first version was fitted on."""


def raise_alarm(kit: Kit, signal: str) -> None:
    """As a person tries an alarm out."""
    for state in ("OK", "ALARM"):
        kit.client("cloudwatch").set_alarm_state(
            AlarmName=NAMES.alarm(signal), StateValue=state, StateReason=f"the {signal} alarm, raised by hand"
        )


@dataclass(frozen=True)
class Rising:
    """What two alarms at once have led to."""

    before: int
    """Executions until then."""
    opened: list[Episode]

    @property
    def baking(self) -> Episode:
        """The episode whose version is rolled out."""
        [episode] = [episode for episode in self.opened if episode.status == "rolling_out"]
        return episode


@pytest.fixture(scope="module")
def rising(served: Kit, tmp_path_factory: pytest.TempPathFactory) -> Rising:
    """A second version that bakes: the world has flipped, and the drift and the quality alarm rise at once."""
    file: Path = tmp_path_factory.mktemp("flipped") / "trips.csv"
    file.write_text(train_history(flipped=True, end=AGAIN))
    served.move(AGAIN)
    served.settle()
    served.done("history", "import", TRAIN, file)
    known, before = {episode.id for episode in served.episodes(TRAIN)}, len(served.executions(TRAIN))
    raise_alarm(served, "drift")
    raise_alarm(served, "quality")
    served.settle()
    opened = [episode for episode in served.episodes(TRAIN) if episode.id not in known]
    assert "rolling_out" in {episode.status for episode in opened}, served.done("episodes", TRAIN)
    return Rising(before, opened)


def test_two_alarms_at_once_start_one_execution(served: Kit, rising: Rising) -> None:
    assert len(served.executions(TRAIN)) == rising.before + 1
    assert {episode.trigger for episode in rising.opened} == {"drift", "quality"}
    [merged] = [episode for episode in rising.opened if episode != rising.baking]
    assert (merged.status, merged.into) == ("merged", rising.baking.id)
    assert f"episode {rising.baking.id} is still" in merged.outcome
    assert served.waiting("retraining") == 0


def test_a_merged_request_is_explained_by_the_episode_that_answers_it(served: Kit, rising: Rising) -> None:
    [merged] = [episode for episode in rising.opened if episode != rising.baking]
    told = served.done("explain", merged.id[:8])
    assert f"{TRAIN} was not retrained for this: another episode answers it" in told
    assert f"{rising.baking.id} ({rising.baking.trigger}" in told
    assert f"answers   {merged.id}" in served.done("explain", rising.baking.id, "--model", TRAIN)


def test_alarm_while_baking_rolls_back(served: Kit, rising: Rising) -> None:
    baking, champion = rising.baking, served.ledger.champion(TRAIN)
    assert served.endpoint(TRAIN)[0] == "Updating"
    assert served.scaled(TRAIN) == [], "the number of instances stays meanwhile"
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
    assert served.scaled(TRAIN) == [(2, 4)]
    package = served.client("sagemaker").describe_model_package(ModelPackageName=baking.model_package_arn)
    assert package["ModelPackageVersion"] == 2
    assert package["ModelApprovalStatus"] == "Rejected"
    assert len(served.predict(TRAIN, [line for line, _ in trips(BEGIN.replace(hour=0), 3, seed=5)])) == 3
