"""The harness itself: the same seed tells the same story, and whoever plants a bug sees it found."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from driftloop.simulation.__main__ import main
from driftloop.simulation.faults import DEFAULT, LEVELS, share
from driftloop.simulation.invariants import INVARIANTS
from driftloop.simulation.plants import PLANTS
from driftloop.simulation.story import play, shrink

WITHIN = 2000
"""Seeds within which every planted bug must be found."""


def test_the_same_seed_tells_the_same_story() -> None:
    one, two = (play(7, level="heavy", keep_story=True) for _ in range(2))
    assert (one, one.told) == (two, two.told)
    assert one.struck


def test_another_process_tells_the_same_story() -> None:
    """Hashes of text differ from process to process."""
    code = "from driftloop.simulation.story import play; print(*play(7, keep_story=True).told, sep='\\n')"
    told = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert told[0] == told[1] != ""


def test_other_seeds_tell_other_stories() -> None:
    assert len({play(seed).struck for seed in range(8)}) == 8


def test_without_faults_nothing_goes_wrong() -> None:
    story = play(3, level="none")
    assert (story.struck, story.violations, story.replayed) == ((), (), True)
    assert story.retrainings


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_no_invariant_is_violated(level: str) -> None:
    assert [play(seed, level=level).violations for seed in range(40)] == [()] * 40


def test_many_models_at_once() -> None:
    story = play(1, models=150)
    assert story.violations == ()
    assert story.retrainings > 300


def test_every_kind_of_fault_happens() -> None:
    kinds = {kind for seed in range(60) for kind, _, _ in play(seed, level="heavy").struck}
    assert kinds == set(DEFAULT)


def test_chance_is_even() -> None:
    points = [share(seed, f"ledger.move|{number % 7}", number) for seed in range(40) for number in range(250)]
    tenths = [sum(1 for point in points if tenth <= point * 10 < tenth + 1) for tenth in range(10)]
    assert all(850 < count < 1150 for count in tenths)


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_a_planted_bug_is_found(name: str) -> None:
    _, plant = PLANTS[name]
    assert any(play(seed, plant=plant).violations for seed in range(WITHIN))
    assert play(0).violations == (), "the bug is still there"


def test_a_failure_is_made_smaller() -> None:
    _, plant = PLANTS["token_per_attempt"]
    story = next(story for story in (play(seed, plant=plant) for seed in range(WITHIN)) if story.violations)
    small = shrink(story, 3, "default", plant)
    assert {violation.invariant for violation in small.violations} & {v.invariant for v in story.violations}
    assert len(small.struck) < min(5, len(story.struck))
    assert play(story.seed, spared=frozenset(story.struck)).violations == ()


class TestCommand:
    def test_many_seeds(self) -> None:
        answer = CliRunner().invoke(main, ["--seeds", "0:6", "--json"])
        result = json.loads(answer.output)
        assert answer.exit_code == 0
        assert (result["schedules"], result["duplicates"], result["lost"], result["seeds"]) == (6, 0, 0, [])
        assert set(result["violations"]) == {*INVARIANTS, "I8"}
        assert sum(result["faults"].values()) > 100
        assert set(result["faults"]) <= set(DEFAULT)

    def test_a_planted_bug(self) -> None:
        answer = CliRunner().invoke(main, ["--seeds", "0:4", "--plant", "no_reconciler"])
        assert answer.exit_code == 1
        assert "I2: " in answer.output
        assert "--replay 0" in answer.output

    def test_one_story(self) -> None:
        answer = CliRunner().invoke(main, ["--replay", "0", "--plant", "no_reconciler"])
        assert answer.exit_code == 1
        assert "VIOLATED I2" in answer.output
        answer = CliRunner().invoke(main, ["--replay", "0"])
        assert answer.exit_code == 0
        assert "all is well" in answer.output

    def test_the_list_of_bugs(self) -> None:
        answer = CliRunner().invoke(main, ["--plants"])
        assert len(answer.output.splitlines()) == len(PLANTS) >= 15
        assert json.loads(CliRunner().invoke(main, ["--plants", "--json"]).output).keys() == PLANTS.keys()

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ([], "give one of"),
            (["--seeds", "5"], "write two numbers"),
            (["--seeds", "5:5"], "the smaller one first"),
            (["--seeds", "a:b"], "no range of seeds"),
            (["--seeds", "0:1", "--plants"], "give one of"),
            (["--seeds", "0:1", "--plant", "none"], "is not one of"),
            (["--seeds", "0:1", "--faults", "light"], "is not one of"),
            (["--seeds", "0:1", "--models", "0"], "0 is not in the range"),
        ],
    )
    def test_bad_arguments(self, arguments: list[str], reason: str) -> None:
        answer = CliRunner().invoke(main, arguments)
        assert answer.exit_code == 2
        assert reason in answer.output
