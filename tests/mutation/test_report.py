"""The report says what mutmut has found, and the committed one is about the modules that are mutated."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.conftest import ROOT
from tests.mutation.report import GOAL, Mutant, complaints, page, score

DECISION = "driftloop.retraining.decision"
KILLED = Mutant(f"{DECISION}.x_decide__mutmut_1", "killed")
EQUIVALENT = Mutant(
    f"{DECISION}.xǁ_Caseǁnot_before__mutmut_7", "survived",
    ('-    return Decision(verdict, "", reason)', "+    return Decision(verdict, None, reason)"),
)  # fmt: skip
SURVIVOR = Mutant(f"{DECISION}.x__alone__mutmut_3", "survived", ("-    if a | b:", "+    if a & b:"))


def test_names_are_read_as_people_write_them() -> None:
    assert [mutant.place for mutant in (KILLED, EQUIVALENT, SURVIVOR)] == ["decide 1", "_Case.not_before 7", "_alone 3"]
    assert {mutant.module for mutant in (KILLED, EQUIVALENT, SURVIVOR)} == {DECISION}


@pytest.mark.parametrize(("killed", "wrong"), [(9, []), (8, ["the score is 88.9%; 90% or more are asked for"])])
def test_equivalent_mutants_count_against_the_score(killed: int, wrong: list[str]) -> None:
    mutants = [KILLED] * killed + [EQUIVALENT]
    assert score(mutants) == killed / (killed + 1)
    assert complaints(mutants) == wrong


@pytest.mark.parametrize("status", ["survived", "no tests", "suspicious", "segfault", "not checked"])
def test_a_survivor_without_a_reason_is_named(status: str) -> None:
    mutant = Mutant(SURVIVOR.name, status, SURVIVOR.change)
    assert complaints([KILLED] * 99 + [mutant]) == [f"_alone 3 in {DECISION} is {status}"]


def test_another_change_of_the_same_line_has_no_excuse() -> None:
    change = ('-    return Decision(verdict, "", reason)', '+    return Decision(verdict, "", None)')
    assert EQUIVALENT.reason
    assert not Mutant(EQUIVALENT.name, "survived", change).reason


def test_the_page() -> None:
    text = page([KILLED] * 8 + [EQUIVALENT, SURVIVOR])
    assert "**8 of 10 mutants were noticed: 80.0%.**" in text
    assert f"| `{DECISION}` | 10 | 8 | 80.0% |" in text
    assert '| `_Case.not_before 7` | `- return Decision(verdict, "", reason)`<br>`+ return Decision(' in text
    assert "| `_alone 3` | `- if a \\| b:`<br>`+ if a & b:` | **open** (survived) |" in text


def test_the_committed_report_is_about_the_mutated_modules_and_good_enough() -> None:
    text = (ROOT / "docs" / "reference" / "mutation.md").read_text(encoding="utf-8")
    mutated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]["only_mutate"]
    modules = [path.removeprefix("src/").removesuffix(".py").replace("/", ".") for path in mutated]
    assert re.findall(r"^\| `([\w.]+)` \| \d+", text, re.MULTILINE) == modules
    noticed, total = map(int, re.findall(r"\*\*(\d+) of (\d+) mutants", text)[0])
    assert noticed / total >= GOAL
    assert "**open**" not in text
