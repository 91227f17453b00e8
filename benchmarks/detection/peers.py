"""Policies of other tools, each in its own environment: asked window by window, trusted as they are."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection.replay import Evidence, Judgement
from driftloop.data.decoded import SCORE
from driftloop.data.schema import Columns, Schema
from driftloop.retraining.decision import Policy as Rules
from driftloop.retraining.episode import Trigger

ROOT = Path(__file__).resolve().parents[2]
PERIODS = {3600: "h", 86400: "D"}
"""Length of a window in seconds -> the name of pandas for it."""


class PeerError(Exception):
    """A peer cannot be asked any more."""


class RefusedError(Exception):
    """A peer cannot judge these rows, and says why."""


@dataclass(frozen=True)
class Peer:
    """A worker, and the environment that it needs."""

    environment: str
    module: str
    predictions: bool = False
    """Its reference is the version's out-of-time predictions and not the training rows."""
    share: float = 0.0
    """Share of columns above which their alerts are an alarm, for peers that have no rule of their own."""

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return ROOT / ".venv-peers" / self.environment / "bin" / "python"

    @property
    def installed(self) -> bool:
        """Whether the environment is there."""
        return self.python.exists()


PEERS: Mapping[str, Peer] = {
    "evidently": Peer("evidently", "evidently_drift"),
    "nannyml": Peer("nannyml", "nannyml_univariate"),
    "nannyml_half": Peer("nannyml", "nannyml_univariate", share=0.5),
    "nannyml_cbpe": Peer("nannyml", "nannyml_cbpe", predictions=True),
}


class Worker:
    """A process of a peer that stays alive; files carry the rows."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [str(peer.python), "-m", f"benchmarks.detection.workers.{peer.module}"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, what: str, columns: Columns, **extra: Any) -> dict[str, Any]:
        """Send rows, wait for the answer. Raises RefusedError, or PeerError if the process has ended."""
        path = Path(self._folder.name, f"{what}.npz")
        np.savez(path, **{name: _portable(values) for name, values in columns.items()})  # type: ignore[arg-type]
        source, sink = self._process.stdout, self._process.stdin
        if source is None or sink is None:
            raise PeerError(f"{self._peer.module} has no pipes")
        try:
            sink.write(json.dumps({what: str(path), **extra}) + "\n")
            sink.flush()
            line = source.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(f"{self._peer.module} has ended (status {self._process.poll()})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RefusedError(f"{self._peer.module}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process and remove its files."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._folder.cleanup()


@dataclass
class PeerPolicy:
    """Retrains on the peer's alarm."""

    name: str
    peer: Peer
    worker: Worker
    gated: bool = False
    fresh: bool = False
    _reference: Any = None

    def rules(self, rules: Rules) -> Rules:
        return replace(rules, on=frozenset(Trigger))

    def judge(self, seen: Evidence) -> Judgement:
        self._fit(seen)
        rows = seen.stream.rows(seen.window)
        if rows.stop - rows.start < seen.stream.spec["monitoring"]["min_rows"]:
            return Judgement(False)
        # Labels come later: a peer that estimates the performance must not see them.
        columns = {n: values for n, values in seen.stream.table(rows).items() if n != seen.stream.schema.label}
        if self.peer.predictions:
            columns[SCORE] = seen.version.scores(columns)
        try:
            answer = self.worker.ask("window", _sent(seen.stream.schema, columns))
        except RefusedError as error:
            return Judgement(False, reason=str(error), judged=False)
        alarm = bool(answer["alarm"])
        return Judgement(alarm, Trigger.DRIFT if alarm else None, str(answer["reason"]))

    def _fit(self, seen: Evidence) -> None:
        """Give the peer the champion's reference. Raises PeerError if it does not take it."""
        if self._reference is seen.version:
            return
        self._reference, schema = seen.version, seen.stream.schema
        training = seen.stream.table(seen.stream.rows(seen.version.learned))
        columns = seen.version.unseen.predictions if self.peer.predictions else training
        about = options(schema, seen.stream.length, self.peer.share)
        try:
            self.worker.ask("reference", _sent(schema, columns), options=about)
        except RefusedError as error:
            raise PeerError(f"the reference is refused: {error}") from error


def options(schema: Schema, length: Any, share: float) -> dict[str, Any]:
    """What a worker must know of the columns. Raises PeerError for a window that pandas has no name for."""
    seconds = int(length.total_seconds())
    if seconds not in PERIODS:
        raise PeerError(f"windows of {seconds} s cannot be cut by the peers; use 1h or 1d")
    return {
        "numbers": [f.name for f in schema.features if not f.is_category],
        "categories": [f.name for f in schema.features if f.is_category],
        "time": schema.time,
        "label": schema.label,
        "score": SCORE,
        "period": PERIODS[seconds],
        "share": share,
    }


def _sent(schema: Schema, columns: Columns) -> Columns:
    return {name: values for name, values in columns.items() if name != schema.id}


def _portable(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values.astype(str) if values.dtype == object else values
