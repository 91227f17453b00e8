"""What the benchmark shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

_POLICY_COLUMNS = {
    "rows": "{:,}", "windows": "{}", "alarms": "{}", "refused": "{}", "retrainings": "{}", "rejected": "{}", "log_loss": "{:.5f}",
    "auc": "{:.4f}", "accuracy": "{:.4f}", "delay_windows": "{:.1f}", "changes_missed": "{}", "null_alarm_rate": "{:.2%}",
}  # fmt: skip

_WIDTH = 160
"""Of tables that go to a file."""


class Display:
    """Progress goes to the standard error, tables to the standard output."""

    def __init__(self) -> None:
        self._out, self._err = Console(), Console(stderr=True)
        if not self._out.is_terminal:
            self._out = Console(width=_WIDTH)

    def say(self, text: str) -> None:
        """One line."""
        self._err.print(text, highlight=False, markup=False, soft_wrap=True)

    def fault(self, text: str) -> None:
        """Why nothing can be done."""
        self._err.print(f"error: {text}", style="red", highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, name: str, total: int) -> Iterator[Callable[[], object]]:
        """A bar; the given function moves it by one."""
        columns = (TextColumn("{task.description:22}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._err) as bar:
            task = bar.add_task(name, total=total)
            yield lambda: bar.advance(task)

    def tables(self, result: Mapping[str, Any]) -> None:
        """Everything that was found."""
        if result["policies"]:
            self._out.print(_policies(result["policies"]))
        if result["faults"]:
            self._out.print(_faults(result["faults"]))
        for fault in result["faults"]:
            for missed in fault["missed"]:
                self._out.print(f"not named: {fault['name']}: {missed}", highlight=False, markup=False, soft_wrap=True)


def _policies(policies: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Policies")
    table.add_column("name", no_wrap=True)
    for name in _POLICY_COLUMNS:
        table.add_column(name.replace("_", " "), justify="right")
    for policy in policies:
        cells = ["-" if policy[n] is None else form.format(policy[n]) for n, form in _POLICY_COLUMNS.items()]
        table.add_row(policy["name"], *cells)
    return table


def _faults(faults: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Injected faults")
    for name in ("fault", "trials", "named right", "taken for"):
        table.add_column(name)
    for fault in faults:
        taken = ", ".join(f"{name} {count}" for name, count in fault["taken_for"].items())
        table.add_row(fault["name"], str(fault["trials"]), str(fault["named_right"]), taken)
    return table
