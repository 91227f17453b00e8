"""What all steps share: arguments, the compiled model file, and how a failure is told."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class StepError(Exception):
    """The step cannot go on; every reason is one line for people."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))


Step = Callable[[argparse.Namespace], None]


def arguments(step: str, about: str | None, message: str = "/opt/ml/output/message") -> argparse.ArgumentParser:
    """Parser with what every step takes; SageMaker reads another message file from training than from processing."""
    parser = argparse.ArgumentParser(prog=step, description=about)
    parser.add_argument("--spec", type=Path, required=True, help="compiled model file, or the directory it is in")
    parser.add_argument("--message", type=Path, default=Path(message), help="file for the reason of a failure")
    return parser


def instant(text: str) -> datetime:
    """ISO-8601 text with an offset, as UTC. Raises ValueError, which argparse reports."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment.astimezone(UTC)


def add_instants(parser: argparse.ArgumentParser, *names: str) -> None:
    """Required arguments that are times."""
    for name in names:
        parser.add_argument(
            f"--{name}", type=instant, required=True, help="ISO-8601 with offset, e.g. 2013-03-01T00:00:00Z"
        )


def add_paths(parser: argparse.ArgumentParser, **defaults: str) -> None:
    """Arguments that are directories, with their places in a SageMaker container."""
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=Path, default=Path(default), help=f"directory (default {default})")


def read_spec(place: Path) -> dict[str, Any]:
    """The compiled model file: a JSON file or the only one in a directory. Raises StepError."""
    files = [place] if place.is_file() else sorted(place.glob("*.json"))
    if len(files) != 1:
        raise StepError(f"{place} holds {len(files)} JSON files where the compiled model file should be the only one")
    spec: dict[str, Any] = json.loads(files[0].read_bytes())
    return spec


def only_file(folder: Path, name: str) -> bytes:
    """Content of one input file. Raises StepError if it is not there."""
    path = folder / name
    if not path.is_file():
        raise StepError(f"{path} is missing: the step before did not write it")
    return path.read_bytes()


def run(step: Step, args: argparse.Namespace) -> int:
    """Run a step; a failure is told on stderr and in the message file, whose start SageMaker shows. Exit status."""
    try:
        step(args)
    except StepError as error:
        reason = str(error)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
    else:
        return 0
    print(reason, file=sys.stderr, flush=True)
    args.message.parent.mkdir(parents=True, exist_ok=True)
    args.message.write_text(reason, encoding="utf-8")
    return 1


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)
