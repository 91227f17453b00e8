"""What mutmut has found, as a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GOAL = 0.9
"""Share of mutants that the tests must notice."""
NOTICED = frozenset({"killed", "timeout", "caught by type check"})
EQUIVALENT: Mapping[str, str] = {
    r'^\+.*Decision\((Verdict\.\w+|verdict), (None|"XXXX"),|^\+ +Verdict\.WAIT if .* else Verdict\.REFUSE, (None|"XXXX"),$': (
        "a rule leaves the name empty and `decide` writes the rule's name over whatever is there"
    ),
}
"""Pattern of a changed line -> why nothing that can be observed depends on it."""


@dataclass(frozen=True)
class Mutant:
    """One change of the code and what became of it."""

    name: str
    """As mutmut says it: module, function, number."""
    status: str
    change: tuple[str, ...] = ()
    """Lines of the difference, each with its sign; of those that were not noticed."""

    @property
    def noticed(self) -> bool:
        """True if some test failed."""
        return self.status in NOTICED

    @property
    def module(self) -> str:
        """Where it is."""
        return self.name.rpartition(".")[0]

    @property
    def place(self) -> str:
        """Function and number: ``_Case.not_before 7``."""
        function, _, number = self.name.rpartition(".")[2].partition("__mutmut_")
        return f"{re.sub('^x_?', '', function).strip('ǁ').replace('ǁ', '.')} {number}"

    @property
    def reason(self) -> str:
        """Why it is equivalent; empty if nobody has said so."""
        return next((why for what, why in EQUIVALENT.items() if any(re.search(what, c) for c in self.change)), "")


def score(mutants: Sequence[Mutant]) -> float:
    """Share that was noticed; equivalent ones count against it."""
    return sum(mutant.noticed for mutant in mutants) / len(mutants)


def complaints(mutants: Sequence[Mutant]) -> list[str]:
    """Why the run is not good enough; empty if it is."""
    found = [f"{m.place} in {m.module} is {m.status}" for m in mutants if not m.noticed and not m.reason]
    if score(mutants) < GOAL:
        found.append(f"the score is {score(mutants):.1%}; {GOAL:.0%} or more are asked for")
    return found


def page(mutants: Sequence[Mutant]) -> str:
    """The report; the same for the same code and tests."""
    modules = Counter(mutant.module for mutant in mutants)
    noticed = Counter(mutant.module for mutant in mutants if mutant.noticed)
    rows = [
        f"| `{name}` | {modules[name]} | {noticed[name]} | {noticed[name] / modules[name]:.1%} |" for name in modules
    ]
    return _PAGE.format(
        score=f"{score(mutants):.1%}", noticed=noticed.total(), total=len(mutants), rows="\n".join(rows),
        survivors=_survivors([mutant for mutant in mutants if not mutant.noticed]),
    )  # fmt: skip


def _survivors(mutants: Sequence[Mutant]) -> str:
    if not mutants:
        return "None: every mutant was noticed."
    rows = [f"| `{m.place}` | {_change(m)} | {m.reason or f'**open** ({m.status})'} |" for m in mutants]
    return "\n".join(("| Mutant | Change | Why nothing depends on it |", "|---|---|---|", *rows))


def _change(mutant: Mutant) -> str:
    """What was there and what is, as code."""
    cells = [f"`{line[0]} {line[1:].strip()}`" for line in mutant.change]
    return "<br>".join(cell.replace("|", "\\|") for cell in cells)


_PAGE = """# Mutation testing

Would the tests notice if the decision were wrong? [mutmut](https://github.com/boxed/mutmut) changes one thing at a time
in the code that decides about retraining (an operator, a number, a word, an argument) and runs its unit tests on each
change. A mutant is noticed if some test fails.

**{noticed} of {total} mutants were noticed: {score}.**

| Module | Mutants | Noticed | Score |
|---|---|---|---|
{rows}

## What was not noticed

{survivors}

## How to run it again

`make mutation` takes some minutes, writes this page and fails below 90% or at a survivor without a reason. Its reasons
are in `tests/mutation/report.py`. It is no part of `make test`. mutmut changes functions and methods; properties and the
tables of the modules (the order of the rules, the moves of the state machine) are compared word by word by the tests.
"""
