"""A warm function's memory of files."""

from __future__ import annotations

import numpy as np

from driftloop.data.schema import Columns
from driftloop.loop.warm import WarmFiles


def test_each_file_is_read_once_and_forgotten_when_it_is_not_asked_for() -> None:
    calls: list[str] = []

    def read(key: str) -> Columns:
        calls.append(key)
        return {"key": np.array([key])}

    files: WarmFiles[Columns] = WarmFiles()
    assert [part["key"][0] for part in files.read("g", ["b", "a"], read)] == ["b", "a"]
    files.read("g", ["a", "c"], read)
    assert (calls, len(files)) == (["b", "a", "c"], 2)
    files.read("g", ["b"], read)
    assert calls == ["b", "a", "c", "b"]


def test_groups_are_apart_and_bounded() -> None:
    files: WarmFiles[Columns] = WarmFiles(groups=3)
    for group in range(20):
        files.read(group, ["a", "b"], lambda key: {"key": np.array([key])})
    assert len(files) <= 6
