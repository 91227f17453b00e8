"""Run one step: ``python <zip or -m pipelines.steps> prepare|validate|train|evaluate|refit --help``."""

from __future__ import annotations

import sys
from importlib import import_module

STEPS = ("prepare", "validate", "train", "evaluate", "refit")


def main(argv: list[str]) -> int:
    """Dispatch on the first argument; exit status of the step, 2 for a step that does not exist."""
    if not argv or argv[0] not in STEPS:
        print(f"which step? one of {', '.join(STEPS)}", file=sys.stderr)
        return 2
    status: int = import_module(f"pipelines.steps.{argv[0]}").main(argv[1:])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
