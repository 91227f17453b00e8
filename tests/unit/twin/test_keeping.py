"""Pictures of a state on disk: what is found again, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from driftloop.twin.activity import WHOLE, Activity
from driftloop.twin.keeping import Body, Keeper, KeepingError, Kept, port_of

LARGE = b"x" * 100_000


class Memory:
    """Something with a state, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.state: dict[str, Any] = {}
        self.activity = Activity()
        self.keeper = Keeper(folder, 4566, self.activity)
        self.keeper.parts = {"all": lambda: self.state}

    def keep(self) -> None:
        asyncio.run(self.keeper.keep())

    def note(self, value: Any) -> None:
        with WHOLE:
            self.keeper.note(value)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path)


def found(folder: Path) -> Kept:
    kept = Keeper(folder, 4566, Activity()).load()
    assert kept
    return kept


def bodies(folder: Path) -> int:
    return len(list((folder / "kept" / "bodies").iterdir()))


def test_nothing_is_found_where_nothing_was_kept(memory: Memory, tmp_path: Path) -> None:
    assert memory.keeper.load() is None
    assert port_of(tmp_path) is None
    assert port_of(tmp_path / "absent") is None


def test_the_last_picture_is_found(memory: Memory, tmp_path: Path) -> None:
    for number in range(3):
        memory.state["number"] = number
        memory.keep()
    memory.state["number"] = "not kept"
    assert found(tmp_path).states == {"all": {"number": 2}}
    assert port_of(tmp_path) == 4566


def test_it_is_behind_when_something_was_asked_for_or_has_run_or_runs(memory: Memory) -> None:
    assert memory.keeper.is_behind()
    memory.keep()
    assert not memory.keeper.is_behind()
    memory.keeper.changes += 1
    assert memory.keeper.is_behind()
    memory.keep()
    with memory.activity.work():
        memory.keep()
        assert memory.keeper.is_behind(), "it may have done something since"
    memory.keep()
    assert not memory.keeper.is_behind()
    with memory.activity.work():
        pass
    assert memory.keeper.is_behind()


def test_one_picture_is_enough_for_all_who_wait(memory: Memory, tmp_path: Path) -> None:
    taken = []
    memory.keeper.parts = {"all": lambda: memory.state, "count": lambda: (tmp_path / "count").open("a").write("x")}

    async def many() -> None:
        first = asyncio.create_task(memory.keeper.keep())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        memory.state["late"] = True
        await asyncio.gather(first, *(memory.keeper.keep() for _ in range(20)))
        taken.append(len((tmp_path / "count").read_text()))

    asyncio.run(many())
    assert taken == [2], "one was under way and may be too early for them"
    assert found(tmp_path).states["all"] == {"late": True}


def test_notes_after_the_picture_are_found_and_earlier_ones_are_part_of_it(memory: Memory, tmp_path: Path) -> None:
    memory.note("before")
    memory.keep()
    memory.note("after")
    memory.note("at last")
    assert found(tmp_path).notes == ("after", "at last")
    memory.keep()
    assert found(tmp_path).notes == ()


def test_notes_for_a_picture_that_was_never_finished_count_once(memory: Memory, tmp_path: Path) -> None:
    memory.keep()
    memory.note("first")
    memory.keeper.parts = {"all": lambda: 1 / 0}
    with pytest.raises(KeepingError):
        memory.keep()
    memory.note("second")
    again = Memory(tmp_path)
    kept = again.keeper.load()
    assert kept
    assert kept.notes == ("first", "second")
    again.keep()
    assert found(tmp_path).notes == (), "the picture has them"


def test_a_note_that_was_being_written_is_left_out(memory: Memory, tmp_path: Path) -> None:
    memory.keep()
    memory.note("whole")
    [path] = (tmp_path / "kept").glob("notes.*")
    path.write_bytes(path.read_bytes() + path.read_bytes()[:-5])
    assert found(tmp_path).notes == ("whole",)


def test_time_goes_on_after_the_last_note(memory: Memory, tmp_path: Path) -> None:
    memory.keep()
    picture = found(tmp_path).now
    memory.note("later")
    assert found(tmp_path).now > picture


def test_large_bodies_are_named_and_those_that_nothing_names_are_removed(memory: Memory, tmp_path: Path) -> None:
    memory.state["body"] = memory.keeper.body(LARGE)
    memory.keeper.body(LARGE + b"y")
    assert memory.keeper.body(b"small") == b"small"
    assert memory.keeper.body(memory.state["body"]) is memory.state["body"]
    memory.keep()
    assert (tmp_path / "kept" / "state").stat().st_size < len(LARGE)
    assert bodies(tmp_path) == 2
    again = found(tmp_path).states["all"]["body"]
    assert (again, type(again)) == (LARGE, Body)
    assert bodies(tmp_path) == 1


def test_a_state_that_cannot_be_kept_is_an_error_and_the_last_picture_stays(
    memory: Memory, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    memory.state["number"] = 1
    memory.keep()
    memory.state["thing"] = lambda: None
    with pytest.raises(KeepingError, match="could not be saved"):
        memory.keep()
    assert "lambda" in capfd.readouterr().err
    assert found(tmp_path).states == {"all": {"number": 1}}


@pytest.mark.parametrize("mode", [0o750, 0o707, 0o755])
def test_what_others_could_have_written_is_not_read(memory: Memory, tmp_path: Path, mode: int) -> None:
    memory.keep()
    (tmp_path / "kept").chmod(mode)
    with pytest.raises(KeepingError, match="open to others"):
        memory.keeper.load()
