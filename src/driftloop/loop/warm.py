"""What a warm function remembers of files whose names are hashes of what they hold: such a file never changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

Content = TypeVar("Content")


class WarmFiles(Generic[Content]):
    """Reads each file once. Of each group it keeps exactly the files that were asked for last, so it does not grow."""

    def __init__(self, groups: int = 16) -> None:
        self._limit = groups
        self._groups: dict[Hashable, dict[str, Content]] = {}

    def read(self, group: Hashable, keys: Sequence[str], read: Callable[[str], Content]) -> list[Content]:
        """Contents of the files, in order; ``read`` is called for those that are not known yet."""
        known = self._groups.pop(group, {})
        files = {key: known[key] if key in known else read(key) for key in keys}
        if len(self._groups) >= self._limit:
            self._groups.clear()
        self._groups[group] = files
        return list(files.values())

    def count(self, group: Hashable) -> int:
        """Files of a group that are kept."""
        return len(self._groups.get(group, ()))

    def clear(self) -> None:
        """Forget everything."""
        self._groups.clear()

    def __len__(self) -> int:
        """Files that are kept."""
        return sum(map(len, self._groups.values()))
