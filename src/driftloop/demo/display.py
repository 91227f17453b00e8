"""What the demo shows while it runs: one line for everything that happens, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_COLOURS = {
    "alarm": "yellow",
    "decision": "cyan",
    "gate": "magenta",
    "promotion": "green",
    "window": "dim",
    "step": "bold",
}


class Display:
    """Lines of what happened above a progress bar; without a terminal only the lines."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=40), TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(), console=self._console, transient=True,
        )  # fmt: skip
        self._task: TaskID | None = None

    def say(self, kind: str, text: str, at: datetime | None = None) -> None:
        """One line; ``kind`` is step, window, alarm, decision, gate or promotion."""
        colour = _COLOURS[kind]
        when = f"{at:%Y-%m-%d %H:%M}  " if at else ""
        self._console.print(f"[dim]{when}[/dim][{colour}]{kind:<10}[/{colour}] {escape(text)}")

    @contextmanager
    def progress(self, description: str, total: int) -> Iterator[None]:
        """Show a bar inside the block."""
        with self._progress:
            self._task = self._progress.add_task(description, total=total)
            yield
            self._progress.remove_task(self._task)
            self._task = None

    def advance(self, description: str) -> None:
        """One step further."""
        if self._task is not None:
            self._progress.update(self._task, advance=1, description=description)
