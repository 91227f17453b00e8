"""What reading captured traffic gives: columns of the rows that were counted, and what was put aside."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from driftloop.data.schema import Columns

SCORE = "score"


@dataclass(frozen=True)
class Quarantined:
    """One record or row that could not be read."""

    line: int
    offset: int
    reason: str
    content: str
    """Start of what was refused, for people; never parsed again."""

    def moved(self, lines: int, size: int) -> Quarantined:
        """The same, as seen from ``lines`` lines and ``size`` bytes further up."""
        return replace(self, line=self.line + lines, offset=self.offset + size)


@dataclass
class Decoded:
    """What a part of a capture object held: captured rows = counted + quarantined."""

    columns: Columns
    """Payload columns and ``score``: float64 (probability of label 1, or a number), or text if it is a class."""
    quarantined: list[Quarantined] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows that were counted."""
        return len(self.columns[SCORE])


def join_decoded(parts: list[Decoded]) -> Decoded:
    """Several parts, at least one, in order."""
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    return Decoded(columns, [refused for part in parts for refused in part.quarantined])
