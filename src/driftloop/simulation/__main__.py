"""Plays many seeds, or tells one: ``python -m driftloop.simulation --seeds 0:1000``."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial

import click

from driftloop.simulation.faults import LEVELS
from driftloop.simulation.invariants import INVARIANTS
from driftloop.simulation.plants import PLANTS
from driftloop.simulation.story import Plant, Story, no_plant, play, shrink

SHOWN = 20
"""Seeds that are named at most."""


class Seeds(click.ParamType[range]):
    """``A:B``, the seeds from A up to but not including B."""

    name = "A:B"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> range:
        """Read the text."""
        first, colon, last = value.partition(":")
        if not (colon and first.isdigit() and last.isdigit() and int(first) < int(last)):
            self.fail(
                f"{value!r} is no range of seeds; write two numbers, the smaller one first, such as 0:1000", param, ctx
            )
        return range(int(first), int(last))


@click.command()
@click.option("--seeds", type=Seeds(), help="Seeds to play, e.g. 0:1000.")
@click.option("--models", type=click.IntRange(1, 1000), default=3, show_default=True, help="Models in each story.")
@click.option("--faults", "level", type=click.Choice(sorted(LEVELS)), default="default", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.option("--replay", type=click.IntRange(0), help="Tell the story of one seed, made as short as it fails.")
@click.option("--plant", type=click.Choice(sorted(PLANTS)), help="Put a known bug into the code.")
@click.option("--plants", "list_plants", is_flag=True, help="List the known bugs.")
def main(
    seeds: range | None,
    models: int,
    level: str,
    as_json: bool,
    replay: int | None,
    plant: str | None,
    list_plants: bool,
) -> None:
    """The loop in virtual time, with everything going wrong that can. Exit status 1 if an invariant was violated."""
    if sum((seeds is not None, replay is not None, list_plants)) != 1:
        raise click.UsageError("give one of --seeds A:B, --replay SEED and --plants")
    if list_plants:
        _list_plants(as_json)
    elif replay is not None:
        sys.exit(_tell(replay, models, level, plant))
    elif seeds is not None:
        sys.exit(_play_all(seeds, models, level, plant, as_json))


def _list_plants(as_json: bool) -> None:
    meanings = {name: meaning for name, (meaning, _) in PLANTS.items()}
    if as_json:
        click.echo(json.dumps(meanings, indent=1))
        return
    width = max(map(len, meanings))
    for name, meaning in meanings.items():
        click.echo(f"{name:{width}}  {meaning}")


def _planted(name: str | None) -> Plant:
    return PLANTS[name][1] if name else no_plant


def _tell(seed: int, models: int, level: str, plant: str | None) -> int:
    story = play(seed, models, level, plant=_planted(plant), keep_story=True)
    if story.violations:
        before = len(story.struck)
        story = shrink(story, models, level, _planted(plant))
        click.echo(f"{len(story.struck)} of {before} faults are enough to make it fail.")
    for line in story.told:
        click.echo(line)
    for violation in story.violations:
        click.echo(f"VIOLATED {violation.invariant}: {violation.what}")
    if not story.violations:
        click.echo(f"seed {seed}: all is well")
    return 1 if story.violations else 0


def _play_one(seed: int, models: int, level: str, plant: str | None) -> Story:
    return play(seed, models, level, plant=_planted(plant))


def _stories(seeds: range, models: int, level: str, plant: str | None) -> Iterator[Story]:
    """In the order of the seeds, on all processors."""
    one = partial(_play_one, models=models, level=level, plant=plant)
    workers = min(os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count() or 1, len(seeds))
    if workers == 1:
        yield from map(one, seeds)
        return
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap(one, seeds, chunksize=max(1, min(25, len(seeds) // workers)))


def _play_all(seeds: range, models: int, level: str, plant: str | None, as_json: bool) -> int:
    faults: Counter[str] = Counter()
    violations: Counter[str] = Counter(dict.fromkeys(INVARIANTS, 0) | {"I8": 0})
    failing: list[Story] = []
    runs = replayed = played = 0
    for story in _stories(seeds, models, level, plant):
        played += 1
        faults += story.faults
        runs += story.retrainings
        replayed += story.replayed
        violations.update({violation.invariant for violation in story.violations})
        if story.violations:
            failing.append(story)
        if not as_json and sys.stderr.isatty():
            click.echo(f"\r{played} of {len(seeds)} schedules, {len(failing)} fail", err=True, nl=False)
    result = {
        "schedules": played,
        "models": models,
        "level": level,
        "plant": plant,
        "retrainings": runs,
        "replayed": replayed,
        "faults": dict(faults.most_common()),
        "violations": dict(sorted(violations.items())),
        "duplicates": violations["I1"],
        "lost": violations["I2"],
        "seeds": [story.seed for story in failing],
    }
    click.echo(json.dumps(result, indent=1) if as_json else _report(result, failing))
    return 1 if failing else 0


def _report(result: dict[str, object], failing: list[Story]) -> str:
    faults, violations = result["faults"], result["violations"]
    assert isinstance(faults, dict)  # noqa: S101 - narrows the type
    assert isinstance(violations, dict)  # noqa: S101
    lines = [
        f"{result['schedules']} schedules of {result['models']} models, {result['retrainings']} retrainings, "
        f"{result['replayed']} schedules replayed",
        f"{sum(faults.values())} faults: " + ", ".join(f"{kind} {count}" for kind, count in faults.items()),
        "violations: " + ", ".join(f"{name} {count}" for name, count in violations.items()),
        f"duplicates {result['duplicates']}, lost {result['lost']}",
    ]
    for story in failing[:SHOWN]:
        first = story.violations[0]
        lines.append(f"seed {story.seed}: {first.invariant}: {first.what}")
    if failing:
        options = [f"--replay {failing[0].seed} --models {result['models']} --faults {result['level']}"]
        options += [f"--plant {result['plant']}"] if result["plant"] else []
        lines.append(f"tell one of them step by step: python -m driftloop.simulation {' '.join(options)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
